#pragma once

#include "../../../csrc/cpu/softmax/softmax.h"
#include "harness.h"

namespace kernel_test {

inline void check_softmax(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    if (n == 0) continue;
    for (const bool is_signed : {false, true}) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        torchq::SoftmaxWeights weights{};
        for (int d = 0; d < 256; ++d)
          weights.below[255 - d] = static_cast<int32_t>(random.between(0, (1 << 24) >> d / 16));
        weights.below[255] = 1 << 24;
        const float scale = random.coin() ? 1.0f / 256.0f : random.real(0.001f, 0.1f);
        const auto zero_point = static_cast<int32_t>(is_signed ? random.between(-128, 127) : random.between(0, 255));
        const std::vector<uint8_t> q = bytes(random, n);
        family.check(describe({{"n", n}, {"signed", is_signed}, {"scale", scale}, {"zero_point", zero_point}}),
                     [&](Isa level, Edge edge) {
                       const Input<uint8_t> values(q, edge);
                       const Output<uint8_t> y(n, edge);
                       torchq::softmax_kernels(level).softmax(values.data(), n, weights, scale, zero_point, is_signed,
                                                              y.data());
                       return y.bytes();
                     });
      }
    }
  }
}

}  // namespace kernel_test
