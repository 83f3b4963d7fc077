#pragma once

#include "../../../csrc/cpu/elementwise/elementwise.h"
#include "harness.h"

namespace kernel_test {

inline void check_add(Family& family, Random& random, int64_t n, bool is_signed) {
  static const std::vector<float> scales = {0.25f, 0.1f, 0.37f, 2.0f, 1e-38f, 1e38f};
  const int64_t qmin = is_signed ? -128 : 0, qmax = qmin + 255;
  const float scale_a = random.pick(scales), scale_b = random.coin() ? scale_a : random.pick(scales);
  const float inverse = 1.0f / (random.coin() ? scale_a : random.pick(scales));
  const auto zero_a = static_cast<float>(random.between(qmin, qmax));
  const auto zero_b = static_cast<float>(random.between(qmin, qmax));
  const auto zero_point = static_cast<int32_t>(random.between(qmin, qmax));
  const auto lowest = random.coin() ? zero_point : static_cast<int32_t>(qmin);
  const std::vector<uint8_t> a = bytes(random, n), b = bytes(random, n);
  family.check(describe({{"add n", n},
                         {"signed", is_signed},
                         {"scale_a", scale_a},
                         {"scale_b", scale_b},
                         {"inverse", inverse},
                         {"zero_point", zero_point}}),
               [&](Isa level, Edge edge) {
                 const Input<uint8_t> qa(a, edge), qb(b, edge);
                 const Output<uint8_t> y(n, edge);
                 torchq::elementwise_kernels(level).add({qa.data(), scale_a, zero_a}, {qb.data(), scale_b, zero_b}, n,
                                                        inverse, zero_point, lowest, is_signed, y.data());
                 return y.bytes();
               });
}

inline void check_clamp(Family& family, Random& random, int64_t n, bool is_signed) {
  const int64_t qmin = is_signed ? -128 : 0, qmax = qmin + 255;
  const auto lowest = static_cast<int32_t>(random.between(qmin, qmax));
  const auto highest = static_cast<int32_t>(random.between(lowest, qmax));
  const std::vector<uint8_t> q = bytes(random, n);
  family.check(describe({{"clamp n", n}, {"signed", is_signed}, {"lowest", lowest}, {"highest", highest}}),
               [&](Isa level, Edge edge) {
                 const Input<uint8_t> values(q, edge);
                 const Output<uint8_t> y(n, edge);
                 torchq::elementwise_kernels(level).clamp(values.data(), n, lowest, highest, is_signed, y.data());
                 return y.bytes();
               });
}

inline void check_elementwise(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (const bool is_signed : {false, true}) {
      for (int repeat = 0; repeat < 8; ++repeat) check_add(family, random, n, is_signed);
      for (int repeat = 0; repeat < 3; ++repeat) check_clamp(family, random, n, is_signed);
    }
  }
}

}  // namespace kernel_test
