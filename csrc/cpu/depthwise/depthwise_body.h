// Floor 1, for every level. depthwise.h says what is computed.
//
// Channels go in blocks of 16 * kQuadVectors. Interleaving leaves a block's channels in an order of the
// level's own (quad_channel); `prepare` puts weights and parameters into that order, and store_quads undoes
// it on the way out. Activations are u8 in the loop; s8 ones are flipped, and their zero point moves along by 128.

constexpr int64_t kBlock = 16 * kQuadVectors;

// A prepared block: start, bias, scale, zero points, then the weights of each quad, for the first pixel and,
// of pairs, the second; kQuadVectors vectors each, of weights kQuadParts times as many.
TORCHQ_INLINE int64_t block_vectors(const DepthwiseArgs& args) {
  return kQuadVectors * (4 + args.quads * kQuadParts * (args.pairs ? 2 : 1));
}

int64_t prepared_lines(const DepthwiseArgs& args) {
  return (args.channels + kBlock - 1) / kBlock * block_vectors(args);
}

// Start, bias, scale and zero points of a block's channels, kBlock each, in order.
TORCHQ_INLINE void prepare_parameters(const DepthwiseArgs& args, int64_t first, int32_t* ordered) {
  auto* values = reinterpret_cast<float*>(ordered);
  const I32 zero_point = set(args.input_zero_point + (args.signed_input ? 128 : 0));
  for (int64_t i = 0; i < kBlock && first + i < args.channels; i += 16) {
    const int64_t channel = first + i;
    const int64_t part = args.channels - channel < 16 ? args.channels - channel : 16;
    const I32 weight_zero =
        args.weight_zero_points != nullptr ? load_part(args.weight_zero_points + channel, part) : set(int32_t{0});
    const F32 s = set(args.input_scale) * load_part(args.weight_scales + channel, part);
    F32 bias = set(-0.0f);  // x + -0 is x, +0 and -0 too
    if (args.bias != nullptr) bias = load_part(args.bias + channel, part);
    const I32 shift = set(args.taps) * weight_zero - load_part(args.column_sums + channel, part);
    store_part(ordered + i, zero_point * shift, part);
    store_part(values + kBlock + i, args.to_float ? bias : bias / s, part);
    store_part(values + 2 * kBlock + i, args.to_float ? s : s / set(args.output_scale), part);
    store_part(ordered + 3 * kBlock + i, weight_zero, part);
  }
}

// Where a block begins. The last one is whole if there are enough channels: some of them are then computed twice.
TORCHQ_INLINE int64_t block_start(const DepthwiseArgs& args, int64_t block) {
  const int64_t start = block * kBlock, last = args.channels - kBlock;
  return start <= last || last < 0 ? start : last;
}

void prepare(const DepthwiseArgs& args, void* prepared) {
  auto* block = static_cast<int32_t*>(prepared);
  // Channels that fill a part of a block are repeated, for pixels taken together.
  const int64_t distinct = kBlock % args.channels == 0 ? args.channels : kBlock;
  for (int64_t i = 0; i * kBlock < args.channels; ++i, block += block_vectors(args) * 16) {
    const int64_t first = block_start(args, i);
    int32_t ordered[4 * kBlock] = {};
    prepare_parameters(args, first, ordered);
    for (int slot = 0; slot < kBlock; ++slot) {
      const int64_t place = quad_channel(slot / 16, slot % 16) % distinct, channel = first + place;
      for (int field = 0; field < 4; ++field) block[field * kBlock + slot] = ordered[field * kBlock + place];
      const int8_t* panel = args.panels + channel / 16 * args.quads * 64 + channel % 16 * 4;
      int32_t* weights = block + 4 * kBlock + slot;
      for (int64_t quad = 0; quad < args.quads; ++quad, panel += 64) {
        uint32_t four = 0;
        if (channel < args.channels) __builtin_memcpy(&four, panel, 4);
        for (int pixel = 0; pixel < (args.pairs ? 2 : 1); ++pixel, four <<= 8)
          for (int part = 0; part < kQuadParts; ++part, weights += kBlock) *weights = quad_part(four, part);
      }
    }
  }
}

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

// The interleaved pixels of a quad, of kGroups groups from `group` on.
template <int kGroups>
TORCHQ_INLINE void load_groups(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t group, int64_t quad,
                               int64_t channel, int64_t part, I32 (&x)[kGroups][kQuadVectors]) {
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g)
    load_quads(pixels.pixels + 4 * quad, channel + (group + g) * pixels.step, part, args.signed_input, x[g]);
}

// kPixels outputs of each group. The groups share what is loaded of the weights.
template <int kGroups, int kPixels>
TORCHQ_INLINE void accumulate(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t group, int64_t channel,
                              int64_t part, const int32_t* block, I32 (&acc)[kGroups][kPixels][kQuadVectors]) {
  constexpr int64_t kSet = kQuadParts * kBlock;
  const int32_t* weights = block + 4 * kBlock;
  for (int64_t quad = 0; quad < args.quads; ++quad, weights += args.pairs ? 2 * kSet : kSet) {
    I32 x[kGroups][kQuadVectors];
    load_groups(args, pixels, group, quad, channel, part, x);
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel) {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        const QuadWeights w = load_quad_weights(weights + pixel * kSet, v);
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g) multiply_add_quads(acc[g][pixel][v], x[g][v], w);
      }
    }
  }
}

// Asymmetric weights: the sum of x over the taps of each channel, times the weight's zero point, is taken off.
template <int kGroups, int kPixels>
TORCHQ_INLINE void subtract_weight_zero_points(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t group,
                                               int64_t channel, int64_t part, const int32_t* block,
                                               I32 (&acc)[kGroups][kPixels][kQuadVectors]) {
  for (int64_t quad = 0; quad < args.quads; ++quad) {
    I32 x[kGroups][kQuadVectors];
    load_groups(args, pixels, group, quad, channel, part, x);
    const int64_t left = args.row_quads ? 3 : args.taps - 4 * quad;
    const uint32_t ones = left >= 4 ? 0x01010101u : 0x01010101u >> (8 * (4 - left));
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      const QuadWeights counted = set_quad_weights(ones << (8 * pixel));
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        const I32 zero_point = load(block + 3 * kBlock + 16 * v);
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g) {
          I32 sum = set(int32_t{0});
          multiply_add_quads(sum, x[g][v], counted);
          acc[g][pixel][v] = acc[g][pixel][v] - sum * zero_point;
        }
      }
    }
  }
}

template <int kGroups, int kPixels>
TORCHQ_INLINE void store_floats(const DepthwiseArgs& args, const int32_t* block, int64_t part,
                                const I32 (&acc)[kGroups][kPixels][kQuadVectors], float* output) {
  const auto* biases = reinterpret_cast<const float*>(block + kBlock);
#pragma GCC unroll 4
  for (int i = 0; i < kGroups * kPixels; ++i, output += args.channels) {
#pragma GCC unroll 4
    for (int v = 0; v < kQuadVectors; ++v) {
      const F32 bias = load(biases + 16 * v), scale = load(biases + kBlock + 16 * v);
      F32 y = fma(to_f32(acc[i / kPixels][i % kPixels][v]), scale, bias);
      if (args.relu) y = max(set(0.0f), y);
#pragma GCC unroll 4
      for (int lane = 0; lane < 16; lane += 4) {
        const int64_t offset = quad_channel(v, lane);
        store_four(output + offset, y, lane, part - offset);
      }
    }
  }
}

template <int kGroups, int kPixels>
TORCHQ_INLINE void store_bytes_of(const DepthwiseArgs& args, const int32_t* block, int64_t part, const ByteRange& range,
                                  const I32 (&acc)[kGroups][kPixels][kQuadVectors], uint8_t* output) {
  const auto* biases = reinterpret_cast<const float*>(block + kBlock);
#pragma GCC unroll 4
  for (int i = 0; i < kGroups * kPixels; ++i, output += args.channels) {
    F32 y[kQuadVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kQuadVectors; ++v)
      y[v] = (to_f32(acc[i / kPixels][i % kPixels][v]) + load(biases + 16 * v)) * load(biases + kBlock + 16 * v);
    store_quads(output, y, range, part);
  }
}

// `part` channels from `channel` on. Inlined, so that whole blocks, where it is a constant, need no masks.
template <int kGroups, int kPixels>
TORCHQ_INLINE void run_groups(const DepthwiseArgs& args, const DepthwisePixels& pixels, int64_t group, int64_t channel,
                              int64_t part, const int32_t* block, const ByteRange& range, void* output) {
  I32 acc[kGroups][kPixels][kQuadVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kGroups * kPixels; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kQuadVectors; ++v) acc[i / kPixels][i % kPixels][v] = load(block + 16 * v);
  accumulate(args, pixels, group, channel, part, block, acc);
  if (args.weight_zero_points != nullptr) subtract_weight_zero_points(args, pixels, group, channel, part, block, acc);
  const int64_t element = group * kPixels * args.channels + channel;
  if (args.to_float) {
    store_floats(args, block, part, acc, static_cast<float*>(output) + element);
  } else {
    store_bytes_of(args, block, part, range, acc, static_cast<uint8_t*>(output) + element);
  }
}

// All groups, block by block: a block's weights stay in the nearest cache. Not inlined: each number of pixels has
// registers of its own.
template <int kPixels>
__attribute__((noinline)) void run_blocks(const DepthwiseArgs& args, const DepthwisePixels& pixels,
                                          const int32_t* block, const ByteRange& range, void* output) {
  for (int64_t i = 0; i * kBlock < args.channels; ++i, block += block_vectors(args) * 16) {
    int64_t group = 0;
    if (args.channels < kBlock) {
      for (; group < pixels.groups; ++group)
        run_groups<1, kPixels>(args, pixels, group, 0, args.channels, block, range, output);
      continue;
    }
    const int64_t channel = block_start(args, i);
    for (; group + kQuadGroups <= pixels.groups; group += kQuadGroups)
      run_groups<kQuadGroups, kPixels>(args, pixels, group, channel, kBlock, block, range, output);
    for (; group < pixels.groups; ++group)
      run_groups<1, kPixels>(args, pixels, group, channel, kBlock, block, range, output);
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

constexpr DepthwiseKernels kDepthwiseKernels = {kBlock, prepared_lines, prepare, run};
