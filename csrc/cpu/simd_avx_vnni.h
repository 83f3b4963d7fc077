// Floor 1. The products of AVX-VNNI, for the lanes of simd_ymm.h. Included inside the avx_vnni target region.
#include "simd_ymm.h"

// Not the intrinsic, for simd_avx512.h's reason. Without {vex} it would be AVX-512's instruction.
#ifndef TORCHQ_DPBUSD
#define TORCHQ_DPBUSD(sums, a, w) __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(w))
#endif

TORCHQ_INLINE void multiply_add_dwords(I32& acc, I32 x, I32 w) {
  TORCHQ_DPBUSD(acc.lo, x.lo, w.lo);
  TORCHQ_DPBUSD(acc.hi, x.hi, w.hi);
}

// Activations stay u8: vpdpbusd multiplies u8 by s8.
struct Dot {
  static constexpr bool kSignedActivations = false;
  using Activation = __m256i;
  using Weight = I32;
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p, I32 flip) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_xor_si256(_mm256_set1_epi32(four), flip.lo);
  }
  static TORCHQ_INLINE Weight load_weight(const int8_t* p) { return {load_ymm(p), load_ymm(p + 32)}; }
  static TORCHQ_INLINE void multiply_add(I32& acc, Activation a, Weight w) { multiply_add_dwords(acc, {a, a}, w); }
};

// Sums take 12 of 16 registers, weights 2, an activation 1, the flip 1.
constexpr int tile_rows(int) { return 6; }
constexpr int pipelined_rows(int) { return 0; }
constexpr int lane_rows(int) { return 0; }
constexpr int kTilePanels = 1;
constexpr int kMaxDoubled = 2;

// Quads (depthwise).
constexpr int kQuadParts = 1;
struct QuadWeights {
  I32 part[kQuadParts];
};
TORCHQ_INLINE int32_t quad_part(uint32_t four, int) { return static_cast<int32_t>(four); }
TORCHQ_INLINE void multiply_add_quads(I32& acc, I32 x, const QuadWeights& w) { multiply_add_dwords(acc, x, w.part[0]); }

// Grouped convolution's. A sum is kept in two, for odd quads and for even ones: one would wait for itself.
using GroupWeights = __m256i;
struct GroupSums {
  __m256i v[2];
};
TORCHQ_INLINE I32 joined_parts(const GroupSums (&sums)[kGroupParts]) {
  return {_mm256_add_epi32(sums[0].v[0], sums[0].v[1]), _mm256_add_epi32(sums[1].v[0], sums[1].v[1])};
}
TORCHQ_INLINE GroupWeights ones_of_groups() { return _mm256_set1_epi8(1); }
TORCHQ_INLINE GroupWeights load_group_weights(const int8_t* p, int part) { return load_ymm(p + 32 * part); }
// Brings a quad of each column's group to the column.
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE __m256i group_quads(__m256i x) {
  if constexpr (kWidth == 4) {
    constexpr int a = 2 * kPart, b = a + 1;
    return _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(a, a, a, a, b, b, b, b));
  } else {
    return _mm256_shuffle_epi32(x, 0x55 * (kWidth == 8 ? 2 * kPart + kQuad : kQuad));
  }
}
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE void multiply_add_group(GroupSums& acc, const Channels& x, GroupWeights w) {
  const __m256i quads = group_quads<kWidth, kQuad, kPart>(x.v);
  TORCHQ_DPBUSD(acc.v[kQuad % 2], quads, w);
}
constexpr int kGroupedRows = 4;
