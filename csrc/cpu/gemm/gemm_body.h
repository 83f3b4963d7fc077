// Floor 1, for every level. gemm.h says what is computed.
//
// A call walks blocks of up to kTilePanels panels, and within a block the rows in tiles of up to kTileRows:
// the weights of a block stay in the nearest cache while the rows stream past. Rows and panels are divided
// evenly over their tiles (8 rows are 4 + 4, not 6 + 2), so that no tile is much smaller than its neighbours.
//
// The dot products run in the domain that the level's instruction wants: u8 activations or s8 activations. An
// input of the other kind is flipped (xor 0x80) as it is loaded, and its zero point moves along by 128.

// What one block needs of its columns.
struct Columns {
  const int8_t* panels;
  int64_t panel_stride;  // bytes
  int64_t first;         // column
  int64_t count;
  I32 start[kTilePanels];  // -input_zero_point * column_sums
  F32 bias[kTilePanels];
  F32 scale[kTilePanels];
};

TORCHQ_INLINE int32_t shifted_zero_point(const GemmArgs& args, bool signed_domain, int32_t zero_point) {
  if (args.signed_input == signed_domain) return zero_point;
  return signed_domain ? zero_point - 128 : zero_point + 128;
}

TORCHQ_INLINE I32 activation_flip(const GemmArgs& args, bool signed_domain) {
  return set(args.signed_input == signed_domain ? int32_t{0} : static_cast<int32_t>(0x80808080u));
}

template <typename DotT, int kRows, int kPanels>
TORCHQ_INLINE void step(const uint8_t* const (&a)[kRows], int64_t k, const int8_t* panel, int64_t stride, I32 flip,
                        I32 (&acc)[kRows][kPanels]) {
  typename DotT::Weight w[kPanels];
#pragma GCC unroll 8
  for (int p = 0; p < kPanels; ++p) w[p] = DotT::load_weight(panel + p * stride);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const typename DotT::Activation x = DotT::load_activation(a[r] + k, flip);
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) DotT::multiply_add(acc[r][p], x, w[p]);
  }
}

// A few accumulators would wait for each other: then odd steps get a set of their own.
template <typename DotT, int kRows, int kPanels>
TORCHQ_INLINE void accumulate(const GemmArgs& args, const Columns& columns, int64_t row, I32 flip,
                              I32 (&acc)[kRows][kPanels]) {
  constexpr bool kTwoSets = kRows * kPanels <= kMaxDoubled;
  const int8_t* panel = columns.panels;
  const int64_t stride = columns.panel_stride;
  I32 odd[kRows][kPanels];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) odd[r][p] = set(int32_t{0});
  for (int64_t tap = 0; tap < args.taps; ++tap) {
    const uint8_t* a[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) a[r] = args.row_pointers[tap * args.row_pitch + row + r];
    int64_t k = 0;
    if constexpr (kTwoSets) {
      for (; k + 8 <= args.tap_bytes; k += 8, panel += 128) {
        step<DotT>(a, k, panel, stride, flip, acc);
        step<DotT>(a, k + 4, panel + 64, stride, flip, odd);
      }
    }
    for (; k < args.tap_bytes; k += 4, panel += 64) step<DotT>(a, k, panel, stride, flip, acc);
  }
  if constexpr (kTwoSets) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) acc[r][p] = acc[r][p] + odd[r][p];
  }
}

// Asymmetric weights: sum (x - zx)(w - zw) = sum (x - zx) w - zw sum (x - zx).
template <int kRows, int kPanels>
TORCHQ_INLINE void subtract_weight_zero_points(const GemmArgs& args, const Columns& columns, int64_t row,
                                               I32 (&acc)[kRows][kPanels]) {
  if (args.weight_zero_points == nullptr) return;
#pragma GCC unroll 8
  for (int p = 0; p < kPanels; ++p) {
    const I32 zero = load_part(args.weight_zero_points + columns.first + 16 * p, columns.count - 16 * p);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[r][p] = acc[r][p] - zero * set(args.row_sums[row + r]);
  }
}

struct ToBytes {
  template <typename DotT>
  static TORCHQ_INLINE void prepare(const GemmArgs& args, Columns& columns) {
    const int32_t zero_point = shifted_zero_point(args, DotT::kSignedActivations, args.input_zero_point);
    for (int p = 0; p < kTilePanels; ++p) {
      const int64_t column = columns.first + 16 * p;
      const int64_t part = columns.count - 16 * p;
      if (part <= 0) break;
      const F32 s = set(args.input_scale) * load_part(args.weight_scales + column, part);
      columns.start[p] = set(int32_t{0}) - set(zero_point) * load_part(args.column_sums + column, part);
      columns.bias[p] = args.bias != nullptr ? load_part(args.bias + column, part) / s : set(0.0f);
      columns.scale[p] = s / set(args.output_scale);
    }
  }

  template <typename DotT, int kRows, int kPanels>
  static TORCHQ_INLINE void start(const GemmArgs&, const Columns& columns, int64_t, I32 (&acc)[kRows][kPanels]) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) acc[r][p] = columns.start[p];
  }

  template <int kRows, int kPanels>
  static TORCHQ_INLINE void finish(const GemmArgs& args, const Columns& columns, int64_t row,
                                   const I32 (&acc)[kRows][kPanels]) {
    const int32_t qmin = args.signed_output ? -128 : 0;
    const int32_t lowest = args.relu && args.output_zero_point > qmin ? args.output_zero_point : qmin;
    const ByteRange range = byte_range(args.output_zero_point, lowest, args.signed_output);
    auto* output = static_cast<uint8_t*>(args.output) + row * args.output_stride + columns.first;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, output += args.output_stride) {
      F32 y[kPanels];
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) y[p] = (to_f32(acc[r][p]) + columns.bias[p]) * columns.scale[p];
      if constexpr (kPanels == 4) {
        store_bytes(output, y, range, columns.count);
      } else {
#pragma GCC unroll 8
        for (int p = 0; p < kPanels; ++p) {
          const F32 one[1] = {y[p]};
          store_bytes(output + 16 * p, one, range, columns.count - 16 * p < 16 ? columns.count - 16 * p : 16);
        }
      }
    }
  }
};

struct ToFloat {
  template <typename DotT>
  static TORCHQ_INLINE void prepare(const GemmArgs& args, Columns& columns) {
    for (int p = 0; p < kTilePanels; ++p) {
      const int64_t column = columns.first + 16 * p;
      const int64_t part = columns.count - 16 * p;
      if (part <= 0) break;
      columns.start[p] = load_part(args.column_sums + column, part);
      columns.bias[p] =
          args.bias != nullptr ? load_part(args.bias + column, part) : set(-0.0f);  // x + -0 is x, +0 and -0 too
      columns.scale[p] = load_part(args.weight_scales + column, part);
    }
  }

  template <typename DotT, int kRows, int kPanels>
  static TORCHQ_INLINE void start(const GemmArgs& args, const Columns& columns, int64_t row,
                                  I32 (&acc)[kRows][kPanels]) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const I32 zero_point = set(-shifted_zero_point(args, DotT::kSignedActivations, args.row_zero_points[row + r]));
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) acc[r][p] = zero_point * columns.start[p];
    }
  }

  template <int kRows, int kPanels>
  static TORCHQ_INLINE void finish(const GemmArgs& args, const Columns& columns, int64_t row,
                                   const I32 (&acc)[kRows][kPanels]) {
    auto* output = static_cast<float*>(args.output) + row * args.output_stride + columns.first;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, output += args.output_stride) {
      const F32 row_scale = set(args.row_scales[row + r]);
#pragma GCC unroll 8
      for (int p = 0; p < kPanels; ++p) {
        F32 y = fma(to_f32(acc[r][p]), row_scale * columns.scale[p], columns.bias[p]);
        if (args.relu) y = max(set(0.0f), y);  // keeps NaN
        store_part(output + 16 * p, y, columns.count - 16 * p);
      }
    }
  }
};

// `tiles` tiles of kRows rows each.
template <typename Output, typename DotT, int kRows, int kPanels>
void run_tiles(const GemmArgs& args, const Columns& columns, int64_t row, int64_t tiles) {
  const I32 flip = activation_flip(args, DotT::kSignedActivations);
  for (int64_t tile = 0; tile < tiles; ++tile, row += kRows) {
    I32 acc[kRows][kPanels];
    Output::template start<DotT>(args, columns, row, acc);
    accumulate<DotT>(args, columns, row, flip, acc);
    subtract_weight_zero_points(args, columns, row, acc);
    Output::finish(args, columns, row, acc);
  }
}

using TileRunner = void (*)(const GemmArgs&, const Columns&, int64_t, int64_t);

template <typename Output, typename DotT, int kRows, int kPanels>
TORCHQ_INLINE TileRunner find_runner(int64_t rows, int64_t panels) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return find_runner<Output, DotT, kRows - 1, kPanels>(rows, panels);
  }
  if constexpr (kPanels > 1) {
    if (panels < kPanels) return find_runner<Output, DotT, kRows, kPanels - 1>(rows, panels);
  }
  return run_tiles<Output, DotT, kRows, kPanels>;
}

template <typename Output, typename DotT>
TORCHQ_INLINE void run_block(const GemmArgs& args, Columns& columns, int64_t panels) {
  Output::template prepare<DotT>(args, columns);
  const int64_t tiles = (args.rows + kTileRows - 1) / kTileRows;
  const int64_t small = args.rows / tiles;
  const int64_t large_tiles = args.rows - small * tiles;
  if (large_tiles > 0)
    find_runner<Output, DotT, kTileRows, kTilePanels>(small + 1, panels)(args, columns, 0, large_tiles);
  find_runner<Output, DotT, kTileRows, kTilePanels>(small, panels)(args, columns, large_tiles * (small + 1),
                                                                   tiles - large_tiles);
}

template <typename Output>
void gemm(const GemmArgs& args) {
  if (args.rows == 0) return;
  const int64_t panels = (args.columns + 15) / 16;
  const int64_t blocks = (panels + kTilePanels - 1) / kTilePanels;
  Columns columns;
  columns.panel_stride = args.taps * args.tap_bytes * 16;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = panels * block / blocks;
    const int64_t count = panels * (block + 1) / blocks - first;
    columns.panels = args.panels + first * columns.panel_stride;
    columns.first = 16 * first;
    columns.count = args.columns - columns.first < 16 * count ? args.columns - columns.first : 16 * count;
    bool wide = false;
    for (int64_t panel = first; panel < first + count; ++panel) wide |= args.panel_has_minus_128[panel] != 0;
    if (wide) {
      run_block<Output, WideDot>(args, columns, count);
    } else {
      run_block<Output, Dot>(args, columns, count);
    }
  }
}
