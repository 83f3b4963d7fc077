// Floor 1, for levels whose vectors hold four panels' columns, or 64 channels. Narrow groups, each in lanes of its own.
//
// gemm_grouped.h brings four channels to each lane, which is a column. Here 64 channels are taken as they lie in memory:
// a lane holds four channels of one group, and meets weights of as many columns as a group has, one column after the
// other. So nothing is moved while it is multiplied; instead weights and parameters are put in that order, once for all
// rows of a call, and results are put back in the order of columns when they are bytes.
#pragma once

#include "gemm_grouped.h"

// In scratch: kLanePanels PanelParameters, whose lanes are in the order in which columns_of_lanes leaves the sums, then the
// weights.
template <int kWidth>
TORCHQ_INLINE void lay_out_lanes(const GemmArgs& args, int64_t column, uint8_t* scratch) {
  constexpr int64_t kStride = sizeof(PanelParameters);
  constexpr int64_t kFields[] = {offsetof(PanelParameters, start), offsetof(PanelParameters, bias),
                                 offsetof(PanelParameters, scale)};
  const auto* panels = reinterpret_cast<const uint8_t*>(args.parameters + column / 16);
  for (const int64_t field : kFields) regroup_columns<kWidth>(panels + field, kStride, scratch + field, kStride);
  uint8_t* to = scratch + kLanePanels * kStride;
  for (int64_t tap = 0; tap < args.taps; ++tap, to += kWidth * 64)
    regroup_weights<kWidth>(tap_weights(args, args.panels + column / 16 * args.panel_bytes, tap), args.panel_bytes, to);
}

// A block's columns.
template <int kWidth>
struct LaneTiles {
  const GemmArgs& args;
  int64_t column;

  template <int kRows>
  void operator()(int64_t row, int64_t tiles) const {
    const auto* parameters = static_cast<const PanelParameters*>(args.scratch);
    const ByteRange range = ToBytes::range_of(args);
    for (int64_t tile = 0; tile < tiles; ++tile, row += kRows) {
      I32 acc[kRows][kWidth];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < kWidth; ++j) acc[r][j] = set(int32_t{0});
      const auto* weights = reinterpret_cast<const int8_t*>(parameters + kLanePanels);
      for (int64_t tap = 0; tap < args.taps; ++tap, weights += kWidth * 64) {
        const uint8_t* const* pointers = args.row_pointers + tap * args.row_pitch + row;
        I32 x[kRows];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) x[r] = load_lanes(pointers[r] + args.first_column + column, args.signed_input);
#pragma GCC unroll 8
        for (int j = 0; j < kWidth; ++j) {
          const Dot::Weight w = Dot::load_weight(weights + 64 * j);
#pragma GCC unroll 8
          for (int r = 0; r < kRows; ++r) Dot::multiply_add(acc[r][j], x[r], w);
        }
      }
      auto* output = static_cast<uint8_t*>(args.output) + row * args.output_stride + column;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r, output += args.output_stride) {
        I32 sums[kLanePanels];
        columns_of_lanes(acc[r], sums);
#pragma GCC unroll 4
        for (int v = 0; v < kLanePanels; ++v) sums[v] = sums[v] + load(parameters[v].start);
        F32 y[kLanePanels];
        ToBytes::to_values(parameters, sums, y);
        if (!args.bounded) {
#pragma GCC unroll 4
          for (int v = 0; v < kLanePanels; ++v) y[v] = below_ceiling(y[v]);
        }
        store_lanes<kWidth>(output, y, range);
      }
    }
  }
};

template <int kWidth>
void run_lanes(const GemmArgs& args, int64_t columns) {
  for (int64_t column = 0; column < columns; column += kLaneBlock) {
    lay_out_lanes<kWidth>(args, column, static_cast<uint8_t*>(args.scratch));
    for_each_tile_size<lane_rows(kWidth)>(args.rows, LaneTiles<kWidth>{args, column});
  }
}
