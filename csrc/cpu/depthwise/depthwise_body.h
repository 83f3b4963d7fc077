// Floor 1, for every level. depthwise.h says what is computed.
//
// Channels go in blocks of 16 * kQuadVectors. Interleaving leaves a block's channels in an order of the
// level's own (quad_channel); `prepare` puts weights and parameters into that order, and store_quads undoes
// it on the way out. Activations are u8 in the loop; s8 ones are flipped, and their zero point moves along by
// 128.

constexpr int64_t kBlock = 16 * kQuadVectors;

// A prepared block: start, bias, scale, zero points, then the weights of each quad, for the first pixel and,
// of pairs, the second; kQuadVectors vectors each.
TORCHQ_INLINE int64_t block_vectors(const DepthwiseArgs& args) {
  return kQuadVectors * (4 + args.quads * (args.pairs ? 2 : 1));
}

int64_t prepared_lines(const DepthwiseArgs& args) {
  return (args.channels + kBlock - 1) / kBlock * block_vectors(args);
}

TORCHQ_INLINE void prepare_channel(const DepthwiseArgs& args, int64_t channel, int slot, int32_t* block) {
  const int32_t zero_point = args.input_zero_point + (args.signed_input ? 128 : 0);
  const int32_t weight_zero = args.weight_zero_points != nullptr ? args.weight_zero_points[channel] : 0;
  auto* values = reinterpret_cast<float*>(block);
  // Unsigned, so that it wraps as the accumulators do.
  const auto shift = static_cast<uint32_t>(args.taps * weight_zero) - static_cast<uint32_t>(args.column_sums[channel]);
  block[slot] = static_cast<int32_t>(static_cast<uint32_t>(zero_point) * shift);
  const float s = args.input_scale * args.weight_scales[channel];
  const float bias = args.bias != nullptr ? args.bias[channel] : -0.0f;  // x + -0 is x, +0 and -0 too
  values[kBlock + slot] = args.to_float ? bias : bias / s;
  values[2 * kBlock + slot] = args.to_float ? s : s / args.output_scale;
  block[3 * kBlock + slot] = weight_zero;
  const int8_t* panel = args.panels + channel / 16 * args.quads * 64 + channel % 16 * 4;
  int32_t* weights = block + 4 * kBlock + slot;
  for (int64_t quad = 0; quad < args.quads; ++quad) {
    uint32_t four;
    __builtin_memcpy(&four, panel + quad * 64, 4);
    *weights = static_cast<int32_t>(four);
    weights += kBlock;
    if (!args.pairs) continue;
    *weights = static_cast<int32_t>(four << 8);
    weights += kBlock;
  }
}

void prepare(const DepthwiseArgs& args, void* prepared) {
  auto* block = static_cast<int32_t*>(prepared);
  const int64_t block_size = block_vectors(args) * 16;
  for (int64_t i = 0; i < prepared_lines(args) * 16; ++i) block[i] = 0;
  for (int64_t first = 0; first < args.channels; first += kBlock, block += block_size) {
    for (int vector = 0; vector < kQuadVectors; ++vector) {
      for (int lane = 0; lane < 16; ++lane) {
        const int64_t channel = first + quad_channel(vector, lane);
        if (channel < args.channels) prepare_channel(args, channel, 16 * vector + lane, block);
      }
    }
  }
}

template <int kPixels>
TORCHQ_INLINE void accumulate(const DepthwiseArgs& args, const uint8_t* const* pixels, int64_t channel,
                              const int32_t* block, I32 (&acc)[kPixels][kQuadVectors]) {
  const int64_t part = args.channels - channel;
  const int32_t* weights = block + 4 * kBlock;
  for (int64_t quad = 0; quad < args.quads; ++quad, pixels += 4) {
    I32 x[kQuadVectors];
    load_quads(pixels, channel, part, args.signed_input, x);
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel, weights += kBlock) {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) multiply_add_quads(acc[pixel][v], x[v], load(weights + 16 * v));
    }
    if (args.pairs && kPixels == 1) weights += kBlock;
  }
}

// Asymmetric weights: the sum of x over the taps of each channel, times the weight's zero point, is taken
// off.
template <int kPixels>
TORCHQ_INLINE void subtract_weight_zero_points(const DepthwiseArgs& args, const uint8_t* const* pixels, int64_t channel,
                                               const int32_t* block, I32 (&acc)[kPixels][kQuadVectors]) {
  const int64_t part = args.channels - channel;
  for (int64_t quad = 0; quad < args.quads; ++quad, pixels += 4) {
    I32 x[kQuadVectors];
    load_quads(pixels, channel, part, args.signed_input, x);
    const int64_t left = args.row_quads ? 3 : args.taps - 4 * quad;
    const uint32_t ones = left >= 4 ? 0x01010101u : 0x01010101u >> (8 * (4 - left));
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      const I32 counted = set(static_cast<int32_t>(ones << (8 * pixel)));
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        I32 sum = set(int32_t{0});
        multiply_add_quads(sum, x[v], counted);
        acc[pixel][v] = acc[pixel][v] - sum * load(block + 3 * kBlock + 16 * v);
      }
    }
  }
}

template <int kPixels>
TORCHQ_INLINE void finish(const DepthwiseArgs& args, const int32_t* block, int64_t channel, const ByteRange& range,
                          const I32 (&acc)[kPixels][kQuadVectors], void* output, int64_t first_pixel) {
  const int64_t part = args.channels - channel;
  const auto* bias = reinterpret_cast<const float*>(block + kBlock);
  const auto* scale = bias + kBlock;
#pragma GCC unroll 2
  for (int pixel = 0; pixel < kPixels; ++pixel) {
    F32 y[kQuadVectors];
    const int64_t element = (first_pixel + pixel) * args.channels + channel;
    if (args.to_float) {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) {
        y[v] = fma(to_f32(acc[pixel][v]), load(scale + 16 * v), load(bias + 16 * v));
        if (args.relu) y[v] = max(set(0.0f), y[v]);
#pragma GCC unroll 4
        for (int lane = 0; lane < 16; lane += 4) {
          const int64_t offset = quad_channel(v, lane);
          store_four(static_cast<float*>(output) + element + offset, y[v], lane, part - offset);
        }
      }
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v)
        y[v] = (to_f32(acc[pixel][v]) + load(bias + 16 * v)) * load(scale + 16 * v);
      store_quads(static_cast<uint8_t*>(output) + element, y, range, part);
    }
  }
}

template <int kPixels>
TORCHQ_INLINE void run_group(const DepthwiseArgs& args, const int32_t* block, const uint8_t* const* pixels,
                             const ByteRange& range, void* output, int64_t first_pixel) {
  for (int64_t channel = 0; channel < args.channels; channel += kBlock, block += block_vectors(args) * 16) {
    I32 acc[kPixels][kQuadVectors];
#pragma GCC unroll 2
    for (int pixel = 0; pixel < kPixels; ++pixel)
#pragma GCC unroll 4
      for (int v = 0; v < kQuadVectors; ++v) acc[pixel][v] = load(block + 16 * v);
    accumulate<kPixels>(args, pixels, channel, block, acc);
    if (args.weight_zero_points != nullptr) subtract_weight_zero_points<kPixels>(args, pixels, channel, block, acc);
    finish<kPixels>(args, block, channel, range, acc, output, first_pixel);
  }
}

void run(const DepthwiseArgs& args, const void* prepared, const uint8_t* const* pixels, int64_t groups, bool odd,
         void* output) {
  const auto* block = static_cast<const int32_t*>(prepared);
  const int32_t qmin = args.signed_output ? -128 : 0;
  const int32_t lowest = args.relu && args.output_zero_point > qmin ? args.output_zero_point : qmin;
  const ByteRange range = byte_range(args.output_zero_point, lowest, args.signed_output);
  const int64_t pairs = args.pairs ? groups - (odd ? 1 : 0) : 0;
  for (int64_t group = 0; group < pairs; ++group, pixels += 4 * args.quads)
    run_group<2>(args, block, pixels, range, output, 2 * group);
  for (int64_t group = pairs; group < groups; ++group, pixels += 4 * args.quads)
    run_group<1>(args, block, pixels, range, output, args.pairs ? 2 * group : group);
}
