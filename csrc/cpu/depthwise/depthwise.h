// Floor 1. Depthwise convolution: each channel has a kernel of its own.
//
//   acc[c] = sum_t (x[pixel t, c] - input_zero_point) * (w[c, t] - weight_zero_point[c])      exact int32
//   y[c]   is gemm.h's to_bytes or to_float of it
//
// Pixels are taken four at a time, a quad: their bytes are interleaved, so that a dot-product instruction meets four
// taps of one channel. They come as pointers, padding as pixels of zero points, one kernel row behind the other. Those
// under two neighbouring windows are interleaved once for both outputs, the second with its weights moved up.
//
// Channels are computed in blocks. Where a block is some times as many, neighbouring pixels can be taken for more
// channels: see `DepthwisePixels::together`.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct DepthwiseArgs {
  int64_t channels;
  int64_t kernel_rows, kernel_width;
  int64_t panel_row;  // how many weights of a kernel row there are in panels: 4 for three taps, else the taps
  // From the window of a pair's first output to the other's, in pixels; 0 if no groups of pixels make two outputs.
  int64_t pair_step;

  // Of pixels: for each kernel row, and of all of them.
  int64_t row_slots() const { return pair_step == 0 ? panel_row : kernel_width + pair_step; }
  int64_t quads() const { return (kernel_rows * row_slots() + 3) / 4; }
  int64_t panel_quads() const { return (kernel_rows * panel_row + 3) / 4; }
  // Where in a channel's part of a panel the weight is through which an output, 0 or of a pair 1 too, sees a pixel of a
  // row; -1 if it does not.
  int64_t weight(int64_t row, int64_t slot, int64_t output) const {
    const int64_t column = slot - output * pair_step;
    return row < kernel_rows && column >= 0 && column < kernel_width ? row * panel_row + column : -1;
  }

  const int8_t* panels;               // [ceil(channels/16)][panel_quads][16][4]
  const int32_t* column_sums;         // [channels], sum of a channel's weights
  const int32_t* weight_zero_points;  // [channels], null if all are 0
  const float* weight_scales;         // [channels]
  const float* bias;                  // [channels] or null

  float input_scale;
  int32_t input_zero_point;
  bool signed_input;
  bool relu;

  bool to_float;  // else to bytes, with these
  bool bounded;   // what `prepare` returned
  float output_scale;
  int32_t output_zero_point;
  bool signed_output;
};

// Neighbouring groups of pixels: those under one output pixel each or, of pairs, under two.
struct DepthwisePixels {
  int64_t groups;
  // Only where args.pair_step > 0. Of kernel rows of three, with a step of 1, the last two pixels of a quad are then the
  // first two of the next group's, if there is one.
  bool pairs;
  // > 1: each pixel is that many of `channels` bytes, one behind the other in memory, and so is each output. Not with
  // pairs, and only if together * channels is a block.
  int64_t together;
  const uint8_t* const* pixels;  // [quads][4], those of the first group
  int64_t step;                  // from there to the next group's, in bytes
};

struct DepthwiseKernels {
  int64_t block;        // channels
  int64_t least_block;  // fewer of them leave lanes unused, unless pixels are taken together
  // How many 64-byte lines `prepare` fills.
  int64_t (*prepared_lines)(const DepthwiseArgs& args);
  // Lays out weights and parameters as this level reads them, once per call of the operator. Returns whether no result
  // can come near 2^31 before it is rounded to bytes.
  bool (*prepare)(const DepthwiseArgs& args, void* prepared);
  // All channels of the groups' outputs, bytes or floats: [outputs][channels].
  void (*run)(const DepthwiseArgs& args, const void* prepared, const DepthwisePixels& pixels, void* output);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(DepthwiseKernels, depthwise, isa)
#include "kernels.inc"
#undef KERNELS

inline const DepthwiseKernels& depthwise_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(depthwise, isa)
#include "kernels.inc"
#undef KERNELS
  return depthwise__scalar;
}

}  // namespace torchq
