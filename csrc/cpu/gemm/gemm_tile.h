// Floor 1, for the levels whose dot product is exact for every byte. What all tiles of a product have in common.
#pragma once

#include "gemm_epilogue.h"

template <typename DotT>
constexpr Activations kTakenBy = DotT::kSignedActivations ? Activations::s8 : Activations::u8;

// Whether a step asks for weights: of none of its panels, of the first one, or of all of them.
enum class Asks { none, first, all };

template <Asks kAsks, typename DotT, int kRows, int kPanels, typename... Flip>
TORCHQ_INLINE void step(const uint8_t* const (&a)[kRows], int64_t k, const int8_t* panel, int64_t stride, int64_t ahead,
                        I32 (&acc)[kRows][kPanels], Flip... flip) {
  typename DotT::Weight w[kPanels];
#pragma GCC unroll 16
  for (int p = 0; p < kPanels; ++p) {
    if (kAsks == Asks::all || (kAsks == Asks::first && p == 0)) __builtin_prefetch(panel + p * stride + ahead, 0, 2);
    w[p] = DotT::load_weight(panel + p * stride);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const typename DotT::Activation x = DotT::load_activation(a[r] + k, flip...);
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) DotT::multiply_add(acc[r][p], x, w[p]);
  }
}

template <typename Output, typename DotT, int kRows, int kPanels>
TORCHQ_INLINE void start_tile(const GemmArgs& args, const PanelParameters* parameters, int64_t row,
                              I32 (&acc)[kRows][kPanels]) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) acc[r][p] = Output::template start<kTakenBy<DotT>>(args, parameters[p], row + r);
}

// Of kPanels panels from `column` on, the columns that are there.
template <int kPanels>
TORCHQ_INLINE int64_t columns_from(const GemmArgs& args, int64_t column) {
  return args.columns - column < 16 * kPanels ? args.columns - column : 16 * kPanels;
}
