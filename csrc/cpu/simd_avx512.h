// Floor 1. Sixteen lanes in one zmm. Included inside the target regions avx512_vnni and, with TORCHQ_AVX512_VBMI
// defined, avx512_vbmi; simd_scalar.h says what each function means.

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};

TORCHQ_INLINE __mmask16 lanes(int64_t n) {
  return n >= 16 ? 0xffff : n <= 0 ? 0 : static_cast<__mmask16>((1u << n) - 1);
}

TORCHQ_INLINE F32 set(float x) { return {_mm512_set1_ps(x)}; }
TORCHQ_INLINE I32 set(int32_t x) { return {_mm512_set1_epi32(x)}; }

TORCHQ_INLINE F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
TORCHQ_INLINE I32 load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
TORCHQ_INLINE I32 load(const uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
TORCHQ_INLINE I32 load(const int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
TORCHQ_INLINE F32 load_part(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(lanes(n), p)}; }
TORCHQ_INLINE I32 load_part(const int32_t* p, int64_t n) { return {_mm512_maskz_loadu_epi32(lanes(n), p)}; }
TORCHQ_INLINE I32 load_part(const uint8_t* p, int64_t n) {
  return {_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes(n), p))};
}
TORCHQ_INLINE I32 load_part(const int8_t* p, int64_t n) {
  return {_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes(n), p))};
}

TORCHQ_INLINE void store_part(float* p, F32 x, int64_t n) { _mm512_mask_storeu_ps(p, lanes(n), x.v); }
TORCHQ_INLINE void store_part(int32_t* p, I32 x, int64_t n) { _mm512_mask_storeu_epi32(p, lanes(n), x.v); }
TORCHQ_INLINE void store_part(uint8_t* p, I32 x, int64_t n) {
  _mm_mask_storeu_epi8(p, lanes(n), _mm512_cvtepi32_epi8(x.v));
}

TORCHQ_INLINE F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
TORCHQ_INLINE F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
TORCHQ_INLINE F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
TORCHQ_INLINE I32 operator+(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
TORCHQ_INLINE I32 operator-(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
TORCHQ_INLINE I32 operator*(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
TORCHQ_INLINE F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TORCHQ_INLINE F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
TORCHQ_INLINE F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
TORCHQ_INLINE I32 min(I32 a, I32 b) { return {_mm512_min_epi32(a.v, b.v)}; }
TORCHQ_INLINE I32 max(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
TORCHQ_INLINE float reduce_min(F32 a) { return _mm512_reduce_min_ps(a.v); }
TORCHQ_INLINE float reduce_max(F32 a) { return _mm512_reduce_max_ps(a.v); }
TORCHQ_INLINE bool any_nan(F32 a) { return _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q) != 0; }

TORCHQ_INLINE F32 to_f32(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }
TORCHQ_INLINE I32 round_to_i32(F32 a) {
  const __m512i rounded = _mm512_cvt_roundps_epi32(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __mmask16 high = _mm512_cmp_ps_mask(a.v, _mm512_set1_ps(2147483648.0f), _CMP_NLT_UQ);  // NaN too
  return {_mm512_mask_mov_epi32(rounded, high, _mm512_set1_epi32(INT32_MAX))};
}

TORCHQ_INLINE F32 power_of_two(I32 n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23))};
}
TORCHQ_INLINE F32 select_less(F32 a, F32 b, F32 x, F32 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}

struct ByteRange {
  __m512i offset, lowest, flip;
};
TORCHQ_INLINE ByteRange byte_range(int32_t offset, int32_t lowest, bool is_signed) {
  return {_mm512_set1_epi16(static_cast<int16_t>(is_signed ? offset + 128 : offset)),
          _mm512_set1_epi8(static_cast<char>(is_signed ? lowest + 128 : lowest)),
          _mm512_set1_epi8(static_cast<char>(is_signed ? 0x80 : 0))};
}
TORCHQ_INLINE F32 below_ceiling(F32 y) { return {_mm512_min_ps(y.v, _mm512_set1_ps(kInt32Ceiling))}; }
// Two vectors to words.
TORCHQ_INLINE __m512i narrow_to_words(F32 a, F32 b, const ByteRange& range) {
  constexpr int kRound = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512i words =
      _mm512_packs_epi32(_mm512_cvt_roundps_epi32(a.v, kRound), _mm512_cvt_roundps_epi32(b.v, kRound));
  return _mm512_adds_epi16(words, range.offset);
}
// Up to four vectors to bytes. The packs work within 128-bit lanes: dword v of lane l holds lanes 4l .. 4l + 3 of
// vector v, or of vector v - 2 where there are two.
template <int kVectors>
TORCHQ_INLINE __m512i narrow_within_lanes(const F32 (&y)[kVectors], const ByteRange& range) {
  const __m512i low = narrow_to_words(y[0], y[kVectors == 1 ? 0 : 1], range);
  const __m512i high = kVectors <= 2 ? low : narrow_to_words(y[2], y[kVectors - 1], range);
  return _mm512_xor_si512(_mm512_max_epu8(_mm512_packus_epi16(low, high), range.lowest), range.flip);
}
template <int kVectors>
TORCHQ_INLINE __m512i narrow(const F32 (&y)[kVectors], const ByteRange& range) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
                                  narrow_within_lanes(y, range));
}
// Under a mask only where it has to be: on Zen 4 such a store takes twice as long.
TORCHQ_INLINE void store_sixteen(uint8_t* p, __m128i bytes, int64_t n) {
  if (n >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  _mm_mask_storeu_epi8(p, lanes(n), bytes);
}
template <int kVectors>
TORCHQ_INLINE void store_bytes(uint8_t* p, const F32 (&y)[kVectors], const ByteRange& range, int64_t n) {
  const __m512i bytes = narrow(y, range);
  if (n < 16 * kVectors) return _mm512_mask_storeu_epi8(p, (1ull << n) - 1, bytes);
  if constexpr (kVectors == 4) return _mm512_storeu_si512(p, bytes);
  if constexpr (kVectors >= 2) _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(bytes));
  constexpr int kLast = kVectors - 1;
  if constexpr (kVectors != 2)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16 * kLast), _mm512_extracti32x4_epi32(bytes, kLast));
}
TORCHQ_INLINE void store_two(uint8_t* p, uint8_t* q, F32 a, F32 b, const ByteRange& range, int64_t n, int64_t m) {
  const F32 both[2] = {a, b};
  const __m256i bytes = _mm512_castsi512_si256(narrow(both, range));
  store_sixteen(p, _mm256_castsi256_si128(bytes), n);
  store_sixteen(q, _mm256_extracti128_si256(bytes, 1), m);
}

// Not the intrinsic: for some shapes of the loop around it GCC 12 copies every accumulator at the back-edge, spills,
// and reaches 0.4 of the speed. tests/csrc looks for stack accesses in the loops that come out.
#ifndef TORCHQ_DPBUSD
#define TORCHQ_DPBUSD(sums, a, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(w))
#endif
// The compiler may not load it again instead of keeping it, as GCC 12 does where it runs out of registers otherwise.
#ifndef TORCHQ_KEEP
#define TORCHQ_KEEP(vector) __asm__("" : "+v"(vector))
#endif

// Activations stay u8: vpdpbusd multiplies u8 by s8.
struct Dot {
  static constexpr bool kSignedActivations = false;
  using Activation = I32;
  using Weight = I32;
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p, I32 flip) {
    return {_mm512_xor_si512(load_activation(p).v, flip.v)};
  }
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return set(four);
  }
  static TORCHQ_INLINE Weight load_weight(const int8_t* p) {
    __m512i w = _mm512_loadu_si512(p);
    TORCHQ_KEEP(w);
    return {w};
  }
  static TORCHQ_INLINE void multiply_add(I32& acc, Activation a, Weight w) { TORCHQ_DPBUSD(acc.v, a.v, w.v); }
};

// Tall where narrow: a tile begins and ends with instructions that do not multiply, and few do it for many.
constexpr int tile_rows(int panels) { return panels == 1 ? 10 : panels == 2 ? 8 : 6; }
constexpr int pipelined_rows(int panels) { return panels == 1 ? 8 : panels == 2 ? 6 : panels == 3 ? 4 : 2; }
constexpr int kTilePanels = 4;
constexpr int kMaxDoubled = 6;

// Quads (depthwise): 64 channels of four pixels, interleaved within 128-bit lanes; the packs of store_quads
// interleave the same way, so that nothing has to be permuted back.
constexpr int kQuadVectors = 4;
constexpr int kQuadGroups = 2;
constexpr int kCarriedQuads = 3;
constexpr int quad_channel(int vector, int lane) { return 16 * (lane / 4) + 4 * vector + lane % 4; }
TORCHQ_INLINE __m512i load_pixel(const uint8_t* p, int64_t n) {
  return n >= 64 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8((1ull << n) - 1, p);
}
struct PixelPair {
  __m512i low, high;
};
TORCHQ_INLINE PixelPair pair_of(__m512i a, __m512i b, bool flip) {
  if (flip) {
    // Made where it is used: GCC would make it before the loop, and keep it on the stack.
    int32_t four = static_cast<int32_t>(0x80808080u);
    __asm__ volatile("" : "+r"(four));
    a = _mm512_xor_si512(a, _mm512_set1_epi32(four));
    b = _mm512_xor_si512(b, _mm512_set1_epi32(four));
  }
  return {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
}
template <int kVector>
TORCHQ_INLINE I32 quads_of(const PixelPair& first, const PixelPair& second) {
  if (kVector == 0) return {_mm512_unpacklo_epi16(first.low, second.low)};
  if (kVector == 1) return {_mm512_unpackhi_epi16(first.low, second.low)};
  if (kVector == 2) return {_mm512_unpacklo_epi16(first.high, second.high)};
  return {_mm512_unpackhi_epi16(first.high, second.high)};
}
constexpr int kQuadParts = 1;
struct QuadWeights {
  I32 part[kQuadParts];
};
TORCHQ_INLINE int32_t quad_part(uint32_t four, int) { return static_cast<int32_t>(four); }
TORCHQ_INLINE void multiply_add_quads(I32& acc, I32 x, const QuadWeights& w) { TORCHQ_DPBUSD(acc.v, x.v, w.part[0].v); }
TORCHQ_INLINE void store_quads(uint8_t* p, const F32 (&y)[kQuadVectors], const ByteRange& range, int64_t n) {
  const __m512i bytes = narrow_within_lanes(y, range);
  if (n >= 64) {
    _mm512_storeu_si512(p, bytes);
  } else {
    _mm512_mask_storeu_epi8(p, (1ull << n) - 1, bytes);
  }
}
constexpr bool kQuadHalves = true;
TORCHQ_INLINE __m512i load_pixel_halves(const uint8_t* p, int64_t step) {
  const __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_inserti64x4(first, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + step)), 1);
}
#include "simd_x86.h"

TORCHQ_INLINE void store_quad_halves(uint8_t* p, uint8_t* q, const F32 (&y)[kQuadVectors], const ByteRange& range) {
  const __m512i bytes = narrow_within_lanes(y, range);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm512_extracti64x4_epi64(bytes, 1));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(bytes));
}
// Returns how many.
TORCHQ_INLINE int64_t fill_pointers_in_eights(const uint8_t* first, int64_t step, int64_t n, const uint8_t** to) {
  const __m512i steps = _mm512_mullo_epi64(_mm512_set1_epi64(step), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
  __m512i pointers = _mm512_add_epi64(_mm512_set1_epi64(reinterpret_cast<int64_t>(first)), steps);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm512_storeu_si512(to + i, pointers);
    pointers = _mm512_add_epi64(pointers, _mm512_set1_epi64(8 * step));
  }
  return i;
}
// Lanes first .. first + 3, as far as n goes.
TORCHQ_INLINE void store_four(float* p, F32 x, int first, int64_t n) {
  float lane[16];
  _mm512_storeu_ps(lane, x.v);
  for (int64_t i = 0; i < 4 && i < n; ++i) p[i] = lane[first + i];
}

// Grouped convolution's: a panel's columns at once.
constexpr int kGroupParts = 1;
using GroupWeights = I32;
using GroupSums = I32;
TORCHQ_INLINE I32 joined_parts(const GroupSums (&sums)[1]) { return sums[0]; }
TORCHQ_INLINE GroupWeights ones_of_groups() { return set(int32_t{0x01010101}); }
TORCHQ_INLINE GroupWeights load_group_weights(const int8_t* p, int) { return {_mm512_loadu_si512(p)}; }
struct Channels {
  __m128i v;
  const uint8_t* p;  // where they come from
  __m512i mask;
};
TORCHQ_INLINE Channels load_channels(const uint8_t* p, int64_t n, bool flip) {
  const __m128i bytes =
      n >= 16 ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)) : _mm_maskz_loadu_epi8(lanes(n), p);
  return {flip ? _mm_xor_si128(bytes, _mm_set1_epi8(-128)) : bytes, p,
          _mm512_set1_epi32(flip ? static_cast<int32_t>(0x80808080u) : 0)};
}
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE void multiply_add_group(GroupSums& acc, Channels x, GroupWeights w) {
  if constexpr (kWidth == 16) {  // all columns see the same quads: loaded for all of them, nothing is to be moved
    int32_t four;
    __builtin_memcpy(&four, x.p + 4 * kQuad, 4);
    multiply_add_quads(acc, {_mm512_xor_si512(_mm512_set1_epi32(four), x.mask)}, {{w}});
    return;
  }
  constexpr int kLast = kQuad + 2;
  const __m512i quads = kWidth == 4 ? _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)
                                    : _mm512_setr_epi32(kQuad, kQuad, kQuad, kQuad, kQuad, kQuad, kQuad, kQuad, kLast,
                                                        kLast, kLast, kLast, kLast, kLast, kLast, kLast);
  multiply_add_quads(acc, {_mm512_permutexvar_epi32(quads, _mm512_castsi128_si512(x.v))}, {{w}});
}
constexpr int kGroupedRows = 8;

// Grouped convolution's with groups in lanes.
constexpr int lane_rows(int width) { return width == 4 ? 5 : width == 8 ? 3 : 0; }
// Four panels' vectors by 128-bit lanes: lane j of panel p becomes lane p of vector j, which are `step` bytes apart.
TORCHQ_INLINE void store_transposed(const __m512i (&panel)[4], uint8_t* to, int64_t step) {
  const __m512i low01 = _mm512_shuffle_i32x4(panel[0], panel[1], 0x44),
                low23 = _mm512_shuffle_i32x4(panel[2], panel[3], 0x44);
  const __m512i high01 = _mm512_shuffle_i32x4(panel[0], panel[1], 0xee),
                high23 = _mm512_shuffle_i32x4(panel[2], panel[3], 0xee);
  _mm512_storeu_si512(to, _mm512_shuffle_i32x4(low01, low23, 0x88));
  _mm512_storeu_si512(to + step, _mm512_shuffle_i32x4(low01, low23, 0xdd));
  _mm512_storeu_si512(to + 2 * step, _mm512_shuffle_i32x4(high01, high23, 0x88));
  _mm512_storeu_si512(to + 3 * step, _mm512_shuffle_i32x4(high01, high23, 0xdd));
}
// Sixteen dwords of each panel: its 128-bit lane j gets column j of each of its groups of 4 or, of its groups of 8,
// columns 2j and 2j + 1.
template <int kWidth>
TORCHQ_INLINE void regroup_columns(const uint8_t* first, int64_t stride, uint8_t* to, int64_t step) {
  const __m512i order = kWidth == 4 ? _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                                    : _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  __m512i panel[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) panel[p] = _mm512_permutexvar_epi32(order, _mm512_loadu_si512(first + p * stride));
  store_transposed(panel, to, step);
}
// A tap's weights: vector j is of column j of each group, with a dword for each quad of channels.
template <int kWidth>
TORCHQ_INLINE void regroup_weights(const int8_t* first, int64_t stride, uint8_t* to) {
  if constexpr (kWidth == 4) {
    regroup_columns<4>(reinterpret_cast<const uint8_t*>(first), stride, to, 64);
    return;
  }
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const int j = 4 * half;
    const __m512i order = _mm512_setr_epi32(j, 16 + j, 8 + j, 24 + j, j + 1, 17 + j, 9 + j, 25 + j, j + 2, 18 + j,
                                            10 + j, 26 + j, j + 3, 19 + j, 11 + j, 27 + j);
    __m512i panel[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p)
      panel[p] = _mm512_permutex2var_epi32(_mm512_loadu_si512(first + p * stride), order,
                                           _mm512_loadu_si512(first + p * stride + 64));
    store_transposed(panel, to + 256 * half, 64);
  }
}
TORCHQ_INLINE I32 load_lanes(const uint8_t* p, bool flip) {
  return {_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(flip ? static_cast<int32_t>(0x80808080u) : 0))};
}
// The sums of columns, in the order of regroup_columns.
TORCHQ_INLINE void columns_of_lanes(const I32 (&acc)[4], I32 (&sums)[4]) {
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) sums[v] = acc[v];
}
TORCHQ_INLINE void columns_of_lanes(const I32 (&acc)[8], I32 (&sums)[4]) {
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const __m512 a = _mm512_castsi512_ps(acc[2 * v].v), b = _mm512_castsi512_ps(acc[2 * v + 1].v);
    const __m512i even = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88));
    sums[v] = {_mm512_add_epi32(even, _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd)))};
  }
}
template <int kWidth>
TORCHQ_INLINE void store_lanes(uint8_t* p, const F32 (&y)[4], const ByteRange& range) {
  const __m128i order = kWidth == 4 ? _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                                    : _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  const __m512i bytes = narrow_within_lanes(y, range);
  _mm512_storeu_si512(p, _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(order)));
}

constexpr int kBytes = 64;
struct Bytes {
  __m512i v;
};
TORCHQ_INLINE Bytes set_bytes(uint8_t x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
TORCHQ_INLINE Bytes load_block(const uint8_t* p, int64_t n) { return {load_pixel(p, n)}; }
TORCHQ_INLINE void store_block(uint8_t* p, Bytes x, int64_t n) {
  if (n >= 64) {
    _mm512_storeu_si512(p, x.v);
  } else {
    _mm512_mask_storeu_epi8(p, (1ull << n) - 1, x.v);
  }
}
TORCHQ_INLINE Bytes max(Bytes a, Bytes b) { return {_mm512_max_epu8(a.v, b.v)}; }
TORCHQ_INLINE Bytes min(Bytes a, Bytes b) { return {_mm512_min_epu8(a.v, b.v)}; }
TORCHQ_INLINE Bytes operator^(Bytes a, Bytes b) { return {_mm512_xor_si512(a.v, b.v)}; }

constexpr int kTableBytes = 64;
#ifdef TORCHQ_AVX512_VBMI
// The low seven bits of an index choose one of 128 entries, and the highest one between two such results.
struct ByteTable {
  __m512i part[4];
};
TORCHQ_INLINE ByteTable load_table(const uint8_t* p) {
  return {
      {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 64), _mm512_loadu_si512(p + 128), _mm512_loadu_si512(p + 192)}};
}
TORCHQ_INLINE void lookup_bytes(const ByteTable& table, const uint8_t* q, uint8_t* y) {
  const __m512i index = _mm512_loadu_si512(q);
  const __m512i low = _mm512_permutex2var_epi8(table.part[0], index, table.part[1]);
  const __m512i high = _mm512_permutex2var_epi8(table.part[2], index, table.part[3]);
  _mm512_storeu_si512(y, _mm512_mask_blend_epi8(_mm512_test_epi8_mask(index, _mm512_set1_epi8(-128)), low, high));
}
#else
// A shuffle looks up 16 entries by the low half of an index; the other half chooses one of sixteen results, bit by bit.
struct ByteTable {
  __m512i part[16];
};
TORCHQ_INLINE ByteTable load_table(const uint8_t* p) {
  ByteTable table;
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    table.part[i] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)));
  return table;
}
template <int kBit>
TORCHQ_INLINE __m512i lookup_part(const __m512i* parts, __m512i low, const __mmask64 (&bits)[4]) {
  if constexpr (kBit == 0) {
    return _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(parts[0], low), bits[0], parts[1], low);
  } else {
    return _mm512_mask_blend_epi8(bits[kBit], lookup_part<kBit - 1>(parts, low, bits),
                                  lookup_part<kBit - 1>(parts + (1 << kBit), low, bits));
  }
}
TORCHQ_INLINE void lookup_bytes(const ByteTable& table, const uint8_t* q, uint8_t* y) {
  const __m512i index = _mm512_loadu_si512(q), low = _mm512_and_si512(index, _mm512_set1_epi8(0x0f));
  const __mmask64 bits[4] = {
      _mm512_test_epi8_mask(index, _mm512_set1_epi8(0x10)), _mm512_test_epi8_mask(index, _mm512_set1_epi8(0x20)),
      _mm512_test_epi8_mask(index, _mm512_set1_epi8(0x40)), _mm512_test_epi8_mask(index, _mm512_set1_epi8(-128))};
  _mm512_storeu_si512(y, lookup_part<3>(table.part, low, bits));
}
#endif
