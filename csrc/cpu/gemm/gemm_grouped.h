// Floor 1, for every level. Products of narrow groups, side by side in a panel; gemm.h says what is computed.
//
// A lane of the accumulator is a column: four channels of its group are brought to it (multiply_add_group), and meet
// four weights of their own, as in a depthwise convolution. Activations are u8; int8 are flipped.
#pragma once

#include "gemm_epilogue.h"

// Where lane_rows says so, whole blocks of columns are computed otherwise (gemm_group_lanes.h).
constexpr int64_t kLaneBlock = 64, kLanePanels = kLaneBlock / 16;
template <int kWidth>
void run_lanes(const GemmArgs& args, int64_t columns);

// What a block needs of `scratch`: parameters, and the weights.
int64_t lane_scratch_bytes(int64_t taps, int64_t, int64_t width) {
  return lane_rows(static_cast<int>(width)) > 0
             ? kLanePanels * static_cast<int64_t>(sizeof(PanelParameters)) + taps * width * 64
             : 0;
}

// One quad of a tap for all rows, then the next ones.
template <int kRows, int kWidth, bool kOfOnes, int kPart, int kQuad>
TORCHQ_INLINE void accumulate_quads(const Channels (&x)[kRows], const int8_t* weights,
                                    GroupSums (&sums)[kRows][kGroupParts]) {
  const GroupWeights w = kOfOnes ? ones_of_groups() : load_group_weights(weights + 64 * kQuad, kPart);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) multiply_add_group<kWidth, kQuad, kPart>(sums[r][kPart], x[r], w);
  if constexpr (4 * (kQuad + 1) < kWidth) accumulate_quads<kRows, kWidth, kOfOnes, kPart, kQuad + 1>(x, weights, sums);
}

// The sums of kRows rows over a part of 16 columns: of the weights or, to take off their zero points, of the
// activations alone.
template <int kRows, int kWidth, bool kOfOnes, int kPart>
TORCHQ_INLINE void accumulate_part(const GemmArgs& args, const int8_t* panel, int64_t row, int64_t column,
                                   int64_t columns, GroupSums (&sums)[kRows][kGroupParts]) {
  const bool flip = args.signed_input;
  for (int64_t tap = 0; tap < args.taps; ++tap) {
    const uint8_t* const* pointers = args.row_pointers + tap * args.row_pitch + row;
    Channels x[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) x[r] = load_channels(pointers[r] + args.first_column + column, columns, flip);
    accumulate_quads<kRows, kWidth, kOfOnes, kPart, 0>(x, tap_weights(args, panel, tap), sums);
  }
}

template <int kRows, int kWidth, bool kOfOnes>
TORCHQ_INLINE void accumulate_groups(const GemmArgs& args, const int8_t* panel, int64_t row, int64_t column,
                                     int64_t columns, I32 (&acc)[kRows]) {
  GroupSums sums[kRows][kGroupParts] = {};
  accumulate_part<kRows, kWidth, kOfOnes, 0>(args, panel, row, column, columns, sums);
  if constexpr (kGroupParts == 2) accumulate_part<kRows, kWidth, kOfOnes, 1>(args, panel, row, column, columns, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) acc[r] = acc[r] + joined_parts(sums[r]);
}

// Asymmetric weights: sum (x - zx)(w - zw) = sum (x - zx) w - zw sum (x - zx), and the last sum is a group's own.
template <int kRows, int kWidth>
void subtract_group_zero_points(const GemmArgs& args, const PanelParameters& parameters, int64_t row, int64_t column,
                                int64_t columns, I32 (&acc)[kRows]) {
  I32 sums[kRows];
  for (int r = 0; r < kRows; ++r) {
    const int32_t zero_point = args.row_zero_points != nullptr ? args.row_zero_points[row + r] : args.input_zero_point;
    sums[r] = set(-shifted_zero_point<Activations::u8>(args, zero_point) *
                  static_cast<int32_t>(args.taps * args.group_width));
  }
  accumulate_groups<kRows, kWidth, true>(args, args.panels, row, column, columns, sums);
  for (int r = 0; r < kRows; ++r) acc[r] = acc[r] - load(parameters.zero_point) * sums[r];
}

// The columns from `behind` on.
template <typename Output, int kWidth>
struct GroupedTiles {
  const GemmArgs& args;
  int64_t behind;

  template <int kRows>
  void operator()(int64_t row, int64_t tiles) const {
    for (int64_t tile = 0; tile < tiles; ++tile, row += kRows) {
      // Those of a part of a panel first: last_first has why.
      const int64_t whole = args.columns / 16 * 16;
      if (whole < args.columns) multiply<kRows>(row, whole, args.columns - whole);
      for (int64_t column = behind; column < whole; column += 16) multiply<kRows>(row, column, 16);
    }
  }

 private:
  // Inlined, so that whole panels, where the number of columns is a constant, need no masks.
  template <int kRows>
  TORCHQ_INLINE void multiply(int64_t row, int64_t column, int64_t columns) const {
    const PanelParameters& parameters = args.parameters[column / 16];
    I32 sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = Output::template start<Activations::u8>(args, parameters, row + r);
    const int8_t* panel = args.panels + column / 16 * args.panel_bytes;
    accumulate_groups<kRows, kWidth, false>(args, panel, row, column, columns, sums);
    if (args.weight_zero_points != nullptr)
      subtract_group_zero_points<kRows, kWidth>(args, parameters, row, column, columns, sums);
    I32 acc[kRows][1];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[r][0] = sums[r];
    Output::finish(args, &parameters, row, column, columns, acc);
  }
};

template <typename Output, int kWidth>
void run_groups(const GemmArgs& args) {
  int64_t in_lanes = 0;  // columns; those behind them are computed first: last_first has why
  if constexpr (lane_rows(kWidth) > 0 && sizeof(typename Output::Element) == 1) {
    constexpr int64_t kLeastRows = kWidth + 2;  // fewer do not make up for laying out the weights
    if (args.rows >= kLeastRows && args.residual == nullptr && args.weight_zero_points == nullptr)
      in_lanes = args.columns / kLaneBlock * kLaneBlock;
  }
  if (in_lanes < args.columns)
    for_each_tile_size<kGroupedRows>(args.rows, GroupedTiles<Output, kWidth>{args, in_lanes});
  if constexpr (lane_rows(kWidth) > 0) run_lanes<kWidth>(args, in_lanes);
}

template <typename Output>
void grouped(const GemmArgs& args) {
  if (args.next != nullptr) grouped<Output>(*args.next);
  if (args.rows == 0) return;
  if (args.group_width == 4) return run_groups<Output, 4>(args);
  if (args.group_width == 8) return run_groups<Output, 8>(args);
  run_groups<Output, 16>(args);
}
