#pragma once

#include "../../../csrc/cpu/interpolate/interpolate.h"
#include "harness.h"

namespace kernel_test {

inline void check_interpolate(Family& family, Random& random) {
  for (const int64_t channels : kLengths) {
    for (const bool is_signed : {false, true}) {
      for (int repeat = 0; repeat < 4; ++repeat) {
        const float bottom = random.real(0.0f, 1.0f), right = random.coin() ? 0.5f : random.real(0.0f, 1.0f);
        const std::vector<uint8_t> image = bytes(random, 4 * channels);
        std::vector<int64_t> order = {0, 1, 2, 3};
        random.shuffle(order);
        family.check(describe({{"channels", channels}, {"signed", is_signed}, {"bottom", bottom}, {"right", right}}),
                     [&](Isa level, Edge edge) {
                       const Input<uint8_t> pixels(image, edge);
                       torchq::Corners corners{{}, 1.0f - bottom, bottom, 1.0f - right, right};
                       for (int i = 0; i < 4; ++i) corners.pixels[i] = pixels.data() + order[i] * channels;
                       const Output<uint8_t> y(channels, edge);
                       torchq::interpolate_kernels(level).bilinear(corners, channels, is_signed, y.data());
                       return y.bytes();
                     });
      }
    }
  }
}

}  // namespace kernel_test
