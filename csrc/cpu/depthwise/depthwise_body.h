// Floor 1, for every level. depthwise.h says what is computed, depthwise_layout.h in which blocks.
//
// The bytes of four pixels are interleaved, which leaves channels in the order of a prepared block; store_quads undoes
// it on the way out. Activations are u8 in the loop; s8 ones are flipped, and their zero point moves along by 128.
#pragma once

#include "depthwise_layout.h"

TORCHQ_INLINE QuadWeights load_quad_weights(const int32_t* weights, int vector) {
  QuadWeights w;
#pragma GCC unroll 2
  for (int part = 0; part < kQuadParts; ++part) w.part[part] = load(weights + part * kBlock + 16 * vector);
  return w;
}

TORCHQ_INLINE QuadWeights set_quad_weights(uint32_t four) {
  QuadWeights w;
#pragma GCC unroll 2
  for (int part = 0; part < kQuadParts; ++part) w.part[part] = set(quad_part(four, part));
  return w;
}

// Where a block's bytes come from and its outputs go.
struct Place {
  int64_t pixel;    // the first group's channels, in bytes from a pointer's
  int64_t step;     // from there to the next group's
  int64_t element;  // of the first group's first output
  int64_t stride;   // from there to the next one's
};
template <int kPixels>
TORCHQ_INLINE Place place_of(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t group, int64_t channel) {
  return {channel + group * pixels.step, pixels.step, group * kPixels * args.channels + channel, args.channels};
}

// Each block has `part` channels of one group.
template <int kPixels>
struct WholeBlocks {
  Place at;
  int64_t part;

  TORCHQ_INLINE PixelPair load(const uint8_t* p, const uint8_t* q, int b, bool flip) const {
    const int64_t pixel = at.pixel + b * at.step;
    return load_pair(p + pixel, q + pixel, part, flip);
  }
  TORCHQ_INLINE void store(int b, int pixel, const F32 (&y)[kQuadVectors], const ByteRange& range,
                           uint8_t* output) const {
    store_quads(output + at.element + (b * kPixels + pixel) * at.stride, y, range, part);
  }
  TORCHQ_INLINE void store(int b, int pixel, F32 y, int lane, int channel, float* output) const {
    store_four(output + at.element + (b * kPixels + pixel) * at.stride + channel, y, lane, part - channel);
  }
};

// Each block has kHalf channels of two groups, `apart` groups from each other; or of one, if that is 0. From block to
// block it is `next` groups.
template <int kPixels>
struct HalfBlocks {
  Place at;
  int64_t apart, next;

  TORCHQ_INLINE PixelPair load(const uint8_t* p, const uint8_t* q, int b, bool flip) const {
    const int64_t pixel = at.pixel + b * next * at.step;
    return load_pair_halves(p + pixel, q + pixel, apart * at.step, flip);
  }
  TORCHQ_INLINE void store(int b, int pixel, const F32 (&y)[kQuadVectors], const ByteRange& range,
                           uint8_t* output) const {
    uint8_t* p = output + at.element + (b * next * kPixels + pixel) * at.stride;
    store_quad_halves(p, p + apart * kPixels * at.stride, y, range);
  }
  TORCHQ_INLINE void store(int b, int pixel, F32 y, int lane, int channel, float* output) const {
    const int64_t half = channel / kHalf;
    if (half == 1 && apart == 0) return;
    const int64_t group = b * next + half * apart;
    store_four(output + at.element + (group * kPixels + pixel) * at.stride + channel % kHalf, y, lane, 4);
  }
};

template <int kVector>
TORCHQ_INLINE void set_quads(const PixelPair& first, const PixelPair& second, I32 (&x)[kQuadVectors]) {
  x[kVector] = quads_of<kVector>(first, second);
  if constexpr (kVector + 1 < kQuadVectors) set_quads<kVector + 1>(first, second, x);
}

template <typename Blocks>
TORCHQ_INLINE void load_quads(const Blocks& blocks, const uint8_t* const* pixels, int b, bool flip,
                              I32 (&x)[kQuadVectors]) {
  const PixelPair first = blocks.load(pixels[0], pixels[1], b, flip);
  const PixelPair second = blocks.load(pixels[2], pixels[3], b, flip);
  set_quads<0>(first, second, x);
}

// kPixels outputs of each group, kBlocks blocks of them. The blocks share what is loaded of the weights.
template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void accumulate(const DepthwiseArgs& args, const DepthwisePixels& pixels, const Blocks& blocks,
                              const int32_t* block, I32 (&acc)[kBlocks][kPixels][kQuadVectors]) {
  constexpr int64_t kSet = kQuadParts * kBlock;
  const int32_t* weights = block + 4 * kBlock;
  const int64_t quads = args.quads();
  for (int64_t quad = 0; quad < quads; ++quad, weights += outputs_of(args) * kSet) {
    I32 x[kBlocks][kQuadVectors];
#pragma GCC unroll 2
    for (int g = 0; g < kBlocks; ++g) load_quads(blocks, pixels.pixels + 4 * quad, g, args.signed_input, x[g]);
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel) {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        const QuadWeights w = load_quad_weights(weights + pixel * kSet, v);
#pragma GCC unroll 2
        for (int g = 0; g < kBlocks; ++g) multiply_add_quads(acc[g][pixel][v], x[g][v], w);
      }
    }
  }
}

// Asymmetric weights: the sum of x over the taps of each channel, times the weight's zero point, is taken off.
template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void subtract_weight_zero_points(const DepthwiseArgs& args, const DepthwisePixels& pixels,
                                               const Blocks& blocks, const int32_t* block,
                                               I32 (&acc)[kBlocks][kPixels][kQuadVectors]) {
  const int32_t* taps = block + counted_from(args);
  for (int64_t quad = 0; quad < args.quads(); ++quad, taps += outputs_of(args)) {
    I32 x[kBlocks][kQuadVectors];
#pragma GCC unroll 2
    for (int g = 0; g < kBlocks; ++g) load_quads(blocks, pixels.pixels + 4 * quad, g, args.signed_input, x[g]);
    // Keeps GCC from loading the zero points before the loop: there are no registers for them.
    __asm__ volatile("" : : : "memory");
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      const QuadWeights counted = set_quad_weights(static_cast<uint32_t>(taps[pixel]));
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        const I32 zero_point = load(block + 3 * kBlock + 16 * v);
#pragma GCC unroll 2
        for (int g = 0; g < kBlocks; ++g) {
          I32 sum = set(int32_t{0});
          multiply_add_quads(sum, x[g][v], counted);
          acc[g][pixel][v] = acc[g][pixel][v] - sum * zero_point;
        }
      }
    }
  }
}

template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void store_floats(const DepthwiseArgs& args, const Blocks& blocks, const int32_t* block,
                                const I32 (&acc)[kBlocks][kPixels][kQuadVectors], float* output) {
  const auto* biases = reinterpret_cast<const float*>(block + kBlock);
#pragma GCC unroll 4
  for (int i = 0; i < kBlocks * kPixels; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kQuadVectors; ++v) {
      const F32 bias = load(biases + 16 * v), scale = load(biases + kBlock + 16 * v);
      F32 y = fma(to_f32(acc[i / kPixels][i % kPixels][v]), scale, bias);
      if (args.relu) y = max(set(0.0f), y);
#pragma GCC unroll 4
      for (int lane = 0; lane < 16; lane += 4) {
        blocks.store(i / kPixels, i % kPixels, y, lane, quad_channel(v, lane), output);
      }
    }
  }
}

template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void store_bytes_of(bool bounded, const Blocks& blocks, const int32_t* block, const ByteRange& range,
                                  const I32 (&acc)[kBlocks][kPixels][kQuadVectors], uint8_t* output) {
  const auto* biases = reinterpret_cast<const float*>(block + kBlock);
  F32 y[kBlocks * kPixels][kQuadVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kQuadVectors; ++v) {
    const F32 bias = load(biases + 16 * v), scale = load(biases + kBlock + 16 * v);
#pragma GCC unroll 4
    for (int i = 0; i < kBlocks * kPixels; ++i) y[i][v] = (to_f32(acc[i / kPixels][i % kPixels][v]) + bias) * scale;
  }
#pragma GCC unroll 4
  for (int i = 0; i < kBlocks * kPixels; ++i) {
    if (!bounded) {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) y[i][v] = below_ceiling(y[i][v]);
    }
    blocks.store(i / kPixels, i % kPixels, y[i], range, output);
  }
}

template <int kBlocks, int kPixels>
TORCHQ_INLINE void start(const int32_t* block, I32 (&acc)[kBlocks][kPixels][kQuadVectors]) {
#pragma GCC unroll 4
  for (int i = 0; i < kBlocks * kPixels; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kQuadVectors; ++v) acc[i / kPixels][i % kPixels][v] = load(block + 16 * v);
}

template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void finish(const DepthwiseArgs& args, const DepthwisePixels& pixels, const Blocks& blocks,
                          const int32_t* block, const ByteRange& range, I32 (&acc)[kBlocks][kPixels][kQuadVectors],
                          void* output) {
  if (args.weight_zero_points != nullptr) subtract_weight_zero_points(args, pixels, blocks, block, acc);
  if (args.to_float) {
    store_floats(args, blocks, block, acc, static_cast<float*>(output));
  } else {
    store_bytes_of(args.bounded, blocks, block, range, acc, static_cast<uint8_t*>(output));
  }
}

// Inlined, so that whole blocks, where their width is a constant, need no masks.
template <int kBlocks, int kPixels, typename Blocks>
TORCHQ_INLINE void run_groups(const DepthwiseArgs& args, const DepthwisePixels& pixels, const Blocks& blocks,
                              const int32_t* block, const ByteRange& range, void* output) {
  I32 acc[kBlocks][kPixels][kQuadVectors];
  start(block, acc);
  accumulate(args, pixels, blocks, block, acc);
  finish(args, pixels, blocks, block, range, acc, output);
}

// A quad of two neighbouring groups, of pixels in pairs: the first and second, and the second and third.
template <int kVector>
TORCHQ_INLINE void accumulate_pairs(const int32_t* weights, const PixelPair (&pairs)[3],
                                    I32 (&acc)[2][2][kQuadVectors]) {
  const I32 x = quads_of<kVector>(pairs[0], pairs[1]), y = quads_of<kVector>(pairs[1], pairs[2]);
#pragma GCC unroll 2
  for (int pixel = 0; pixel < 2; ++pixel) {
    const QuadWeights w = load_quad_weights(weights + pixel * kQuadParts * kBlock, kVector);
    multiply_add_quads(acc[0][pixel][kVector], x, w);
    multiply_add_quads(acc[1][pixel][kVector], y, w);
  }
  // Keeps GCC from loading what comes next already: there are no registers for it.
  __asm__ volatile("" : : : "memory");
  if constexpr (kVector + 1 < kQuadVectors) accumulate_pairs<kVector + 1>(weights, pairs, acc);
}

// Groups of pairs, two at a time, `steps` times: two pixels that are interleaved for one group serve the next one too.
template <int kQuads, typename Blocks>
TORCHQ_INLINE void run_carried(const DepthwiseArgs& args, const DepthwisePixels& pixels, Blocks blocks, int64_t steps,
                               const int32_t* block, const ByteRange& range, void* output) {
  const uint8_t* last[kQuads][2];
  PixelPair carried[kQuads];
#pragma GCC unroll 3
  for (int quad = 0; quad < kQuads; ++quad) {
    const uint8_t* const* p = pixels.pixels + 4 * quad;
    carried[quad] = blocks.load(p[0], p[1], 0, args.signed_input);
    last[quad][0] = p[2];
    last[quad][1] = p[3];
  }
  for (; steps > 0; --steps, blocks.at.pixel += 2 * blocks.at.step, blocks.at.element += 4 * blocks.at.stride) {
    I32 acc[2][2][kQuadVectors];
    start(block, acc);
    const int32_t* weights = block + 4 * kBlock;
#pragma GCC unroll 3
    for (int quad = 0; quad < kQuads; ++quad, weights += 2 * kQuadParts * kBlock) {
      const PixelPair pairs[3] = {carried[quad], blocks.load(last[quad][0], last[quad][1], 0, args.signed_input),
                                  blocks.load(last[quad][0], last[quad][1], 1, args.signed_input)};
      accumulate_pairs<0>(weights, pairs, acc);
      carried[quad] = pairs[2];
    }
    store_bytes_of(true, blocks, block, range, acc, static_cast<uint8_t*>(output));
  }
}

// What there are registers for: the usual outputs of a kernel of kCarriedQuads rows of three.
TORCHQ_INLINE bool carries(const DepthwiseArgs& args) {
  return args.pair_step == 1 && args.kernel_width == 3 && args.kernel_rows == kCarriedQuads && args.bounded &&
         !args.to_float && args.weight_zero_points == nullptr;
}

// All groups of a block, whose weights stay in the nearest cache. Not inlined: each kind of block and each number of
// pixels has registers of its own.
template <int kPixels>
__attribute__((noinline)) void run_whole_block(const DepthwiseArgs& args, const DepthwisePixels& pixels,
                                               int64_t channel, const int32_t* block, const ByteRange& range,
                                               void* output) {
  int64_t group = 0;
  if constexpr (kPixels == 2 && kCarriedQuads > 0) {
    if (carries(args) && pixels.groups >= 2) {
      const WholeBlocks<2> blocks{place_of<2>(args, pixels, 0, channel), kBlock};
      run_carried<kCarriedQuads>(args, pixels, blocks, pixels.groups / 2, block, range, output);
      group = pixels.groups / 2 * 2;
    }
  }
  for (; group + kQuadGroups <= pixels.groups; group += kQuadGroups) {
    const WholeBlocks<kPixels> blocks{place_of<kPixels>(args, pixels, group, channel), kBlock};
    run_groups<kQuadGroups, kPixels>(args, pixels, blocks, block, range, output);
  }
  for (; group < pixels.groups; ++group) {
    const WholeBlocks<kPixels> blocks{place_of<kPixels>(args, pixels, group, channel), kBlock};
    run_groups<1, kPixels>(args, pixels, blocks, block, range, output);
  }
}

template <int kPixels>
__attribute__((noinline)) void run_half_block(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t channel,
                                              const int32_t* block, const ByteRange& range, void* output) {
  int64_t group = 0;
  if constexpr (kPixels == 2 && kCarriedQuads > 0) {
    if (carries(args) && pixels.groups >= 4) {
      const int64_t steps = pixels.groups / 4;
      const HalfBlocks<2> blocks{place_of<2>(args, pixels, 0, channel), 2 * steps, 1};
      run_carried<kCarriedQuads>(args, pixels, blocks, steps, block, range, output);
      group = 4 * steps;
    }
  }
  for (; group + 2 * kQuadGroups <= pixels.groups; group += 2 * kQuadGroups) {
    const HalfBlocks<kPixels> blocks{place_of<kPixels>(args, pixels, group, channel), 1, 2};
    run_groups<kQuadGroups, kPixels>(args, pixels, blocks, block, range, output);
  }
  for (; group < pixels.groups; group += 2) {
    const int64_t apart = group + 1 < pixels.groups ? 1 : 0;
    const HalfBlocks<kPixels> blocks{place_of<kPixels>(args, pixels, group, channel), apart, 2};
    run_groups<1, kPixels>(args, pixels, blocks, block, range, output);
  }
}

// Of fewer channels than the smallest block has.
template <int kPixels>
__attribute__((noinline)) void run_all_channels(const DepthwiseArgs& args, const DepthwisePixels& pixels,
                                                const int32_t* block, const ByteRange& range, void* output) {
  for (int64_t group = 0; group < pixels.groups; ++group) {
    const WholeBlocks<kPixels> blocks{place_of<kPixels>(args, pixels, group, 0), args.channels};
    run_groups<1, kPixels>(args, pixels, blocks, block, range, output);
  }
}

template <int kPixels>
void run_blocks(const DepthwiseArgs& args, const DepthwisePixels& pixels, const int32_t* block, const ByteRange& range,
                void* output) {
  for (int64_t next = 0; next < args.channels; block += block_lines(args) * 16) {
    const ChannelBlock channels = channel_block(args.channels, next);
    next = end_of(channels);
    if (channels.width == kBlock) {
      run_whole_block<kPixels>(args, pixels, channels.start, block, range, output);
    } else if (kQuadHalves && channels.width == kHalf) {
      if constexpr (kQuadHalves) run_half_block<kPixels>(args, pixels, channels.start, block, range, output);
    } else {
      run_all_channels<kPixels>(args, pixels, block, range, output);
    }
  }
}

void run(const DepthwiseArgs& args, const void* prepared, const DepthwisePixels& pixels, void* output) {
  const auto* block = static_cast<const int32_t*>(prepared);
  const int32_t qmin = args.signed_output ? -128 : 0;
  const int32_t lowest = args.relu && args.output_zero_point > qmin ? args.output_zero_point : qmin;
  const ByteRange range = byte_range(args.output_zero_point, lowest, args.signed_output);
  if (pixels.pairs) return run_blocks<2>(args, pixels, block, range, output);
  DepthwiseArgs joined = args;
  joined.channels *= pixels.together;
  run_blocks<1>(joined, pixels, block, range, output);
}

constexpr DepthwiseKernels kDepthwiseKernels = {kBlock, kQuadHalves ? kHalf : kBlock, prepared_lines, prepare, run};
