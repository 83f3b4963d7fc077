// Floor 1, for every level. How channels go in blocks, and what is laid out of each; depthwise.h says what is computed.
//
// Blocks have 16 * kQuadVectors channels, or, where these would compute many channels twice, half as many, for two
// groups of pixels. Interleaving leaves a block's channels in an order of the level's own (quad_channel); `prepare`
// puts weights and parameters into that order.
#pragma once

#include "../lanes.h"

constexpr int64_t kBlock = 16 * kQuadVectors, kHalf = kBlock / 2;

// A prepared block: start, bias, scale, zero points, then the weights of each quad, for the first pixel and,
// of pairs, the second; kQuadVectors vectors each, of weights kQuadParts times as many.
TORCHQ_INLINE int64_t block_vectors(const DepthwiseArgs& args) {
  return kQuadVectors * (4 + args.quads * kQuadParts * (args.pairs ? 2 : 1));
}

// Where a block begins, and how many channels it has. The last one is no smaller than the others if there are enough
// channels: some of them are then computed twice.
struct ChannelBlock {
  int64_t start, width;
};
TORCHQ_INLINE ChannelBlock channel_block(int64_t channels, int64_t channel) {
  const int64_t left = channels - channel;
  int64_t width = channels;
  if (channels >= kBlock && !(kQuadHalves && left <= kHalf)) {
    width = kBlock;
  } else if (kQuadHalves && channels >= kHalf) {
    width = kHalf;
  }
  return {left < width ? channels - width : channel, width};
}

// The channel that the next block is for.
TORCHQ_INLINE int64_t end_of(const ChannelBlock& block) { return block.start + block.width; }

int64_t prepared_lines(const DepthwiseArgs& args) {
  int64_t lines = 0;
  for (int64_t channel = 0; channel < args.channels; channel = end_of(channel_block(args.channels, channel)))
    lines += block_vectors(args);
  return lines;
}

// Start, bias, scale and zero points of a block's channels, kBlock each, in order.
TORCHQ_INLINE bool prepare_parameters(const DepthwiseArgs& args, int64_t first, int32_t* ordered) {
  auto* values = reinterpret_cast<float*>(ordered);
  const I32 zero_point = set(args.input_zero_point + (args.signed_input ? 128 : 0));
  const F32 largest_sum = set(255.0f * 255.0f * static_cast<float>(args.taps));
  bool bounded = true;
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
    bounded &=
        far_below_ceiling(largest_sum, load_part(values + kBlock + i, part), load_part(values + 2 * kBlock + i, part));
  }
  return bounded;
}

bool prepare(const DepthwiseArgs& args, void* prepared) {
  bool bounded = true;
  auto* block = static_cast<int32_t*>(prepared);
  for (int64_t next = 0; next < args.channels;) {
    const ChannelBlock channels = channel_block(args.channels, next);
    const int64_t first = channels.start;
    // Channels that fill a part of a block are repeated, for several pixels in it.
    const int64_t distinct = kBlock % channels.width == 0 ? channels.width : kBlock;
    int32_t ordered[4 * kBlock] = {};
    bounded &= prepare_parameters(args, first, ordered);
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
    block += block_vectors(args) * 16;
    next = end_of(channels);
  }
  return bounded;
}
