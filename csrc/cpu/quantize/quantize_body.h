// Floor 1, for every level. quantize.h says what is computed.

template <bool kPerElement>
TORCHQ_INLINE F32 channel_values(const float* p, int64_t i, int64_t n) {
  if (kPerElement) return load_part(p + i, n);
  return set(*p);
}

template <bool kFused, bool kPerElement>
TORCHQ_INLINE F32 scaled(const float* x, const float* inverse_scale, const float* zero_point, int64_t i, int64_t n) {
  const F32 inverse = channel_values<kPerElement>(inverse_scale, i, n);
  const F32 zero = channel_values<kPerElement>(zero_point, i, n);
  const F32 value = load_part(x + i, n);
  return kFused ? fma(value, inverse, zero) : value * inverse + zero;
}

template <bool kFused, bool kPerElement>
void quantize_bytes(const float* x, int64_t n, const float* inverse_scale, const float* zero_point, bool is_signed,
                    uint8_t* q) {
  const ByteRange range = byte_range(0, is_signed ? -128 : 0, is_signed);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    F32 y[4];
    for (int j = 0; j < 4; ++j)
      y[j] = below_ceiling(scaled<kFused, kPerElement>(x, inverse_scale, zero_point, i + 16 * j, 16));
    store_bytes(q + i, y, range, 64);
  }
  for (; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    const F32 y[1] = {below_ceiling(scaled<kFused, kPerElement>(x, inverse_scale, zero_point, i, part))};
    store_bytes(q + i, y, range, part);
  }
}

template <bool kFused, bool kPerElement>
void quantize_to(const float* x, int64_t n, const float* inverse_scale, const float* zero_point, Storage storage,
                 void* q) {
  if (storage != Storage::s32)
    return quantize_bytes<kFused, kPerElement>(x, n, inverse_scale, zero_point, storage == Storage::s8,
                                               static_cast<uint8_t*>(q));
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    const F32 y = scaled<kFused, kPerElement>(x, inverse_scale, zero_point, i, part);
    store_part(static_cast<int32_t*>(q) + i, round_to_i32(y), part);
  }
}

void quantize(const float* x, int64_t n, const float* inverse_scale, const float* zero_point, bool per_element,
              bool fused, Storage storage, void* q) {
  if (fused && per_element) return quantize_to<true, true>(x, n, inverse_scale, zero_point, storage, q);
  if (fused) return quantize_to<true, false>(x, n, inverse_scale, zero_point, storage, q);
  if (per_element) return quantize_to<false, true>(x, n, inverse_scale, zero_point, storage, q);
  return quantize_to<false, false>(x, n, inverse_scale, zero_point, storage, q);
}

template <typename T>
TORCHQ_INLINE void dequantize_bytes(const T* q, int64_t n, float scale, int32_t zero_point, float* x) {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t part = n - i < 16 ? n - i : 16;
    store_part(x + i, to_f32(load_part(q + i, part) - set(zero_point)) * set(scale), part);
  }
}

void dequantize(const void* q, int64_t n, float scale, int32_t zero_point, Storage storage, float* x) {
  if (storage == Storage::u8) return dequantize_bytes(static_cast<const uint8_t*>(q), n, scale, zero_point, x);
  if (storage == Storage::s8) return dequantize_bytes(static_cast<const int8_t*>(q), n, scale, zero_point, x);
  for (int64_t i = 0; i < n; ++i) x[i] = dequantize_int32(static_cast<const int32_t*>(q)[i], scale, zero_point);
}

void min_max(const float* x, int64_t n, float* least, float* most) {
  F32 low[2] = {set(*least), set(*least)};
  F32 high[2] = {set(*most), set(*most)};
  F32 poison = set(0.0f);  // x * 0 is NaN for NaN and infinity
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 2; ++j) {
      const F32 value = load(x + i + 16 * j);
      low[j] = min(value, low[j]);
      high[j] = max(value, high[j]);
      poison = fma(value, set(0.0f), poison);
    }
  }
  float lowest = reduce_min(min(low[0], low[1]));
  float highest = reduce_max(max(high[0], high[1]));
  bool finite = !any_nan(poison);
  for (; i < n; ++i) {
    lowest = x[i] < lowest ? x[i] : lowest;
    highest = x[i] > highest ? x[i] : highest;
    finite &= x[i] * 0.0f == 0.0f;
  }
  *least = finite ? lowest : __builtin_nanf("");
  *most = finite ? highest : __builtin_nanf("");
}
