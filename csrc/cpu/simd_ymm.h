// Floor 1. Sixteen lanes in two ymm: what the levels with AVX2 have in common. Included inside their target regions by
// their simd_<isa>.h; simd_scalar.h says what each function means.

struct F32 {
  __m256 lo, hi;
};
struct I32 {
  __m256i lo, hi;
};

TORCHQ_INLINE F32 set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TORCHQ_INLINE I32 set(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }

TORCHQ_INLINE __m128i load_half(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
TORCHQ_INLINE __m256i load_ymm(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

TORCHQ_INLINE F32 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TORCHQ_INLINE I32 load(const int32_t* p) { return {load_ymm(p), load_ymm(p + 8)}; }
TORCHQ_INLINE I32 load(const uint8_t* p) {
  return {_mm256_cvtepu8_epi32(load_half(p)), _mm256_cvtepu8_epi32(load_half(p + 8))};
}
TORCHQ_INLINE I32 load(const int8_t* p) {
  return {_mm256_cvtepi8_epi32(load_half(p)), _mm256_cvtepi8_epi32(load_half(p + 8))};
}

// AVX2 has no masks for bytes: a part goes through a buffer.
template <typename T>
TORCHQ_INLINE auto load_part(const T* p, int64_t n) {
  if (n >= 16) return load(p);
  T buffer[16] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}

TORCHQ_INLINE void store(float* p, F32 x) {
  _mm256_storeu_ps(p, x.lo);
  _mm256_storeu_ps(p + 8, x.hi);
}
TORCHQ_INLINE void store(int32_t* p, I32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), x.hi);
}
TORCHQ_INLINE void store(uint8_t* p, I32 x) {
  const __m256i low_bytes = _mm256_set1_epi32(0xff);
  const __m256i words = _mm256_packus_epi32(_mm256_and_si256(x.lo, low_bytes), _mm256_and_si256(x.hi, low_bytes));
  const __m256i bytes = _mm256_packus_epi16(words, words);  // dwords: lanes 0-3, 8-11, .., 4-7, 12-15
  const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(ordered));
}
template <typename T, typename V>
TORCHQ_INLINE void store_part(T* p, V x, int64_t n) {
  if (n >= 16) return store(p, x);
  T buffer[16];
  store(buffer, x);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

TORCHQ_INLINE F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
TORCHQ_INLINE F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
TORCHQ_INLINE F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
TORCHQ_INLINE I32 operator+(I32 a, I32 b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
TORCHQ_INLINE I32 operator-(I32 a, I32 b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
TORCHQ_INLINE I32 operator*(I32 a, I32 b) { return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)}; }
TORCHQ_INLINE F32 fma(F32 a, F32 b, F32 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TORCHQ_INLINE F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
TORCHQ_INLINE F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
TORCHQ_INLINE I32 min(I32 a, I32 b) { return {_mm256_min_epi32(a.lo, b.lo), _mm256_min_epi32(a.hi, b.hi)}; }
TORCHQ_INLINE I32 max(I32 a, I32 b) { return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)}; }
TORCHQ_INLINE float reduce_min(F32 a) {
  float lane[16];
  store(lane, a);
  for (int i = 1; i < 16; ++i) lane[0] = lane[i] < lane[0] ? lane[i] : lane[0];
  return lane[0];
}
TORCHQ_INLINE float reduce_max(F32 a) {
  float lane[16];
  store(lane, a);
  for (int i = 1; i < 16; ++i) lane[0] = lane[i] > lane[0] ? lane[i] : lane[0];
  return lane[0];
}
TORCHQ_INLINE bool any_nan(F32 a) { return _mm256_movemask_ps(_mm256_cmp_ps(a.lo, a.hi, _CMP_UNORD_Q)) != 0; }

TORCHQ_INLINE F32 to_f32(I32 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
// vcvtps2dq would take its rounding mode from the thread; vroundps carries its own.
TORCHQ_INLINE __m256i round_half(__m256 a) {
  return _mm256_cvtps_epi32(_mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
TORCHQ_INLINE __m256i round_half_saturated(__m256 a) {
  const __m256 high = _mm256_cmp_ps(a, _mm256_set1_ps(2147483648.0f), _CMP_NLT_UQ);  // NaN too
  return _mm256_blendv_epi8(round_half(a), _mm256_set1_epi32(INT32_MAX), _mm256_castps_si256(high));
}
TORCHQ_INLINE I32 round_to_i32(F32 a) { return {round_half_saturated(a.lo), round_half_saturated(a.hi)}; }

TORCHQ_INLINE __m256 power_half(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
TORCHQ_INLINE F32 power_of_two(I32 n) { return {power_half(n.lo), power_half(n.hi)}; }
TORCHQ_INLINE F32 select_less(F32 a, F32 b, F32 x, F32 y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

struct ByteRange {
  __m256i offset, lowest, flip;
};
TORCHQ_INLINE ByteRange byte_range(int32_t offset, int32_t lowest, bool is_signed) {
  return {_mm256_set1_epi16(static_cast<int16_t>(is_signed ? offset + 128 : offset)),
          _mm256_set1_epi8(static_cast<char>(is_signed ? lowest + 128 : lowest)),
          _mm256_set1_epi8(static_cast<char>(is_signed ? 0x80 : 0))};
}
TORCHQ_INLINE F32 below_ceiling(F32 y) {
  const __m256 ceiling = _mm256_set1_ps(kInt32Ceiling);
  return {_mm256_min_ps(y.lo, ceiling), _mm256_min_ps(y.hi, ceiling)};
}
// Two vectors to bytes. The packs work within 128-bit lanes: dwords of the result are lanes 0-3 and 8-11 of a, the same
// of b, then 4-7 and 12-15 of a, and of b.
TORCHQ_INLINE __m256i narrow_to_words(F32 y, const ByteRange& range) {
  return _mm256_adds_epi16(_mm256_packs_epi32(round_half(y.lo), round_half(y.hi)), range.offset);
}
TORCHQ_INLINE __m256i narrow_within_lanes(F32 a, F32 b, const ByteRange& range) {
  const __m256i bytes = _mm256_packus_epi16(narrow_to_words(a, range), narrow_to_words(b, range));
  return _mm256_xor_si256(_mm256_max_epu8(bytes, range.lowest), range.flip);
}
// The sixteen bytes of a, then those of b.
TORCHQ_INLINE __m256i narrow(F32 a, F32 b, const ByteRange& range) {
  return _mm256_permutevar8x32_epi32(narrow_within_lanes(a, b, range), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
TORCHQ_INLINE void store_sixteen(uint8_t* p, __m128i bytes, int64_t n) {
  if (n >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  uint8_t buffer[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(buffer), bytes);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}
TORCHQ_INLINE void store_two(uint8_t* p, uint8_t* q, F32 a, F32 b, const ByteRange& range, int64_t n, int64_t m) {
  const __m256i bytes = narrow(a, b, range);
  store_sixteen(p, _mm256_castsi256_si128(bytes), n);
  store_sixteen(q, _mm256_extracti128_si256(bytes, 1), m);
}
template <int kVectors>
TORCHQ_INLINE void store_bytes(uint8_t* p, const F32 (&y)[kVectors], const ByteRange& range, int64_t n) {
  int i = 0;
#pragma GCC unroll 2
  for (; i + 2 <= kVectors; i += 2, p += 32, n -= 32) store_two(p, p + 16, y[i], y[i + 1], range, n, n - 16);
  if (i < kVectors) store_sixteen(p, _mm256_castsi256_si128(narrow(y[i], y[i], range)), n);
}

TORCHQ_INLINE int64_t fill_pointers_in_eights(const uint8_t*, int64_t, int64_t, const uint8_t**) { return 0; }

// Quads (depthwise): 32 channels of four pixels, interleaved within 128-bit lanes.
constexpr int kQuadVectors = 2;
constexpr int kQuadGroups = 1;
constexpr int kCarriedQuads = 0;
constexpr int quad_channel(int vector, int lane) {
  return 16 * (lane % 8 / 4) + 8 * vector + 4 * (lane / 8) + lane % 4;
}
TORCHQ_INLINE __m256i load_pixel(const uint8_t* p, int64_t n) {
  if (n >= 32) return load_ymm(p);
  uint8_t buffer[32] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load_ymm(buffer);
}
struct PixelPair {
  __m256i low, high;
};
TORCHQ_INLINE PixelPair pair_of(__m256i a, __m256i b, bool flip) {
  const __m256i mask = _mm256_set1_epi8(static_cast<char>(flip ? 0x80 : 0));
  a = _mm256_xor_si256(a, mask), b = _mm256_xor_si256(b, mask);
  return {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
}
template <int kVector>
TORCHQ_INLINE I32 quads_of(const PixelPair& first, const PixelPair& second) {
  if (kVector == 0) return {_mm256_unpacklo_epi16(first.low, second.low), _mm256_unpackhi_epi16(first.low, second.low)};
  return {_mm256_unpacklo_epi16(first.high, second.high), _mm256_unpackhi_epi16(first.high, second.high)};
}
TORCHQ_INLINE void store_quads(uint8_t* p, const F32 (&y)[kQuadVectors], const ByteRange& range, int64_t n) {
  const __m256i bytes = narrow_within_lanes(y[0], y[1], range);
  uint8_t buffer[32];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(n >= 32 ? p : buffer), bytes);
  for (int64_t i = 0; n < 32 && i < n; ++i) p[i] = buffer[i];
}
constexpr bool kQuadHalves = true;
TORCHQ_INLINE __m256i load_pixel_halves(const uint8_t* p, int64_t step) {
  const __m256i first = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_inserti128_si256(first, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + step)), 1);
}
#include "simd_x86.h"

TORCHQ_INLINE void store_quad_halves(uint8_t* p, uint8_t* q, const F32 (&y)[kQuadVectors], const ByteRange& range) {
  const __m256i bytes = narrow_within_lanes(y[0], y[1], range);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm256_extracti128_si256(bytes, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(bytes));
}
TORCHQ_INLINE void store_four(float* p, F32 x, int first, int64_t n) {
  float lane[16];
  store(lane, x);
  for (int64_t i = 0; i < 4 && i < n; ++i) p[i] = lane[first + i];
}

// Grouped convolution's: eight columns at a time.
constexpr int kGroupParts = 2;
struct Channels {
  __m256i v;  // the sixteen, twice
};
TORCHQ_INLINE Channels load_channels(const uint8_t* p, int64_t n, bool flip) {
  uint8_t buffer[16] = {};
  for (int64_t i = 0; n < 16 && i < n; ++i) buffer[i] = p[i];
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(n >= 16 ? p : buffer));
  const __m256i twice = _mm256_broadcastsi128_si256(bytes);
  return {flip ? _mm256_xor_si256(twice, _mm256_set1_epi8(-128)) : twice};
}

constexpr int kBytes = 32;
struct Bytes {
  __m256i v;
};
TORCHQ_INLINE Bytes set_bytes(uint8_t x) { return {_mm256_set1_epi8(static_cast<char>(x))}; }
TORCHQ_INLINE Bytes load_block(const uint8_t* p, int64_t n) { return {load_pixel(p, n)}; }
TORCHQ_INLINE void store_block(uint8_t* p, Bytes x, int64_t n) {
  uint8_t buffer[32];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(n >= 32 ? p : buffer), x.v);
  for (int64_t i = 0; n < 32 && i < n; ++i) p[i] = buffer[i];
}
TORCHQ_INLINE Bytes max(Bytes a, Bytes b) { return {_mm256_max_epu8(a.v, b.v)}; }
TORCHQ_INLINE Bytes min(Bytes a, Bytes b) { return {_mm256_min_epu8(a.v, b.v)}; }
TORCHQ_INLINE Bytes operator^(Bytes a, Bytes b) { return {_mm256_xor_si256(a.v, b.v)}; }

// A shuffle looks up 16 entries by the low half of an index; the other half chooses one of sixteen results, bit by bit.
constexpr int kTableBytes = 32;
struct ByteTable {
  const uint8_t* bytes;
};
TORCHQ_INLINE ByteTable load_table(const uint8_t* p) { return {p}; }
template <int kBit>
TORCHQ_INLINE __m256i lookup_part(const uint8_t* entries, __m256i low, const __m256i (&bits)[4]) {
  if constexpr (kBit < 0) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(entries));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen), low);
  } else {
    const __m256i zero = lookup_part<kBit - 1>(entries, low, bits);
    return _mm256_blendv_epi8(zero, lookup_part<kBit - 1>(entries + (16 << kBit), low, bits), bits[kBit]);
  }
}
TORCHQ_INLINE void lookup_bytes(const ByteTable& table, const uint8_t* q, uint8_t* y) {
  const __m256i index = load_ymm(q);
  // Bits 4 to 7, each in the place of the highest, which is what a blend looks at.
  const __m256i bits[4] = {_mm256_slli_epi16(index, 3), _mm256_slli_epi16(index, 2), _mm256_slli_epi16(index, 1),
                           index};
  const __m256i low = _mm256_and_si256(index, _mm256_set1_epi8(0x0f));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), lookup_part<3>(table.bytes, low, bits));
}
