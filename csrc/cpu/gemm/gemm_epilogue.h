// Floor 1, for every level. What happens to the sums of a tile, and how it is prepared; gemm.h says what is computed.
#pragma once

#include "../lanes.h"

// The bytes that a level's dot products take activations as. Those of the other sign are flipped (xor 0x80) as they are
// loaded, and their zero point moves along by 128; `any` takes them as they are.
enum class Activations { u8, s8, any };

template <Activations kTaken>
TORCHQ_INLINE int32_t shifted_zero_point(const GemmArgs& args, int32_t zero_point) {
  if (kTaken == Activations::any || args.signed_input == (kTaken == Activations::s8)) return zero_point;
  return kTaken == Activations::s8 ? zero_point - 128 : zero_point + 128;
}

// The i-th of `count` parts of the columns to be computed: the last one, then the others in order, or in reverse. The
// stores of the last one may run on into the next row, which is written later where rows are computed in order too.
TORCHQ_INLINE int64_t last_first(const GemmArgs& args, int64_t i, int64_t count) {
  if (args.backwards) return count - 1 - i;
  return i == 0 ? count - 1 : i - 1;
}

struct ToBytes {
  using Element = uint8_t;

  template <Activations kTaken>
  static bool prepare(const GemmArgs& args, PanelParameters* parameters) {
    const bool grouped = args.group_width != 0;  // gemm_grouped.h takes u8
    const I32 zero_point = set(grouped ? shifted_zero_point<Activations::u8>(args, args.input_zero_point)
                                       : shifted_zero_point<kTaken>(args, args.input_zero_point));
    const F32 largest_sum = set(255.0f * 255.0f * static_cast<float>(args.taps * args.tap_bytes));
    bool bounded = true;
    for (int64_t column = 0; column < args.columns; column += 16, ++parameters) {
      const int64_t part = args.columns - column < 16 ? args.columns - column : 16;
      const F32 s = set(args.input_scale) * load_part(args.weight_scales + column, part);
      const bool asymmetric = args.weight_zero_points != nullptr;
      store_part(parameters->start, set(int32_t{0}) - zero_point * load_part(args.column_sums + column, part), 16);
      store_part(parameters->zero_point,
                 asymmetric ? load_part(args.weight_zero_points + column, part) : set(int32_t{0}), 16);
      store_part(parameters->bias, args.bias != nullptr ? load_part(args.bias + column, part) / s : set(0.0f), 16);
      store_part(parameters->scale, s / set(args.output_scale), 16);
      bounded &= far_below_ceiling(largest_sum, load_part(parameters->bias, part), load_part(parameters->scale, part));
    }
    return bounded;
  }

  template <Activations kTaken>
  static TORCHQ_INLINE I32 start(const GemmArgs&, const PanelParameters& panel, int64_t) {
    return load(panel.start);
  }

  static TORCHQ_INLINE ByteRange range_of(const GemmArgs& args) {
    const int32_t qmin = args.signed_output ? -128 : 0;
    const int32_t lowest = args.relu && args.output_zero_point > qmin ? args.output_zero_point : qmin;
    return byte_range(args.output_zero_point, lowest, args.signed_output);
  }

  // How many columns of rows up to last_row are stored, of the `columns` from `column` on that are there: where rows lie
  // one behind the other, a store may run on into the next row (last_first).
  template <int kPanels>
  static TORCHQ_INLINE int64_t stored(const GemmArgs& args, int64_t last_row, int64_t column, int64_t columns) {
    const int64_t room = (args.rows - last_row) * args.columns - column;
    const bool may_run_on = args.output_stride == args.columns && room >= 16 * kPanels;
    return may_run_on ? 16 * kPanels : columns;
  }

  template <int kPanels>
  static TORCHQ_INLINE void to_values(const PanelParameters* panel, const I32 (&acc)[kPanels], F32 (&y)[kPanels]) {
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) y[p] = (to_f32(acc[p]) + load(panel[p].bias)) * load(panel[p].scale);
  }

  // kPanels panels from `column` on, of which `columns` columns are there.
  template <int kRows, int kPanels>
  static TORCHQ_INLINE void finish(const GemmArgs& args, const PanelParameters* panel, int64_t row, int64_t column,
                                   int64_t columns, const I32 (&acc)[kRows][kPanels]) {
    const int64_t n = stored<kPanels>(args, row + kRows - 1, column, columns);
    const int64_t stride = args.output_stride;
    const ByteRange range = range_of(args);
    const ResidualValues residual(args);
    auto* output = static_cast<uint8_t*>(args.output) + row * stride + column;
    F32 y[kRows][kPanels];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, output += stride) {
      to_values(panel, acc[r], y[r]);
      if (residual.given) residual.add_to(output, columns, y[r]);
      if (!residual.sums_bounded) {
#pragma GCC unroll 16
        for (int p = 0; p < kPanels; ++p) y[r][p] = below_ceiling(y[r][p]);
      }
      if constexpr (kPanels > 1) {
        store_bytes(output, y[r], range, n);
      } else if (r % 2 == 1) {
        store_two(output - stride, output, y[r - 1][0], y[r][0], range, n, n);
      } else if (r == kRows - 1) {
        store_bytes(output, y[r], range, n);
      }
    }
  }

  // The residual, in units of the output.
  struct ResidualValues {
    bool given, is_signed;
    bool sums_bounded;    // whether no result with it can come near 2^31
    int64_t from_output;  // its first byte, counted from the output's
    F32 scale, shift;

    explicit TORCHQ_INLINE ResidualValues(const GemmArgs& args)
        : given(args.residual != nullptr), is_signed(args.signed_output), sums_bounded(args.bounded) {
      if (!given) return;
      from_output = reinterpret_cast<intptr_t>(args.residual) - reinterpret_cast<intptr_t>(args.output);
      const float t = args.residual_scale / args.output_scale;
      sums_bounded &= 255.0f * t <= kFarBelowCeiling / 2;
      scale = set(t);
      shift = set(-(static_cast<float>(args.residual_zero_point) * t));
    }

    // To the values of `columns` outputs.
    template <int kPanels>
    TORCHQ_INLINE void add_to(const uint8_t* output, int64_t columns, F32 (&y)[kPanels]) const {
      const auto* q = reinterpret_cast<const uint8_t*>(reinterpret_cast<intptr_t>(output) + from_output);
      if (columns >= 16 * kPanels) {
#pragma GCC unroll 16
        for (int p = 0; p < kPanels; ++p)
          y[p] = y[p] + fma(scale, to_f32(load_bytes(q + 16 * p, 16, is_signed)), shift);
      } else {
#pragma GCC unroll 16
        for (int p = 0; p < kPanels; ++p)
          y[p] = y[p] + fma(scale, to_f32(load_bytes(q + 16 * p, columns - 16 * p, is_signed)), shift);
      }
    }
  };
};

struct ToFloat {
  using Element = float;

  template <Activations kTaken>
  static bool prepare(const GemmArgs& args, PanelParameters* parameters) {
    for (int64_t column = 0; column < args.columns; column += 16, ++parameters) {
      const int64_t part = args.columns - column < 16 ? args.columns - column : 16;
      const bool asymmetric = args.weight_zero_points != nullptr;
      store_part(parameters->start, load_part(args.column_sums + column, part), 16);
      store_part(parameters->zero_point,
                 asymmetric ? load_part(args.weight_zero_points + column, part) : set(int32_t{0}), 16);
      // x + -0 is x, +0 and -0 too
      store_part(parameters->bias, args.bias != nullptr ? load_part(args.bias + column, part) : set(-0.0f), 16);
      store_part(parameters->scale, load_part(args.weight_scales + column, part), 16);
    }
    return true;
  }

  template <Activations kTaken>
  static TORCHQ_INLINE I32 start(const GemmArgs& args, const PanelParameters& panel, int64_t row) {
    return set(-shifted_zero_point<kTaken>(args, args.row_zero_points[row])) * load(panel.start);
  }

  template <int kRows, int kPanels>
  static TORCHQ_INLINE void finish(const GemmArgs& args, const PanelParameters* panel, int64_t row, int64_t column,
                                   int64_t columns, const I32 (&acc)[kRows][kPanels]) {
    auto* output = static_cast<float*>(args.output) + row * args.output_stride + column;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, output += args.output_stride) {
      const F32 row_scale = set(args.row_scales[row + r]);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) {
        F32 y = fma(to_f32(acc[r][p]), row_scale * load(panel[p].scale), load(panel[p].bias));
        if (args.relu) y = max(set(0.0f), y);  // keeps NaN
        store_part(output + 16 * p, y, columns - 16 * p);
      }
    }
  }
};

// The lines that a tile is written to are fetched while it is multiplied.
template <typename Element, int kRows, int kPanels>
TORCHQ_INLINE void ask_for_outputs(const GemmArgs& args, int64_t row, int64_t column) {
  constexpr int kBytes = 16 * kPanels * sizeof(Element);
  const auto* output = static_cast<const Element*>(args.output) + row * args.output_stride + column;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, output += args.output_stride)
#pragma GCC unroll 16
    for (int byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(reinterpret_cast<const char*>(output) + byte, 1);
}

// Asymmetric weights: sum (x - zx)(w - zw) = sum (x - zx) w - zw sum (x - zx).
template <int kRows, int kPanels>
TORCHQ_INLINE void subtract_weight_zero_points(const GemmArgs& args, const PanelParameters* panel, int64_t row,
                                               I32 (&acc)[kRows][kPanels]) {
  if (args.weight_zero_points == nullptr) return;
#pragma GCC unroll 16
  for (int p = 0; p < kPanels; ++p) {
    const I32 zero = load(panel[p].zero_point);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) acc[r][p] = acc[r][p] - zero * set(args.row_sums[row + r]);
  }
}

// Where a tap's weights begin.
TORCHQ_INLINE const int8_t* tap_weights(const GemmArgs& args, const int8_t* panel, int64_t tap) {
  return panel + (args.tap_offsets != nullptr ? args.tap_offsets[tap] : tap * args.tap_bytes * 16);
}

void fill_pointers(const uint8_t* first, int64_t step, int64_t n, const uint8_t** pointers) {
  for (int64_t i = fill_pointers_in_eights(first, step, n, pointers); i < n; ++i) pointers[i] = first + i * step;
}

int32_t sum_bytes(const uint8_t* bytes, int64_t n, bool is_signed) {
  I32 sum = set(int32_t{0});
  for (int64_t i = 0; i < n; i += 16) sum = sum + load_bytes(bytes + i, n - i, is_signed);
  int32_t lanes[16];
  store_part(lanes, sum, 16);
  int32_t total = 0;
  for (const int32_t lane : lanes) total += lane;
  return total;
}

void sum_columns(const GemmArgs& args, int32_t* column_sums) {
  const uint8_t bytes[4] = {1, 1, 1, 1};
  const Dot::Activation ones = Dot::load_activation(bytes, set(int32_t{0}));
  for (int64_t column = 0; column < args.columns; column += 16) {
    const int8_t* panel = args.panels + column / 16 * args.panel_bytes;
    I32 sum = set(int32_t{0});
    for (int64_t tap = 0; tap < args.taps; ++tap) {
      const int8_t* weights = tap_weights(args, panel, tap);
      for (int64_t k = 0; k < args.tap_bytes; k += 4) Dot::multiply_add(sum, ones, Dot::load_weight(weights + 16 * k));
    }
    store_part(column_sums + column, sum, args.columns - column);
  }
}

// Calls tile<kRows>(first row, tiles) for all rows: tiles of at most kMost rows, all of one size or of two neighbours
// (8 rows are 4 + 4, not 6 + 2), so that none is much smaller than the others.
template <int kRows, typename Tiles>
TORCHQ_INLINE void run_tiles_of(int64_t size, int64_t row, int64_t tiles, const Tiles& run) {
  if constexpr (kRows > 1) {
    if (size < kRows) return run_tiles_of<kRows - 1>(size, row, tiles, run);
  }
  run.template operator()<kRows>(row, tiles);
}

template <int kMost, typename Tiles>
TORCHQ_INLINE void for_each_tile_size(int64_t rows, const Tiles& run) {
  const int64_t tiles = (rows + kMost - 1) / kMost;
  const int64_t small = rows / tiles;
  const int64_t large_tiles = rows - small * tiles;
  if (large_tiles > 0) run_tiles_of<kMost>(small + 1, 0, large_tiles, run);
  run_tiles_of<kMost>(small, large_tiles * (small + 1), tiles - large_tiles, run);
}
