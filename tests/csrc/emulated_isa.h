// The AVX-512 intrinsics that csrc/cpu/simd_avx512.h calls, and the dot product of AVX-VNNI, for CPUs that have AVX2
// only: `make emulate` compiles the kernels with this header in front of each file, so that both levels are tested
// there too. The vector types are the compiler's own; what they mean is Intel's, lane by lane. An intrinsic that is
// missing here does not compile: GCC refuses to inline the real one.
#pragma once

#define TORCHQ_EMULATED_ISA
#define TORCHQ_AVX512_FEATURES "avx2,fma"
#define TORCHQ_AVX512_VBMI_FEATURES "avx2,fma"

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace emulated_isa {

#define EMULATED __attribute__((noinline)) inline

// A vector as an array.
template <typename T, int kLanes>
struct Lanes {
  T lane[kLanes];
};
template <typename T, typename Vector>
EMULATED Lanes<T, sizeof(Vector) / sizeof(T)> lanes_of(Vector v) {
  Lanes<T, sizeof(Vector) / sizeof(T)> x;
  std::memcpy(&x, &v, sizeof v);
  return x;
}
template <typename Vector, typename T, int kLanes>
EMULATED Vector vector_of(const Lanes<T, kLanes>& x) {
  static_assert(sizeof(Vector) == sizeof x, "as many bytes");
  Vector v;
  std::memcpy(&v, &x, sizeof v);
  return v;
}
template <typename Result, typename T, typename Vector, typename Function>
EMULATED Result map(Vector a, Vector b, Function&& function) {
  const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
  Lanes<T, sizeof(Vector) / sizeof(T)> z;
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(T); ++i) z.lane[i] = function(x.lane[i], y.lane[i]);
  return vector_of<Result>(z);
}
template <typename T>
EMULATED int32_t saturated(int32_t x) {
  constexpr int32_t kLow = T(-1) < T(0) ? -(1 << (8 * sizeof(T) - 1)) : 0;
  constexpr int32_t kHigh = kLow + (1 << (8 * sizeof(T))) - 1;
  return x < kLow ? kLow : x > kHigh ? kHigh : x;
}

// Loads and stores touch the elements that the mask names, and no others.
template <typename Vector, typename T>
EMULATED Vector load(uint64_t mask, const void* p) {
  Lanes<T, sizeof(Vector) / sizeof(T)> x;
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(T); ++i) {
    x.lane[i] = 0;
    if ((mask >> i & 1) != 0) std::memcpy(&x.lane[i], static_cast<const char*>(p) + i * sizeof(T), sizeof(T));
  }
  return vector_of<Vector>(x);
}
template <typename T, typename Vector>
EMULATED void store(void* p, uint64_t mask, Vector v) {
  const auto x = lanes_of<T>(v);
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(T); ++i)
    if ((mask >> i & 1) != 0) std::memcpy(static_cast<char*>(p) + i * sizeof(T), &x.lane[i], sizeof(T));
}
constexpr uint64_t kAll = ~uint64_t{0};

template <typename T>
EMULATED __m512i set1(T value) {
  Lanes<T, 64 / sizeof(T)> x;
  for (T& lane : x.lane) lane = value;
  return vector_of<__m512i>(x);
}
EMULATED __m512 set1_ps(float value) {
  Lanes<float, 16> x;
  for (float& lane : x.lane) lane = value;
  return vector_of<__m512>(x);
}
template <typename T, typename... Values>
EMULATED __m512i setr(Values... values) {
  return vector_of<__m512i>(Lanes<T, sizeof...(Values)>{{values...}});
}

template <typename From>
EMULATED __m512i widen(__m128i a) {
  const auto x = lanes_of<From>(a);
  Lanes<int32_t, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = x.lane[i];
  return vector_of<__m512i>(z);
}
EMULATED __m128i low_bytes(__m512i a) {
  const auto x = lanes_of<int32_t>(a);
  Lanes<int8_t, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = static_cast<int8_t>(x.lane[i]);
  return vector_of<__m128i>(z);
}
// Within each 128 bits: the elements of a, then those of b, saturated to half their size.
template <typename From, typename To>
EMULATED __m512i pack(__m512i a, __m512i b) {
  constexpr int kEach = 16 / sizeof(From);
  const auto x = lanes_of<From>(a), y = lanes_of<From>(b);
  Lanes<To, 64 / sizeof(To)> z;
  for (int lane = 0; lane < 4; ++lane) {
    for (int i = 0; i < kEach; ++i) {
      z.lane[2 * kEach * lane + i] = static_cast<To>(saturated<To>(x.lane[kEach * lane + i]));
      z.lane[2 * kEach * lane + kEach + i] = static_cast<To>(saturated<To>(y.lane[kEach * lane + i]));
    }
  }
  return vector_of<__m512i>(z);
}
// Within each 128 bits: the elements of a and b in turns, of their lower or higher halves.
template <typename T, bool kHigh>
EMULATED __m512i unpack(__m512i a, __m512i b) {
  constexpr int kEach = 16 / sizeof(T);
  const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
  Lanes<T, 64 / sizeof(T)> z;
  for (int lane = 0; lane < 4; ++lane) {
    for (int i = 0; i < kEach; ++i) {
      const int from = kEach * lane + (kHigh ? kEach / 2 : 0) + i / 2;
      z.lane[kEach * lane + i] = i % 2 == 0 ? x.lane[from] : y.lane[from];
    }
  }
  return vector_of<__m512i>(z);
}
EMULATED __m512i shuffle_epi8(__m512i a, __m512i index) {
  const auto x = lanes_of<uint8_t>(a), at = lanes_of<uint8_t>(index);
  Lanes<uint8_t, 64> z;
  for (int i = 0; i < 64; ++i) z.lane[i] = at.lane[i] >= 128 ? 0 : x.lane[i / 16 * 16 + at.lane[i] % 16];
  return vector_of<__m512i>(z);
}
EMULATED __m512i permutexvar_epi32(__m512i index, __m512i a) {
  const auto x = lanes_of<int32_t>(a), at = lanes_of<int32_t>(index);
  Lanes<int32_t, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = x.lane[at.lane[i] & 15];
  return vector_of<__m512i>(z);
}
EMULATED __m512i permutex2var_epi8(__m512i a, __m512i index, __m512i b) {
  const auto x = lanes_of<uint8_t>(a), y = lanes_of<uint8_t>(b), at = lanes_of<uint8_t>(index);
  Lanes<uint8_t, 64> z;
  for (int i = 0; i < 64; ++i) z.lane[i] = ((at.lane[i] & 64) != 0 ? y : x).lane[at.lane[i] & 63];
  return vector_of<__m512i>(z);
}
EMULATED __m512i permutex2var_epi32(__m512i a, __m512i index, __m512i b) {
  const auto x = lanes_of<int32_t>(a), y = lanes_of<int32_t>(b), at = lanes_of<int32_t>(index);
  Lanes<int32_t, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = ((at.lane[i] & 16) != 0 ? y : x).lane[at.lane[i] & 15];
  return vector_of<__m512i>(z);
}
// Of kElements elements each: the first half of them is of a, the second one of b, as two bits each of `control` say.
template <typename T, int kElements, typename Vector>
EMULATED Vector shuffle_halves(Vector a, Vector b, int control) {
  const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
  constexpr int kSize = 4 * kElements;  // a group of four
  Lanes<T, sizeof(Vector) / sizeof(T)> z;
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(T); ++i) {
    const int group = static_cast<int>(i) / kSize * kSize, place = static_cast<int>(i) % kSize / kElements;
    const int from = group + (control >> (2 * place) & 3) * kElements + static_cast<int>(i) % kElements;
    z.lane[i] = (place < 2 ? x : y).lane[from];
  }
  return vector_of<Vector>(z);
}
EMULATED __m512i slli_epi32(__m512i a, unsigned count) {
  return map<__m512i, uint32_t>(a, a, [count](uint32_t x, uint32_t) { return count > 31 ? 0 : x << count; });
}
template <typename T, typename Mask, typename Vector>
EMULATED Vector blend(Mask mask, Vector a, Vector b) {
  auto x = lanes_of<T>(a);
  const auto y = lanes_of<T>(b);
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(T); ++i)
    if ((mask >> i & 1) != 0) x.lane[i] = y.lane[i];
  return vector_of<Vector>(x);
}
EMULATED __mmask64 test_epi8_mask(__m512i a, __m512i b) {
  const auto x = lanes_of<uint8_t>(a), y = lanes_of<uint8_t>(b);
  uint64_t mask = 0;
  for (int i = 0; i < 64; ++i) mask |= static_cast<uint64_t>((x.lane[i] & y.lane[i]) != 0) << i;
  return mask;
}
EMULATED bool compare(float x, float y, int predicate) {
  switch (predicate) {
    case _CMP_LT_OQ:
      return x < y;
    case _CMP_NLT_UQ:
      return !(x < y);
    case _CMP_UNORD_Q:
      return std::isnan(x) || std::isnan(y);
    default:
      std::abort();
  }
}
EMULATED __mmask16 cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  const auto x = lanes_of<float>(a), y = lanes_of<float>(b);
  unsigned mask = 0;
  for (int i = 0; i < 16; ++i) mask |= static_cast<unsigned>(compare(x.lane[i], y.lane[i], predicate)) << i;
  return static_cast<__mmask16>(mask);
}
EMULATED __m512i round_ps_epi32(__m512 a) {
  const auto x = lanes_of<float>(a);
  Lanes<int32_t, 16> z;
  for (int i = 0; i < 16; ++i) {
    const float rounded = __builtin_roundevenf(x.lane[i]);
    z.lane[i] = rounded >= -0x1p31f && rounded < 0x1p31f ? static_cast<int32_t>(rounded) : INT32_MIN;
  }
  return vector_of<__m512i>(z);
}
EMULATED __m512 cvtepi32_ps(__m512i a) {
  const auto x = lanes_of<int32_t>(a);
  Lanes<float, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = static_cast<float>(x.lane[i]);
  return vector_of<__m512>(z);
}
EMULATED __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
  auto x = lanes_of<float>(a);
  const auto y = lanes_of<float>(b), z = lanes_of<float>(c);
  for (int i = 0; i < 16; ++i) x.lane[i] = __builtin_fmaf(x.lane[i], y.lane[i], z.lane[i]);
  return vector_of<__m512>(x);
}
// Halves are joined pair by pair; for a minimum or maximum of numbers the order shows in the sign of a zero only.
template <typename Function>
EMULATED float reduce_ps(__m512 a, Function&& function) {
  auto x = lanes_of<float>(a);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x.lane[i] = function(x.lane[i], x.lane[i + half]);
  return x.lane[0];
}
template <typename To, typename From>
EMULATED To cast(From a) {
  To z{};
  std::memcpy(&z, &a, sizeof z < sizeof a ? sizeof z : sizeof a);
  return z;
}
template <typename Part>
EMULATED Part extract(__m512i a, int part) {
  Part z;
  std::memcpy(&z, reinterpret_cast<const char*>(&a) + part * static_cast<int>(sizeof z), sizeof z);
  return z;
}
template <typename Part>
EMULATED __m512i insert(__m512i a, Part b, int part) {
  std::memcpy(reinterpret_cast<char*>(&a) + part * static_cast<int>(sizeof b), &b, sizeof b);
  return a;
}
EMULATED __m512i broadcast_i32x4(__m128i a) {
  const auto x = lanes_of<int32_t>(a);
  Lanes<int32_t, 16> z;
  for (int i = 0; i < 16; ++i) z.lane[i] = x.lane[i % 4];
  return vector_of<__m512i>(z);
}
// Sums wrap around, as unsigned ones do.
template <typename Vector>
EMULATED Vector dpbusd_epi32(Vector sums, Vector a, Vector b) {
  auto z = lanes_of<uint32_t>(sums);
  const auto x = lanes_of<uint8_t>(a);
  const auto y = lanes_of<int8_t>(b);
  for (unsigned i = 0; i < sizeof(Vector); ++i) z.lane[i / 4] += static_cast<uint32_t>(x.lane[i] * y.lane[i]);
  return vector_of<Vector>(z);
}

// An operand that is no number: the second one is the result, as in the instruction.
constexpr auto kLess = [](auto x, auto y) { return x < y ? x : y; };
constexpr auto kGreater = [](auto x, auto y) { return x > y ? x : y; };

#undef EMULATED

}  // namespace emulated_isa

#pragma GCC pop_options

#define TORCHQ_EMULATED_MAP(result, T, a, b, expression) \
  emulated_isa::map<result, T>(a, b, [](T x, T y) { return static_cast<T>(expression); })

#define _mm512_loadu_si512(p) (emulated_isa::load<__m512i, int32_t>(emulated_isa::kAll, p))
#define _mm512_loadu_ps(p) (emulated_isa::load<__m512, float>(emulated_isa::kAll, p))
#define _mm512_maskz_loadu_ps(mask, p) (emulated_isa::load<__m512, float>(mask, p))
#define _mm512_maskz_loadu_epi32(mask, p) (emulated_isa::load<__m512i, int32_t>(mask, p))
#define _mm512_maskz_loadu_epi8(mask, p) (emulated_isa::load<__m512i, int8_t>(mask, p))
#define _mm_maskz_loadu_epi8(mask, p) (emulated_isa::load<__m128i, int8_t>(mask, p))
#define _mm512_storeu_si512(p, a) (emulated_isa::store<int32_t>(p, emulated_isa::kAll, a))
#define _mm512_storeu_ps(p, a) (emulated_isa::store<float>(p, emulated_isa::kAll, a))
#define _mm512_mask_storeu_ps(p, mask, a) (emulated_isa::store<float>(p, mask, a))
#define _mm512_mask_storeu_epi32(p, mask, a) (emulated_isa::store<int32_t>(p, mask, a))
#define _mm512_mask_storeu_epi8(p, mask, a) (emulated_isa::store<int8_t>(p, mask, a))
#define _mm_mask_storeu_epi8(p, mask, a) (emulated_isa::store<int8_t>(p, mask, a))

#define _mm512_setzero_si512() (emulated_isa::set1<int32_t>(0))
#define _mm512_set1_epi8(value) (emulated_isa::set1<int8_t>(static_cast<int8_t>(value)))
#define _mm512_set1_epi16(value) (emulated_isa::set1<int16_t>(value))
#define _mm512_set1_epi32(value) (emulated_isa::set1<int32_t>(value))
#define _mm512_set1_epi64(value) (emulated_isa::set1<int64_t>(value))
#define _mm512_set1_ps(value) (emulated_isa::set1_ps(value))
#undef _mm512_setr_epi64
#define _mm512_setr_epi64(...) (emulated_isa::setr<int64_t>(__VA_ARGS__))
#undef _mm512_setr_epi32
#define _mm512_setr_epi32(...) (emulated_isa::setr<int32_t>(__VA_ARGS__))

#define _mm512_castps_si512(a) (emulated_isa::cast<__m512i>(a))
#define _mm512_castsi512_ps(a) (emulated_isa::cast<__m512>(a))
#define _mm512_castsi512_si256(a) (emulated_isa::cast<__m256i>(a))
#define _mm512_castsi512_si128(a) (emulated_isa::cast<__m128i>(a))
#define _mm512_castsi128_si512(a) (emulated_isa::cast<__m512i>(a))
#define _mm512_castsi256_si512(a) (emulated_isa::cast<__m512i>(a))
#undef _mm512_extracti32x4_epi32
#define _mm512_extracti32x4_epi32(a, part) (emulated_isa::extract<__m128i>(a, part))
#undef _mm512_extracti64x4_epi64
#define _mm512_extracti64x4_epi64(a, part) (emulated_isa::extract<__m256i>(a, part))
#undef _mm512_inserti64x4
#define _mm512_inserti64x4(a, b, part) (emulated_isa::insert(a, b, part))
#define _mm512_broadcast_i32x4(a) (emulated_isa::broadcast_i32x4(a))

#define _mm512_add_ps(a, b) TORCHQ_EMULATED_MAP(__m512, float, a, b, x + y)
#define _mm512_mul_ps(a, b) TORCHQ_EMULATED_MAP(__m512, float, a, b, x* y)
#define _mm512_div_ps(a, b) TORCHQ_EMULATED_MAP(__m512, float, a, b, x / y)
#define _mm512_fmadd_ps(a, b, c) (emulated_isa::fmadd_ps(a, b, c))
#define _mm512_min_ps(a, b) (emulated_isa::map<__m512, float>(a, b, emulated_isa::kLess))
#define _mm512_max_ps(a, b) (emulated_isa::map<__m512, float>(a, b, emulated_isa::kGreater))
#define _mm512_reduce_min_ps(a) (emulated_isa::reduce_ps(a, emulated_isa::kLess))
#define _mm512_reduce_max_ps(a) (emulated_isa::reduce_ps(a, emulated_isa::kGreater))
#define _mm512_cmp_ps_mask(a, b, predicate) (emulated_isa::cmp_ps_mask(a, b, predicate))
#define _mm512_mask_blend_ps(mask, a, b) (emulated_isa::blend<float>(mask, a, b))
#define _mm512_cvtepi32_ps(a) (emulated_isa::cvtepi32_ps(a))
#define _mm512_cvt_roundps_epi32(a, rounding) (emulated_isa::round_ps_epi32(a))

#define _mm512_add_epi32(a, b) TORCHQ_EMULATED_MAP(__m512i, uint32_t, a, b, x + y)
#define _mm512_add_epi64(a, b) TORCHQ_EMULATED_MAP(__m512i, uint64_t, a, b, x + y)
#define _mm512_mullo_epi64(a, b) TORCHQ_EMULATED_MAP(__m512i, uint64_t, a, b, x* y)
#define _mm512_sub_epi32(a, b) TORCHQ_EMULATED_MAP(__m512i, uint32_t, a, b, x - y)
#define _mm512_mullo_epi32(a, b) TORCHQ_EMULATED_MAP(__m512i, uint32_t, a, b, x* y)
#define _mm512_min_epi32(a, b) (emulated_isa::map<__m512i, int32_t>(a, b, emulated_isa::kLess))
#define _mm512_max_epi32(a, b) (emulated_isa::map<__m512i, int32_t>(a, b, emulated_isa::kGreater))
#define _mm512_slli_epi32(a, count) (emulated_isa::slli_epi32(a, count))
#define _mm512_mask_mov_epi32(a, mask, b) (emulated_isa::blend<int32_t>(mask, a, b))
#define _mm512_xor_si512(a, b) TORCHQ_EMULATED_MAP(__m512i, uint32_t, a, b, x ^ y)
#define _mm512_and_si512(a, b) TORCHQ_EMULATED_MAP(__m512i, uint32_t, a, b, x& y)
#define _mm512_adds_epi16(a, b) TORCHQ_EMULATED_MAP(__m512i, int16_t, a, b, emulated_isa::saturated<int16_t>(x + y))
#define _mm512_min_epu8(a, b) (emulated_isa::map<__m512i, uint8_t>(a, b, emulated_isa::kLess))
#define _mm512_max_epu8(a, b) (emulated_isa::map<__m512i, uint8_t>(a, b, emulated_isa::kGreater))

#define _mm512_cvtepu8_epi32(a) (emulated_isa::widen<uint8_t>(a))
#define _mm512_cvtepi8_epi32(a) (emulated_isa::widen<int8_t>(a))
#define _mm512_cvtepi32_epi8(a) (emulated_isa::low_bytes(a))
#define _mm512_packs_epi32(a, b) (emulated_isa::pack<int32_t, int16_t>(a, b))
#define _mm512_packus_epi16(a, b) (emulated_isa::pack<int16_t, uint8_t>(a, b))
#define _mm512_unpacklo_epi8(a, b) (emulated_isa::unpack<int8_t, false>(a, b))
#define _mm512_unpackhi_epi8(a, b) (emulated_isa::unpack<int8_t, true>(a, b))
#define _mm512_unpacklo_epi16(a, b) (emulated_isa::unpack<int16_t, false>(a, b))
#define _mm512_unpackhi_epi16(a, b) (emulated_isa::unpack<int16_t, true>(a, b))
#define _mm512_shuffle_epi8(a, index) (emulated_isa::shuffle_epi8(a, index))
#define _mm512_mask_shuffle_epi8(a, mask, b, index) \
  (emulated_isa::blend<int8_t>(mask, a, emulated_isa::shuffle_epi8(b, index)))
#define _mm512_mask_blend_epi8(mask, a, b) (emulated_isa::blend<int8_t>(mask, a, b))
#define _mm512_test_epi8_mask(a, b) (emulated_isa::test_epi8_mask(a, b))
#define _mm512_permutex2var_epi32(a, index, b) (emulated_isa::permutex2var_epi32(a, index, b))
#undef _mm512_shuffle_i32x4
#define _mm512_shuffle_i32x4(a, b, control) (emulated_isa::shuffle_halves<int32_t, 4>(a, b, control))
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps(a, b, control) (emulated_isa::shuffle_halves<float, 1>(a, b, control))
#define _mm512_permutex2var_epi8(a, index, b) (emulated_isa::permutex2var_epi8(a, index, b))
#define _mm512_permutexvar_epi32(index, a) (emulated_isa::permutexvar_epi32(index, a))

#define TORCHQ_DPBUSD(sums, a, b) ((sums) = emulated_isa::dpbusd_epi32(sums, a, b))
#define TORCHQ_KEEP(vector)
