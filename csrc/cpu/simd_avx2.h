// Floor 1. The products of AVX2, for the lanes of simd_ymm.h. Included inside the avx2 target region.
#include "simd_ymm.h"

// Not _mm256_add_epi32: GCC 12 copies accumulators at the back-edge of a loop, and spills them.
TORCHQ_INLINE void accumulate_dwords(__m256i& acc, __m256i x) { __asm__("vpaddd %1, %0, %0" : "+x"(acc) : "x"(x)); }

// Exact while activations stay below 128: vpmaddubsw adds two products in 16 bits and saturates (gemm_widened.h). They
// are always u8, so nothing is flipped.
struct Dot {
  static constexpr bool kSignedActivations = false;
  using Activation = __m256i;
  using Weight = I32;
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p, I32) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
  }
  static TORCHQ_INLINE Weight load_weight(const int8_t* p) { return {load_ymm(p), load_ymm(p + 32)}; }
  static TORCHQ_INLINE void multiply_add(I32& acc, Activation a, Weight w) {
    const __m256i ones = _mm256_set1_epi16(1);
    accumulate_dwords(acc.lo, _mm256_madd_epi16(_mm256_maddubs_epi16(a, w.lo), ones));
    accumulate_dwords(acc.hi, _mm256_madd_epi16(_mm256_maddubs_epi16(a, w.hi), ones));
  }
};

constexpr int tile_rows(int) { return 3; }
constexpr int pipelined_rows(int) { return 0; }
constexpr int lane_rows(int) { return 0; }
constexpr int kTilePanels = 2;
constexpr int kMaxDoubled = 0;  // only the final addition waits for the accumulator

// The widened product (gemm_widened.h): 16-bit activations times half a panel, eight columns of four weights each.
using HalfPanel = __m256i;
TORCHQ_INLINE I32 joined_halves(HalfPanel low, HalfPanel high) { return {low, high}; }
TORCHQ_INLINE __m256i even_words(__m256i bytes) { return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8); }
TORCHQ_INLINE __m256i odd_words(__m256i bytes) { return _mm256_srai_epi16(bytes, 8); }

// In order: weights are widened as they are loaded, and a column's sum is two neighbours, which are added at the end.
struct InOrder {
  static constexpr bool kPairs = false;
  struct Sums {
    __m256i v[2];  // columns 4v .. 4v + 3, two sums of each
  };
  template <int kRows, int kHalves>
  static TORCHQ_INLINE void step(const int16_t* a, int64_t stride, const int8_t* weights, Sums (&acc)[kRows][kHalves]) {
    __m256i w[2 * kHalves];
#pragma GCC unroll 4
    for (int i = 0; i < 2 * kHalves; ++i)
      w[i] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + 16 * i)));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int64_t four;
      __builtin_memcpy(&four, a + r * stride, 8);
      const __m256i x = _mm256_set1_epi64x(four);
#pragma GCC unroll 4
      for (int i = 0; i < 2 * kHalves; ++i) accumulate_dwords(acc[r][i / 2].v[i % 2], _mm256_madd_epi16(x, w[i]));
    }
  }
  static TORCHQ_INLINE HalfPanel sums_of(const Sums& sums) {
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(sums.v[0], sums.v[1]), 0xd8);
  }
};

// In pairs: the even two of a quad, then the odd two. Weights are more work, but every sum is one of a column.
struct InPairs {
  static constexpr bool kPairs = true;
  using Sums = __m256i;
  template <int kRows, int kHalves>
  static TORCHQ_INLINE void step(const int16_t* a, int64_t stride, const int8_t* weights, Sums (&acc)[kRows][kHalves]) {
    __m256i w[kHalves];
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) w[h] = even_words(load_ymm(weights + 32 * h));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) multiply_add(acc[r], broadcast_pair(a + r * stride), w);
    a += 2;
    __asm__("" : "+r"(a));  // one more register, where GCC 12 would take one for each row's address
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) w[h] = odd_words(load_ymm(weights + 32 * h));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) multiply_add(acc[r], broadcast_pair(a + r * stride), w);
  }
  static TORCHQ_INLINE HalfPanel sums_of(const Sums& sums) { return sums; }

 private:
  static TORCHQ_INLINE __m256i broadcast_pair(const int16_t* p) {
    int32_t two;
    __builtin_memcpy(&two, p, 4);
    return _mm256_set1_epi32(two);
  }
  static TORCHQ_INLINE void multiply_add(Sums (&acc)[1], __m256i x, const __m256i (&w)[1]) {
    accumulate_dwords(acc[0], _mm256_madd_epi16(x, w[0]));
  }
  // In one piece: GCC 12 would begin products of the next row before it adds these, and run out of registers.
  static TORCHQ_INLINE void multiply_add(Sums (&acc)[2], __m256i x, const __m256i (&w)[2]) {
    __m256i product;
    __asm__("vpmaddwd %4, %2, %3\n\tvpmaddwd %5, %2, %2\n\tvpaddd %2, %1, %1\n\tvpaddd %3, %0, %0"
            : "+x"(acc[0]), "+x"(acc[1]), "+x"(x), "=&x"(product)
            : "x"(w[0]), "x"(w[1]));
  }
};

// n bytes, a multiple of 4, as words: in order or, of each quad, the even ones before the odd ones.
template <bool kPairs>
TORCHQ_INLINE void widen_bytes(const uint8_t* from, int64_t n, bool is_signed, int16_t* to) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    __m256i words = is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
    if (kPairs) words = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xd8), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), words);
  }
  for (; i < n; i += 4) {
    int32_t four;
    __builtin_memcpy(&four, from + i, 4);
    const __m128i bytes = _mm_cvtsi32_si128(four);
    __m128i words = is_signed ? _mm_cvtepi8_epi16(bytes) : _mm_cvtepu8_epi16(bytes);
    if (kPairs) words = _mm_shufflelo_epi16(words, 0xd8);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + i), words);
  }
}
TORCHQ_INLINE bool has_top_bit(const uint8_t* p, int64_t n) {
  int64_t i = 0;
  __m256i any = _mm256_setzero_si256();
  for (; i + 32 <= n; i += 32) any = _mm256_or_si256(any, load_ymm(p + i));
  uint32_t rest = 0;
  for (; i < n; i += 4) {
    uint32_t four;
    __builtin_memcpy(&four, p + i, 4);
    rest |= four;
  }
  return _mm256_movemask_epi8(any) != 0 || (rest & 0x80808080u) != 0;
}
TORCHQ_INLINE int64_t count_top_bits(const uint8_t* p, int64_t n) {
  int64_t i = 0, count = 0;
  for (; i + 32 <= n; i += 32)
    count += __builtin_popcount(static_cast<uint32_t>(_mm256_movemask_epi8(load_ymm(p + i))));
  for (; i < n; ++i) count += p[i] >> 7;
  return count;
}

// Quads (depthwise). u8 times s8, both widened to 16 bits, exact for every value: the even bytes, then the odd ones.
constexpr int kQuadParts = 2;
struct QuadWeights {
  I32 part[kQuadParts];
};
TORCHQ_INLINE int32_t quad_part(uint32_t four, int part) {
  const uint32_t bytes = four >> (8 * part);
  const auto low = static_cast<int8_t>(bytes), high = static_cast<int8_t>(bytes >> 16);
  return static_cast<int32_t>(static_cast<uint16_t>(low) | static_cast<uint32_t>(static_cast<uint16_t>(high)) << 16);
}
TORCHQ_INLINE __m256i even_bytes(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi16(0xff)); }
TORCHQ_INLINE __m256i odd_bytes(__m256i x) { return _mm256_srli_epi16(x, 8); }
TORCHQ_INLINE void multiply_add_quads(I32& acc, I32 x, const QuadWeights& w) {
  accumulate_dwords(acc.lo, _mm256_madd_epi16(even_bytes(x.lo), w.part[0].lo));
  accumulate_dwords(acc.hi, _mm256_madd_epi16(even_bytes(x.hi), w.part[0].hi));
  accumulate_dwords(acc.lo, _mm256_madd_epi16(odd_bytes(x.lo), w.part[1].lo));
  accumulate_dwords(acc.hi, _mm256_madd_epi16(odd_bytes(x.hi), w.part[1].hi));
}

// Grouped convolution's: weights and activations widened to 16 bits.
struct GroupWeights {
  __m256i even, odd;
};
using GroupSums = __m256i;
TORCHQ_INLINE I32 joined_parts(const GroupSums (&sums)[kGroupParts]) { return {sums[0], sums[1]}; }
TORCHQ_INLINE GroupWeights ones_of_groups() { return {_mm256_set1_epi16(1), _mm256_set1_epi16(1)}; }
TORCHQ_INLINE GroupWeights load_group_weights(const int8_t* p, int part) {
  const __m256i w = load_ymm(p + 32 * part);
  return {even_words(w), odd_words(w)};
}
// A shuffle that brings bytes kByte and kByte + 2 of quad kQuad, of each column's group, to the column as 16 bits each.
template <int kWidth, int kQuad, int kPart, int kByte>
TORCHQ_INLINE __m256i group_words(__m256i x) {
  // The quad of the part's first columns, and of its last.
  constexpr int first = 4 * kQuad + (kWidth == 16 ? 0 : 8 * kPart), second = kWidth == 4 ? first + 4 : first;
  constexpr char a = first + kByte, b = second + kByte, zero = -128;
  return _mm256_shuffle_epi8(
      x, _mm256_setr_epi8(a, zero, a + 2, zero, a, zero, a + 2, zero, a, zero, a + 2, zero, a, zero, a + 2, zero,  //
                          b, zero, b + 2, zero, b, zero, b + 2, zero, b, zero, b + 2, zero, b, zero, b + 2, zero));
}
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE void multiply_add_group(GroupSums& acc, const Channels& x, const GroupWeights& w) {
  accumulate_dwords(acc, _mm256_madd_epi16(group_words<kWidth, kQuad, kPart, 0>(x.v), w.even));
  accumulate_dwords(acc, _mm256_madd_epi16(group_words<kWidth, kQuad, kPart, 1>(x.v), w.odd));
}
constexpr int kGroupedRows = 4;
