// Floor 1, for a level without an exact dot product of bytes (AVX2). gemm.h says what is computed.
//
// vpmaddubsw adds two products of bytes in 16 bits and saturates. Where the activations stay below 128 it cannot:
// 2 * 127 * 128 < 32768; uint8 rows that do take gemm_body.h's way. For all others a tile's rows are widened to 16 bits
// once, and vpmaddwd multiplies them by weights that are widened as they are loaded. Its sums of two products are
// exact, -128 among the weights included, and a loop costs as much as the instructions that repair vpmaddubsw would.
//
// The rows are the outer loop: the widened tile stays in the nearest cache while the weights stream past. Where a sum
// has few products, it is made in an order that leaves less to do for each sum, and more for each weight (InPairs).
#pragma once

#include "gemm_body.h"

constexpr int kWideRows = 6;
constexpr int kFewWideRows = 2;    // whose sums over a panel fit into the registers in any order
constexpr int64_t kShallow = 256;  // the depth up to which InPairs is faster

TORCHQ_INLINE int64_t wide_stride(int64_t taps, int64_t tap_bytes) { return taps * tap_bytes + 32; }

int64_t wide_scratch_bytes(int64_t taps, int64_t tap_bytes, int64_t) {
  return kWideRows * wide_stride(taps, tap_bytes) * static_cast<int64_t>(sizeof(int16_t));
}

// Looks for rows whose activations are all below 128.
struct NarrowRows {
  const GemmArgs& args;
  int64_t looked_at = 0, above = 0;  // activations, of the rows before `next`
  int64_t next = 0;

  // How many there are from `first` on.
  int64_t count(int64_t first) {
    int64_t row = first;
    while (row < args.rows && is_narrow(row)) ++row;
    if (row < args.rows && row >= next) {
      looked_at += (row + 1 - next) * args.taps * args.tap_bytes;
      next = row + 1;
      for (int64_t tap = 0; tap < args.taps; ++tap)
        above += count_top_bits(args.row_pointers[tap * args.row_pitch + row], args.tap_bytes);
    }
    return row - first;
  }
  // Activations that are meant to have seven bits exceed them here and there, where an input is beyond what was
  // observed.
  bool have_eight_bits() const { return above > 4 + looked_at / 128; }

 private:
  bool is_narrow(int64_t row) const {
    for (int64_t tap = 0; tap < args.taps; ++tap)
      if (has_top_bit(args.row_pointers[tap * args.row_pitch + row], args.tap_bytes)) return false;
    return true;
  }
};

// How far ahead of their use weights are asked for: where they are too many for the second-level cache and rows are
// few, they would come too late.
TORCHQ_INLINE int64_t bytes_ahead(const GemmArgs& args) {
  return args.panel_bytes * args.columns / 16 > 512 * 1024 ? 4096 : 0;
}

// kHalves halves of a panel, 8 columns each, by kRows rows.
template <typename Order, int kRows, int kHalves>
TORCHQ_INLINE void accumulate_halves(const GemmArgs& args, const int16_t* a, const int8_t* first,
                                     HalfPanel (&sums)[kRows][kHalves]) {
  const int64_t stride = wide_stride(args.taps, args.tap_bytes);
  const int64_t ahead = bytes_ahead(args);
  const bool together = args.tap_offsets == nullptr;
  const int64_t pieces = together ? 1 : args.taps;
  const int64_t steps = (together ? args.taps : 1) * args.tap_bytes / 4;
  typename Order::Sums acc[kRows][kHalves] = {};
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int8_t* weights = tap_weights(args, first, piece);
    for (int64_t i = 0; i < steps; ++i, a += 4, weights += 64) {
      if constexpr (!Order::kPairs) __builtin_prefetch(weights + ahead);
      Order::step(a, stride, weights, acc);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) sums[r][h] = Order::sums_of(acc[r][h]);
}

// The halves of a panel side by side, if there are registers for the sums of both, or one after the other.
template <typename Order, int kRows>
TORCHQ_INLINE void accumulate_panel(const GemmArgs& args, const int16_t* a, const int8_t* panel, int64_t columns,
                                    I32 (&acc)[kRows][1]) {
  HalfPanel sums[kRows][2] = {}, low[kRows][1], high[kRows][1] = {};
  const bool both = columns > 8;
  if (kRows <= kFewWideRows || (Order::kPairs && both)) {
    accumulate_halves<Order>(args, a, panel, sums);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[r][0] = joined_halves(sums[r][0], sums[r][1]);
    return;
  }
  accumulate_halves<Order>(args, a, panel, low);
  if (both) accumulate_halves<Order>(args, a, panel + 32, high);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r][0] = joined_halves(low[r][0], high[r][0]);
}

template <typename Output, typename Order>
struct WidenedTiles {
  const GemmArgs& args;

  template <int kRows>
  void operator()(int64_t row, int64_t tiles) const {
    auto* wide = static_cast<int16_t*>(args.scratch);
    for (int64_t tile = 0; tile < tiles; ++tile, row += kRows) {
      for (int r = 0; r < kRows; ++r) widen_row(row + r, wide + r * wide_stride(args.taps, args.tap_bytes));
      const int64_t panels = (args.columns + 15) / 16;
      for (int64_t i = 0; i < panels; ++i) multiply<kRows>(wide, row, 16 * last_first(args, i, panels));
    }
  }

 private:
  void widen_row(int64_t row, int16_t* to) const {
    for (int64_t tap = 0; tap < args.taps; ++tap, to += args.tap_bytes)
      widen_bytes<Order::kPairs>(args.row_pointers[tap * args.row_pitch + row], args.tap_bytes, args.signed_input, to);
  }

  template <int kRows>
  TORCHQ_INLINE void multiply(const int16_t* wide, int64_t row, int64_t column) const {
    const int8_t* panel = args.panels + column / 16 * args.panel_bytes;
    const PanelParameters* parameters = args.parameters + column / 16;
    I32 acc[kRows][1];
    accumulate_panel<Order>(args, wide, panel, args.columns - column, acc);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
      acc[r][0] = acc[r][0] + Output::template start<Activations::any>(args, *parameters, row + r);
    subtract_weight_zero_points(args, parameters, row, acc);
    Output::finish(args, parameters, row, column, args.columns - column, acc);
  }
};

template <typename Output>
void widened(const GemmArgs& args) {
  if (args.rows == 0) return;
  if (args.rows > kFewWideRows && args.taps * args.tap_bytes <= kShallow)
    return for_each_tile_size<kWideRows>(args.rows, WidenedTiles<Output, InPairs>{args});
  for_each_tile_size<kWideRows>(args.rows, WidenedTiles<Output, InOrder>{args});
}

// A few narrow rows between others, or little to multiply, are not worth a part of their own.
constexpr int64_t kNarrowRows = 6, kNarrowProducts = 32768;

template <typename Output>
void gemm_or_widened(const GemmArgs& args) {
  if (args.next != nullptr) gemm_or_widened<Output>(*args.next);
  if (args.signed_input) return widened<Output>(args);
  constexpr int64_t kBytes = sizeof(typename Output::Element);
  const int64_t enough = kNarrowRows + kNarrowProducts / (1 + args.taps * args.tap_bytes * args.columns);
  NarrowRows rows{args};
  for (int64_t row = 0; row < args.rows;) {
    int64_t first = row, narrow = rows.count(row);
    while (first + narrow < args.rows && narrow < enough && !rows.have_eight_bits()) {
      first += narrow + 1;
      narrow = rows.count(first);
    }
    if (narrow < enough && narrow < args.rows) {
      first = args.rows;
      narrow = 0;
    }
    widened<Output>(rows_of(args, row, first - row, kBytes));
    gemm<Output, Dot>(rows_of(args, first, narrow, kBytes));
    row = first + narrow;
  }
}

constexpr GemmKernels kWidenedKernels = {ToBytes::prepare<Activations::any>,
                                         ToFloat::prepare<Activations::any>,
                                         gemm_or_widened<ToBytes>,
                                         gemm_or_widened<ToFloat>,
                                         grouped<ToBytes>,
                                         grouped<ToFloat>,
                                         wide_scratch_bytes,
                                         fill_pointers,
                                         sum_bytes,
                                         sum_columns};
