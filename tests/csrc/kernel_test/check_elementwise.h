#pragma once

#include "../../../csrc/cpu/elementwise/elementwise.h"
#include "harness.h"

namespace kernel_test {

using torchq::ByteOutput;
using torchq::Operand;

inline ByteOutput random_output(Random& random, float scale, bool is_signed) {
  const int64_t qmin = is_signed ? -128 : 0;
  const auto zero_point = static_cast<int32_t>(random.between(qmin, qmin + 255));
  return {1.0f / scale, zero_point, random.coin() ? zero_point : static_cast<int32_t>(qmin), is_signed};
}

inline void check_combination(Family& family, Random& random, int64_t n, bool is_signed, bool product) {
  static const std::vector<float> scales = {0.25f, 0.1f, 0.37f, 2.0f, 1e-38f, 1e38f};
  const int64_t qmin = is_signed ? -128 : 0, qmax = qmin + 255;
  const float scale_a = random.pick(scales), scale_b = random.coin() ? scale_a : random.pick(scales);
  const ByteOutput output = random_output(random, random.coin() ? scale_a : random.pick(scales), is_signed);
  const auto zero_a = static_cast<float>(random.between(qmin, qmax));
  const auto zero_b = static_cast<float>(random.between(qmin, qmax));
  const std::vector<uint8_t> a = bytes(random, n), b = bytes(random, n);
  family.check(describe({{product ? "mul n" : "add n", n},
                         {"signed", is_signed},
                         {"scale_a", scale_a},
                         {"scale_b", scale_b},
                         {"inverse", output.inverse_scale},
                         {"zero_point", output.zero_point}}),
               [&](Isa level, Edge edge) {
                 const Input<uint8_t> qa(a, edge), qb(b, edge);
                 const Output<uint8_t> y(n, edge);
                 const torchq::ElementwiseKernels& kernels = torchq::elementwise_kernels(level);
                 const Operand left{qa.data(), scale_a, zero_a}, right{qb.data(), scale_b, zero_b};
                 if (product) {
                   kernels.mul(left, right, n, scale_a * scale_b * output.inverse_scale, output, y.data());
                 } else {
                   kernels.add(left, right, n, output, y.data());
                 }
                 return y.bytes();
               });
}

inline void check_prelu(Family& family, Random& random, int64_t n, bool is_signed) {
  const ByteOutput output = random_output(random, 0.05f, is_signed);
  const auto zero = static_cast<float>(is_signed ? random.between(-128, 127) : random.between(0, 255));
  const std::vector<uint8_t> q = bytes(random, n);
  std::vector<float> slopes;
  for (int64_t i = 0; i < n; ++i) slopes.push_back(random.real(-0.1f, 0.1f));
  family.check(describe({{"prelu n", n}, {"signed", is_signed}, {"zero", zero}}), [&](Isa level, Edge edge) {
    const Input<uint8_t> values(q, edge);
    const Input<float> negative_scale(slopes, edge);
    const Output<uint8_t> y(n, edge);
    torchq::elementwise_kernels(level).prelu({values.data(), 0.07f, zero}, n, negative_scale.data(), output, y.data());
    return y.bytes();
  });
}

inline void check_lookup(Family& family, Random& random, int64_t n) {
  const std::vector<uint8_t> q = bytes(random, n), entries = bytes(random, 256);
  family.check(describe({{"lookup n", n}}), [&](Isa level, Edge edge) {
    const Input<uint8_t> values(q, edge), table(entries, edge);
    const Output<uint8_t> y(n, edge);
    torchq::elementwise_kernels(level).lookup(values.data(), n, table.data(), y.data());
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

inline void check_interleave(Family& family, Random& random, int64_t n) {
  const int64_t plane_bytes = n + random.between(0, 3);
  const std::vector<uint8_t> q = bytes(random, 2 * plane_bytes + n);
  family.check(describe({{"interleave n", n}, {"plane_bytes", plane_bytes}}), [&](Isa level, Edge edge) {
    const Input<uint8_t> planes(q, edge);
    const Output<uint8_t> y(3 * n, edge);
    torchq::elementwise_kernels(level).interleave(planes.data(), plane_bytes, n, y.data());
    return y.bytes();
  });
}

inline void check_elementwise(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (const bool is_signed : {false, true}) {
      for (int repeat = 0; repeat < 8; ++repeat) check_combination(family, random, n, is_signed, repeat % 2 == 0);
      for (int repeat = 0; repeat < 3; ++repeat) check_clamp(family, random, n, is_signed);
      for (int repeat = 0; repeat < 3; ++repeat) check_prelu(family, random, n, is_signed);
    }
    for (int repeat = 0; repeat < 3; ++repeat) check_lookup(family, random, n);
    check_interleave(family, random, n);
  }
}

}  // namespace kernel_test
