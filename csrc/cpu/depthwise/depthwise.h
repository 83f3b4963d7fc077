// Floor 1. Depthwise convolution: each channel has a kernel of its own.
//
//   acc[c] = sum_t (x[pixel t, c] - input_zero_point) * (w[c, t] - weight_zero_point[c])      exact int32
//   y[c]   is gemm.h's to_bytes or to_float of it
//
// Taps are taken four at a time, a quad: the bytes of four pixels are interleaved, so that a dot-product
// instruction meets four taps of one channel. Pixels come as pointers, padding as pixels of zero points.
// Where kernel rows are three wide, a quad is a row; at stride 1 its four neighbours then serve two output
// pixels, the second with its weights moved up by one tap.
//
// Channels are computed in blocks. Where a block is some times as many, neighbouring pixels can be taken for more
// channels: see `DepthwisePixels::together`.
#pragma once

#include <cstdint>

#include "../select.h"

namespace torchq {

struct DepthwiseArgs {
  int64_t channels;
  int64_t quads;
  int32_t taps;
  bool row_quads;  // whether a quad is a kernel row of three; else four taps in order
  bool pairs;      // whether groups of pixels can make two output pixels

  const int8_t* panels;               // [ceil(channels/16)][quads][16][4], 0 where a quad has no tap
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
  // Only where args.pairs. The last two pixels of a quad are then the first two of the next group's, if there is one.
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
