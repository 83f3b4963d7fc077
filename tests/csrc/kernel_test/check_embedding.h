#pragma once

#include "../../../csrc/cpu/embedding/embedding.h"
#include "harness.h"

namespace kernel_test {

inline void check_embedding(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (const bool halves : {false, true}) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        const float scale = random.real(-0.1f, 0.1f), bias = random.real(-3.0f, 3.0f);
        const float weight = random.coin() ? 1.0f : random.pick(special_floats());
        const std::vector<uint8_t> row = bytes(random, halves ? (n + 1) / 2 : n);
        const std::vector<float> start = floats(random, n, 0.01f);
        family.check(describe({{"n", n}, {"halves", halves}, {"weight", weight}}), [&](Isa level, Edge edge) {
          const Input<uint8_t> q(row, edge);
          const Output<float> sums(n, edge);
          std::copy(start.begin(), start.end(), sums.data());
          const torchq::EmbeddingKernels& kernels = torchq::embedding_kernels(level);
          (halves ? kernels.add_halves : kernels.add_bytes)(q.data(), n, scale, bias, weight, sums.data());
          return with_one_nan(sums.bytes());
        });
      }
    }
  }
}

}  // namespace kernel_test
