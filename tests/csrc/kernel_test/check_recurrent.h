#pragma once

#include "../../../csrc/cpu/recurrent/recurrent.h"
#include "harness.h"

namespace kernel_test {

// Around the bends of sigmoid and tanh, where they end, and far beyond.
inline std::vector<float> gate_sums(Random& random, int64_t n) {
  static const std::vector<float> special = {0.0f, -0.0f, 0.625f, -0.625f, 87.0f, -88.0f, 1e-40f, 3e38f, -3e38f};
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) {
    const int64_t kind = random.between(0, 5);
    value = kind == 0 ? random.pick(special) : kind == 1 ? random.real(-100.0f, 100.0f) : random.real(-4.0f, 4.0f);
  }
  return values;
}

inline void check_recurrent(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (int repeat = 0; repeat < 4; ++repeat) {
      const std::vector<float> xs = gate_sums(random, 4 * n), hs = gate_sums(random, 4 * n);
      const std::vector<float> states = gate_sums(random, n);
      family.check(describe({{"lstm n", n}}), [&](Isa level, Edge edge) {
        const Input<float> x(xs, edge), h(hs, edge);
        const Output<float> cell(n, edge), hidden(n, edge);
        std::copy(states.begin(), states.end(), cell.data());
        torchq::recurrent_kernels(level).lstm(x.data(), h.data(), n, cell.data(), hidden.data());
        std::vector<uint8_t> all = cell.bytes();
        for (const uint8_t byte : hidden.bytes()) all.push_back(byte);
        return all;
      });
      const std::vector<float> gru_xs(xs.begin(), xs.begin() + 3 * n), gru_hs(hs.begin(), hs.begin() + 3 * n);
      family.check(describe({{"gru n", n}}), [&](Isa level, Edge edge) {
        const Input<float> x(gru_xs, edge), h(gru_hs, edge);
        const Output<float> hidden(n, edge);
        std::copy(states.begin(), states.end(), hidden.data());
        torchq::recurrent_kernels(level).gru(x.data(), h.data(), n, hidden.data(), hidden.data());
        return hidden.bytes();
      });
    }
  }
}

}  // namespace kernel_test
