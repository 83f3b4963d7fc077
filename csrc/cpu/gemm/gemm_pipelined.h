// Floor 1, for levels with many registers. Products with few channels, whose sums take long to be stored beside the time
// that it takes to multiply for them.
//
// A CPU that executes out of order looks a few hundred instructions ahead, and a tile has as many: it would store the sums
// of a tile, and only then begin to multiply for the next one. Here the rows of a tile are stored between parts of the
// products of the next one, so that it always finds both. That takes two sets of sums, and so smaller tiles.
#pragma once

#include "gemm_tile.h"

// Small tiles load weights more often than large ones: those of a block have to stay in the nearest cache.
constexpr int64_t kShortBytes = 16 << 10;

// Whether run_pipelined_tiles can compute a product, and gains by it: with few channels, and several tiles.
template <typename DotT, int kPanels>
TORCHQ_INLINE bool is_pipelined(const GemmArgs& args) {
  return args.taps == 1 && args.tap_bytes * 16 * kPanels <= kShortBytes && args.rows >= 4 * pipelined_rows(kPanels) &&
         args.weight_zero_points == nullptr && args.signed_input == DotT::kSignedActivations &&
         ToBytes::ResidualValues(args).sums_bounded;
}

// As run_tiles, of bytes.
template <typename DotT, bool kResidual, int kRows, int kPanels>
void run_pipelined_tiles(const GemmArgs& args, int64_t panel, int64_t row, int64_t tiles) {
  constexpr int kStored = kPanels == 1 && kRows % 2 == 0 ? 2 : 1;  // rows at a time
  const PanelParameters* parameters = args.parameters + panel;
  const int8_t* weights = tap_weights(args, args.panels + panel * args.panel_bytes, 0);
  const int64_t stride = args.panel_bytes;
  const int64_t column = 16 * panel, columns = columns_from<kPanels>(args, column);
  // Of the rows that are stored in the loop: there are kRows behind them.
  const int64_t n = ToBytes::stored<kPanels>(args, args.rows - 1 - kRows, column, columns);
  const ByteRange range = ToBytes::range_of(args);
  const int64_t output_stride = args.output_stride;
  auto* output = static_cast<uint8_t*>(args.output) + row * output_stride + column;
  const ToBytes::ResidualValues residual(args);
  int64_t ends[kRows];
  for (int r = 0; r < kRows; ++r) ends[r] = args.tap_bytes / 4 * (r + kStored) / kRows * 4;
  const uint8_t* const* pointers = args.row_pointers + row;

  I32 sums[kRows][kPanels];
  const uint8_t* a[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) a[r] = pointers[r];
  start_tile<ToBytes, DotT>(args, parameters, row, sums);
  const int8_t* w = weights;
  for (int64_t k = 0; k < args.tap_bytes; k += 4, w += 64) step<Asks::none, DotT>(a, k, w, stride, 0, sums);
  const uint8_t* const* last = pointers + (tiles - 1) * kRows;
  while (pointers != last) {
    I32 acc[kRows][kPanels];
    start_tile<ToBytes, DotT>(args, parameters, row, acc);
    pointers += kRows;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = pointers[r];
    w = weights;
    int64_t k = 0;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r += kStored) {
      F32 y[kStored][kPanels];
#pragma GCC unroll 16
      for (int s = 0; s < kStored; ++s) {
        ToBytes::to_values(parameters, sums[r + s], y[s]);
        if constexpr (kResidual) residual.add_to(output + s * output_stride, columns, y[s]);
      }
      if constexpr (kStored == 2) {
        store_two(output, output + output_stride, y[0][0], y[1][0], range, n, n);
      } else {
        store_bytes(output, y[0], range, n);
      }
#pragma GCC unroll 16
      for (int s = 0; s < kStored; ++s, output += output_stride) __builtin_prefetch(output + kRows * output_stride, 1);
      for (; k < ends[r]; k += 4, w += 64) step<Asks::none, DotT>(a, k, w, stride, 0, acc);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) sums[r][p] = acc[r][p];
  }
  ToBytes::finish(args, parameters, row + (tiles - 1) * kRows, column, columns, sums);
}

template <typename DotT, int kPanels>
struct PipelinedBlock {
  const GemmArgs& args;
  int64_t panel;
  template <int kRows>
  TORCHQ_INLINE void operator()(int64_t row, int64_t tiles) const {
    if (args.residual == nullptr) {
      run_pipelined_tiles<DotT, false, kRows, kPanels>(args, panel, row, tiles);
    } else {
      run_pipelined_tiles<DotT, true, kRows, kPanels>(args, panel, row, tiles);
    }
  }
};
