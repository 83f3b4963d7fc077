#pragma once

#include "../../../csrc/cpu/quantize/quantize.h"
#include "harness.h"

namespace kernel_test {

using torchq::Storage;

inline int64_t storage_bytes(Storage storage) { return storage == Storage::s32 ? 4 : 1; }

inline void check_quantize_to(Family& family, Random& random, int64_t n, bool per_element, bool fused,
                              Storage storage) {
  static const std::vector<float> scales = {0.25f, 0.1f, 1.0f, 3e-39f, 1e-45f, 1e30f};
  const float scale = random.pick(scales);
  const int64_t entries = per_element ? n : 1;
  std::vector<float> inverse(static_cast<size_t>(entries)), zero(static_cast<size_t>(entries));
  for (float& value : inverse) value = 1.0f / (per_element && random.coin() ? random.pick(scales) : scale);
  for (float& value : zero) {
    value = storage == Storage::s32 && random.coin() ? static_cast<float>(static_cast<int32_t>(random.bits()))
            : storage == Storage::u8                 ? static_cast<float>(random.between(0, 255))
                                                     : static_cast<float>(random.between(-128, 127));
  }
  const std::vector<float> x = floats(random, n, scale);
  family.check(describe({{"quantize n", n},
                         {"per_element", per_element},
                         {"fused", fused},
                         {"storage", static_cast<int>(storage)},
                         {"scale", scale}}),
               [&](Isa level, Edge edge) {
                 const Input<float> values(x, edge), inverses(inverse, edge), zeros(zero, edge);
                 const Output<uint8_t> q(n * storage_bytes(storage), edge);
                 torchq::quantize_kernels(level).quantize(values.data(), n, inverses.data(), zeros.data(), per_element,
                                                          fused, storage, q.data());
                 return q.bytes();
               });
}

inline void check_dequantize(Family& family, Random& random, int64_t n, Storage storage) {
  static const std::vector<int32_t> extremes = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, 16777217, INT32_MAX - 1, INT32_MAX};
  std::vector<uint8_t> q = bytes(random, n * storage_bytes(storage));
  if (storage == Storage::s32) {
    for (int64_t i = 0; i < n; ++i) {
      const int32_t value = random.coin() ? random.pick(extremes) : static_cast<int32_t>(random.bits());
      std::memcpy(&q[static_cast<size_t>(4 * i)], &value, 4);
    }
  }
  const int32_t zero_point = storage == Storage::s32  ? random.pick(extremes)
                             : storage == Storage::u8 ? static_cast<int32_t>(random.between(0, 255))
                                                      : static_cast<int32_t>(random.between(-128, 127));
  const float scale = random.pick(std::vector<float>{0.1f, 1.0f, 3e-39f, 1e37f});
  family.check(
      describe({{"dequantize n", n}, {"storage", static_cast<int>(storage)}, {"scale", scale}, {"zero", zero_point}}),
      [&](Isa level, Edge edge) {
        const Input<uint8_t> values(q, edge);
        const Output<float> x(n, edge);
        torchq::quantize_kernels(level).dequantize(values.data(), n, scale, zero_point, storage, x.data());
        return with_one_nan(x.bytes());
      });
}

// `specials` is how many values at random places are special ones.
inline void check_min_max(Family& family, Random& random, int64_t n, int specials) {
  std::vector<float> x(static_cast<size_t>(n));
  for (float& value : x) value = random.real(-5.0f, 5.0f);
  for (int i = 0; i < specials && n > 0; ++i)
    x[static_cast<size_t>(random.between(0, n - 1))] = random.pick(special_floats());
  family.check(describe({{"min_max n", n}, {"specials", specials}}), [&](Isa level, Edge edge) {
    const Input<float> values(x, edge);
    const Output<float> range(2, edge);
    range.data()[0] = range.data()[1] = 0.0f;
    torchq::quantize_kernels(level).min_max(values.data(), n, range.data(), range.data() + 1);
    return with_one_nan(range.bytes());
  });
}

inline void check_quantize(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (const Storage storage : {Storage::u8, Storage::s8, Storage::s32}) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        for (const bool per_element : {false, true})
          for (const bool fused : {false, true}) check_quantize_to(family, random, n, per_element, fused, storage);
        check_dequantize(family, random, n, storage);
      }
    }
    for (int specials = 0; specials < 6; ++specials) check_min_max(family, random, n, specials / 2);
  }
}

}  // namespace kernel_test
