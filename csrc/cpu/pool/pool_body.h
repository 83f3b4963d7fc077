// Floor 1, for every level. pool.h says what is computed.

template <bool kSigned>
TORCHQ_INLINE I32 channels_at(const Window& window, int64_t pixel, int64_t channel, int64_t n) {
  const uint8_t* p = window.pixels[pixel] + channel;
  return kSigned ? load_part(reinterpret_cast<const int8_t*>(p), n) : load_part(p, n);
}

template <bool kSigned>
TORCHQ_INLINE void average_channels(const Window& window, const AverageArgs& args, uint8_t* y) {
  const ByteRange range = byte_range(args.fused ? 0 : args.zero_point, kSigned ? -128 : 0, kSigned);
  const F32 inverse = set(args.inverse_divisor);
  const I32 start = set(static_cast<int32_t>(-window.count * args.zero_point));
  for (int64_t c = 0; c < window.channels; c += 16) {
    const int64_t part = window.channels - c < 16 ? window.channels - c : 16;
    I32 sum = start;
    for (int64_t i = 0; i < window.count; ++i) sum = sum + channels_at<kSigned>(window, i, c, part);
    const F32 v = to_f32(sum);
    const F32 mean = args.fused ? fma(v, inverse, set(static_cast<float>(args.zero_point))) : v * inverse;
    const F32 whole[1] = {below_ceiling(mean)};
    store_bytes(y + c, whole, range, part);
  }
}

void max_pool(const Window& window, uint8_t* y) {
  const Bytes flip = set_bytes(window.is_signed ? 128 : 0);  // to compare as uint8
  for (int64_t c = 0; c < window.channels; c += kBytes) {
    const int64_t part = window.channels - c;
    Bytes most = set_bytes(0);
    for (int64_t i = 0; i < window.count; ++i) most = max(most, load_block(window.pixels[i] + c, part) ^ flip);
    store_block(y + c, most ^ flip, part);
  }
}

void avg_pool(const Window& window, const AverageArgs& args, uint8_t* y) {
  if (window.is_signed) return average_channels<true>(window, args, y);
  return average_channels<false>(window, args, y);
}
