// Floor 0. The arithmetic contract as inline functions; docs/numerics.md says it in words.
// Everything is float32 unless said otherwise and compiled with -ffp-contract=off: an fma is written as one.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#ifdef __CUDACC__
#define TORCHQ_HOST_DEVICE __host__ __device__
#else
#define TORCHQ_HOST_DEVICE
#endif

namespace torchq {

// Largest float below 2^31. A value is brought below it before it becomes an int32.
constexpr float kInt32Ceiling = 2147483520.0f;
// A bound for values that are known not to need that, computed in float32.
constexpr float kFarBelowCeiling = 1073741824.0f;

// Rounds half to even whatever the rounding mode of the thread. Floats of 2^23 and beyond are integers
// already; doubles are rounded below that only.
template <typename T>
TORCHQ_HOST_DEVICE inline T round_half_even(T x) {
  if (!(std::fabs(x) < T{8388608})) return x;
  const T below = std::floor(x);
  const T fraction = x - below;  // exact
  const bool odd = (static_cast<int32_t>(below) & 1) != 0;
  return (fraction > T{0.5} || (fraction == T{0.5} && odd)) ? below + T{1} : below;
}

// Rounds to an int32 and saturates. NaN gives INT32_MAX.
TORCHQ_HOST_DEVICE inline int32_t round_to_int32(float x) {
  const float rounded = round_half_even(x);
  if (!(rounded < 2147483648.0f)) return std::numeric_limits<int32_t>::max();
  if (rounded < -2147483648.0f) return std::numeric_limits<int32_t>::min();
  return static_cast<int32_t>(rounded);
}

// int32 minus int32 needs 33 bits: the difference is taken in double, which holds it exactly.
TORCHQ_HOST_DEVICE inline float dequantize_int32(int32_t q, float scale, int32_t zero_point) {
  return static_cast<float>(static_cast<double>(q) - static_cast<double>(zero_point)) * scale;
}

// Per channel scales are double, and the product is taken so, as torch has it.
TORCHQ_HOST_DEVICE inline float dequantize_channel(int32_t q, double scale, int32_t zero_point) {
  const float difference = static_cast<float>(q) - static_cast<float>(zero_point);
  return static_cast<float>(static_cast<double>(difference) * scale);
}

struct QParams {
  float scale;
  int32_t zero_point;
};

// The scale and zero point that cover [least, most] and 0 with the integers [qmin, qmax], for activations
// that are quantized on the fly. In double, and with a floor under the scale, as fbgemm's
// ChooseQuantizationParams has them. A range that is not finite gives a NaN scale, so that every result
// computed with it is NaN.
inline QParams choose_qparams(float least, float most, int32_t qmin, int32_t qmax) {
  if (!std::isfinite(least) || !std::isfinite(most)) return {std::numeric_limits<float>::quiet_NaN(), 0};
  constexpr float kSmallest = 6.1e-5f;
  least = least < 0.0f ? least : 0.0f;
  most = most > 0.0f ? most : 0.0f;
  double scale = (static_cast<double>(most) - static_cast<double>(least)) / (qmax - qmin);
  if (static_cast<float>(scale) == 0.0f || std::isinf(1.0f / static_cast<float>(scale))) scale = 0.1;
  if (scale < kSmallest) {
    const float stretch = kSmallest / static_cast<float>(scale);
    scale = kSmallest;
    if (least == 0.0f) {
      most = kSmallest * static_cast<float>(qmax - qmin);
    } else if (most == 0.0f) {
      least = -kSmallest * static_cast<float>(qmax - qmin);
    } else {
      least *= stretch;
      most *= stretch;
    }
  }
  // The zero point follows from either end of the range; the end with the smaller rounding error decides.
  const double from_least = qmin - least / scale;
  const double from_most = qmax - most / scale;
  const double least_error = std::abs(qmin) - std::fabs(least / scale);
  const double most_error = std::abs(qmax) - std::fabs(most / scale);
  const double initial = least_error < most_error ? from_least : from_most;
  const double clamped = initial < qmin ? qmin : initial > qmax ? qmax : initial;
  return {static_cast<float>(scale), static_cast<int32_t>(round_half_even(clamped))};
}

// e^x for x <= 0, to the last bit or nearly so and the same on every machine, which a library's function is not: the
// Taylor series around the nearest multiple of ln 2. No fma.
inline double exp_of(double x) {
  constexpr double kLog2E = 1.4426950408889634, kLn2High = 0.6931471803691238, kLn2Low = 1.9082149292705877e-10;
  if (!(x > -745.0)) return 0.0;
  const double multiple = std::floor(x * kLog2E + 0.5);
  const double r = (x - multiple * kLn2High) - multiple * kLn2Low;
  double sum = 1.0;
  for (int k = 13; k > 0; --k) sum = 1.0 + r / k * sum;
  return std::ldexp(sum, static_cast<int>(multiple));
}

// The largest K for which sum_k (x[k] - zx) * w[k] cannot leave int32: K * 255 * 128 < 2^31; and, with zero
// points of the weight, sum_k (x[k] - zx) * (w[k] - zw): K * 255 * 255 < 2^31.
constexpr int64_t kMaxReduction = 65793;
constexpr int64_t kMaxAsymmetricReduction = 33025;

}  // namespace torchq
