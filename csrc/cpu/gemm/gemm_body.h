// Floor 1, for the levels whose dot product is exact for every byte. gemm.h says what is computed.
//
// A call walks blocks of up to kTilePanels panels, and within a block the rows in tiles of up to tile_rows of its
// panels: the weights of a block stay in the nearest cache while the rows stream past.
#pragma once

#include "gemm_grouped.h"
#include "gemm_pipelined.h"

// A few rows are multiplied faster than weights come from memory.
constexpr int kFewRows = 3;
// Bytes of weights that no cache holds; and how far ahead of their use they are asked for. Asking for what is in a
// cache takes longer than to wait for it.
constexpr int64_t kFromMemory = 32 << 20, kAhead = 1024;

struct Panels {
  int64_t first, count;
};
// Those of the i-th block to be computed.
TORCHQ_INLINE Panels panels_of_block(const GemmArgs& args, int64_t panels, int64_t blocks, int64_t i) {
  const int64_t block = last_first(args, i, blocks), first = panels * block / blocks;
  return {first, panels * (block + 1) / blocks - first};
}

// A few accumulators would wait for each other: then odd steps get a set of their own.
template <Asks kAsks, typename DotT, int kRows, int kPanels>
TORCHQ_INLINE void accumulate(const GemmArgs& args, const int8_t* first, int64_t row, int64_t ahead, I32 flip,
                              I32 (&acc)[kRows][kPanels]) {
  constexpr bool kTwoSets = kRows * kPanels <= kMaxDoubled;
  const int64_t stride = args.panel_bytes;
  I32 odd[kRows][kPanels];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) odd[r][p] = set(int32_t{0});
  for (int64_t tap = 0; tap < args.taps; ++tap) {
    const int8_t* panel = tap_weights(args, first, tap);
    const uint8_t* a[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) a[r] = args.row_pointers[tap * args.row_pitch + row + r];
    int64_t k = 0;
    if constexpr (kTwoSets) {
      for (; k + 8 <= args.tap_bytes; k += 8, panel += 128) {
        step<kAsks, DotT>(a, k, panel, stride, ahead, acc, flip);
        step<kAsks, DotT>(a, k + 4, panel + 64, stride, ahead, odd, flip);
      }
    }
    for (; k < args.tap_bytes; k += 4, panel += 64) step<kAsks, DotT>(a, k, panel, stride, ahead, acc, flip);
  }
  if constexpr (kTwoSets) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) acc[r][p] = acc[r][p] + odd[r][p];
  }
}

// The sums of a tile. Where rows are few, and weights come from memory, those of the next steps are asked for.
// Otherwise each tile asks for a panel of the next block, while it multiplies.
template <typename DotT, int kRows, int kPanels>
TORCHQ_INLINE void accumulate_tile(const GemmArgs& args, int64_t panel, const Panels& next, int64_t row, I32 flip,
                                   I32 (&acc)[kRows][kPanels]) {
  const int8_t* weights = args.panels + panel * args.panel_bytes;
  if constexpr (kRows <= kFewRows) {
    if (args.panel_bytes * args.columns / 16 < kFromMemory)
      return accumulate<Asks::none, DotT>(args, weights, row, 0, flip, acc);
    accumulate<Asks::all, DotT>(args, weights, row, kAhead, flip, acc);
  } else {
    const int64_t tile = args.tiles_before + row / kRows;
    const int64_t ahead = tile < next.count ? (next.first + tile - panel) * args.panel_bytes : 0;
    accumulate<Asks::first, DotT>(args, weights, row, ahead, flip, acc);
  }
}

// `tiles` tiles of kRows rows each, times kPanels panels from `panel` on.
template <typename Output, typename DotT, int kRows, int kPanels>
void run_tiles(const GemmArgs& args, int64_t panel, const Panels& next, int64_t row, int64_t tiles) {
  const bool as_taken = args.signed_input == DotT::kSignedActivations;
  const I32 flip = set(as_taken ? int32_t{0} : static_cast<int32_t>(0x80808080u));
  const PanelParameters* parameters = args.parameters + panel;
  const int64_t column = 16 * panel, columns = columns_from<kPanels>(args, column);
  for (int64_t tile = 0; tile < tiles; ++tile, row += kRows) {
    I32 acc[kRows][kPanels];
    start_tile<Output, DotT>(args, parameters, row, acc);
    if constexpr (kRows > kFewRows) ask_for_outputs<typename Output::Element, kRows, kPanels>(args, row, column);
    accumulate_tile<DotT>(args, panel, next, row, flip, acc);
    subtract_weight_zero_points(args, parameters, row, acc);
    Output::finish(args, parameters, row, column, columns, acc);
  }
}

template <typename Output, typename DotT, int kPanels>
struct BlockOfPanels {
  const GemmArgs& args;
  int64_t panel;
  const Panels& next;
  template <int kRows>
  TORCHQ_INLINE void operator()(int64_t row, int64_t tiles) const {
    run_tiles<Output, DotT, kRows, kPanels>(args, panel, next, row, tiles);
  }
};

template <typename Output, typename DotT, int kPanels>
TORCHQ_INLINE void run_block(const GemmArgs& args, const Panels& block, const Panels& next) {
  if constexpr (kPanels > 1) {
    if (block.count < kPanels) return run_block<Output, DotT, kPanels - 1>(args, block, next);
  }
  if constexpr (pipelined_rows(kPanels) > 0 && sizeof(typename Output::Element) == 1) {
    if (is_pipelined<DotT, kPanels>(args))
      return for_each_tile_size<pipelined_rows(kPanels)>(args.rows, PipelinedBlock<DotT, kPanels>{args, block.first});
  }
  for_each_tile_size<tile_rows(kPanels)>(args.rows, BlockOfPanels<Output, DotT, kPanels>{args, block.first, next});
}

template <typename Output, typename DotT>
void gemm(const GemmArgs& args) {
  if (args.rows == 0) return;
  const int64_t panels = (args.columns + 15) / 16;
  const int64_t blocks = (panels + kTilePanels - 1) / kTilePanels;
  Panels block = panels_of_block(args, panels, blocks, 0);
  for (int64_t i = 0; i < blocks; ++i) {
    const Panels next = i + 1 < blocks ? panels_of_block(args, panels, blocks, i + 1) : Panels{0, 0};
    for (const GemmArgs* product = &args; product != nullptr; product = product->next)
      run_block<Output, DotT, kTilePanels>(*product, block, next);
    block = next;
  }
}

constexpr GemmKernels kDotKernels = {ToBytes::prepare<kTakenBy<Dot>>,
                                     ToFloat::prepare<kTakenBy<Dot>>,
                                     gemm<ToBytes, Dot>,
                                     gemm<ToFloat, Dot>,
                                     grouped<ToBytes>,
                                     grouped<ToFloat>,
                                     lane_scratch_bytes,
                                     fill_pointers,
                                     sum_bytes,
                                     sum_columns};
