// Floor 1, for every level. How channels go in blocks, and what is laid out of each; depthwise.h says what is computed.
//
// Blocks have 16 * kQuadVectors channels, or, where these would compute many channels twice, half as many, for two
// groups of pixels. Interleaving leaves a block's channels in an order of the level's own (quad_channel); `prepare`
// puts weights and parameters into that order.
#pragma once

#include "../lanes.h"

constexpr int64_t kBlock = 16 * kQuadVectors, kHalf = kBlock / 2;

// How many outputs a quad has weights for.
TORCHQ_INLINE int64_t outputs_of(const DepthwiseArgs& args) { return args.pair_step > 0 ? 2 : 1; }

// A prepared block: start, bias, scale, zero points, kBlock of each; then the weights of each quad for each output,
// kQuadParts * kBlock; then, for each of these, a byte of 1 where it has a tap, up to a whole vector.
TORCHQ_INLINE int64_t counted_from(const DepthwiseArgs& args) {
  return kBlock * (4 + args.quads() * kQuadParts * outputs_of(args));
}
TORCHQ_INLINE int64_t block_lines(const DepthwiseArgs& args) {
  return (counted_from(args) + args.quads() * outputs_of(args) + 15) / 16;
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
    lines += block_lines(args);
  return lines;
}

// Start, bias, scale and zero points of a block's channels, kBlock each, in order.
TORCHQ_INLINE bool prepare_parameters(const DepthwiseArgs& args, int64_t first, int32_t* ordered) {
  auto* values = reinterpret_cast<float*>(ordered);
  const I32 zero_point = set(args.input_zero_point + (args.signed_input ? 128 : 0));
  const F32 largest_sum = set(255.0f * 255.0f * static_cast<float>(args.kernel_rows * args.kernel_width));
  bool bounded = true;
  for (int64_t i = 0; i < kBlock && first + i < args.channels; i += 16) {
    const int64_t channel = first + i;
    const int64_t part = args.channels - channel < 16 ? args.channels - channel : 16;
    const I32 weight_zero =
        args.weight_zero_points != nullptr ? load_part(args.weight_zero_points + channel, part) : set(int32_t{0});
    const F32 s = set(args.input_scale) * load_part(args.weight_scales + channel, part);
    F32 bias = set(-0.0f);  // x + -0 is x, +0 and -0 too
    if (args.bias != nullptr) bias = load_part(args.bias + channel, part);
    const I32 shift = set(static_cast<int32_t>(args.kernel_rows * args.kernel_width)) * weight_zero -
                      load_part(args.column_sums + channel, part);
    store_part(ordered + i, zero_point * shift, part);
    store_part(values + kBlock + i, args.to_float ? bias : bias / s, part);
    store_part(values + 2 * kBlock + i, args.to_float ? s : s / set(args.output_scale), part);
    store_part(ordered + 3 * kBlock + i, weight_zero, part);
    bounded &=
        far_below_ceiling(largest_sum, load_part(values + kBlock + i, part), load_part(values + 2 * kBlock + i, part));
  }
  return bounded;
}

// Where the weights of a quad for an output lie behind a channel's first in its panel, and which of them there are.
struct QuadSource {
  int64_t at[4];
  uint32_t mask;
};
TORCHQ_INLINE QuadSource quad_source(const DepthwiseArgs& args, int64_t quad, int64_t output) {
  QuadSource source{};
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t slot = 4 * quad + i, at = args.weight(slot / args.row_slots(), slot % args.row_slots(), output);
    if (at < 0) continue;
    source.at[i] = at / 4 * 64 + at % 4;
    source.mask |= 0xffu << (8 * i);
  }
  return source;
}
TORCHQ_INLINE uint32_t quad_weights(const QuadSource& source, const int8_t* weights) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(weights);
  uint32_t four = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) four |= static_cast<uint32_t>(bytes[source.at[i]]) << (8 * i);
  return four & source.mask;
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
    const int8_t* panels[kBlock];  // null for channels that there are not
    for (int slot = 0; slot < kBlock; ++slot) {
      const int64_t place = quad_channel(slot / 16, slot % 16) % distinct, channel = first + place;
      for (int field = 0; field < 4; ++field) block[field * kBlock + slot] = ordered[field * kBlock + place];
      panels[slot] =
          channel < args.channels ? args.panels + channel / 16 * args.panel_quads() * 64 + channel % 16 * 4 : nullptr;
    }
    int32_t *weights = block + 4 * kBlock, *counted = block + counted_from(args);
    for (int64_t quad = 0; quad < args.quads(); ++quad) {
      for (int64_t output = 0; output < outputs_of(args); ++output, weights += kQuadParts * kBlock) {
        const QuadSource source = quad_source(args, quad, output);
        *counted++ = static_cast<int32_t>(source.mask & 0x01010101u);
        for (int slot = 0; slot < kBlock; ++slot) {
          const uint32_t four = panels[slot] != nullptr ? quad_weights(source, panels[slot]) : 0;
          for (int part = 0; part < kQuadParts; ++part) weights[part * kBlock + slot] = quad_part(four, part);
        }
      }
    }
    block += block_lines(args) * 16;
    next = end_of(channels);
  }
  return bounded;
}
