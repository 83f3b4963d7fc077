#pragma once

#include "../../../csrc/cpu/pool/pool.h"
#include "harness.h"

namespace kernel_test {

// Pixels lie in random order, so that each of them is the one at the guard page in some case.
inline void check_windows(Family& family, Random& random, int64_t count, int64_t channels, bool is_signed,
                          int64_t windows) {
  const int64_t step = windows > 1 ? channels * random.between(0, 3) : 0, moves = (windows - 1) * step;
  const std::vector<uint8_t> image = bytes(random, count * channels + moves);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < count; ++i) order.push_back(i);
  random.shuffle(order);
  torchq::AverageArgs args{};
  args.inverse_divisor = random.coin() ? 1.0f / static_cast<float>(count) : random.pick(special_floats());
  args.zero_point = static_cast<int32_t>(is_signed ? random.between(-128, 127) : random.between(0, 255));
  args.fused = random.coin();
  for (const bool average : {false, true}) {
    family.check(describe({{average ? "avg_pool count" : "max_pool count", count},
                           {"channels", channels},
                           {"windows", windows},
                           {"step", step},
                           {"signed", is_signed},
                           {"inverse", args.inverse_divisor},
                           {"zero_point", args.zero_point},
                           {"fused", args.fused}}),
                 [&](Isa level, Edge edge) {
                   const Input<uint8_t> pixels(image, edge);
                   std::vector<const uint8_t*> pointers;
                   for (const int64_t i : order) pointers.push_back(pixels.data() + i * channels);
                   const Input<const uint8_t*> first(pointers, edge);
                   const Output<uint8_t> y(windows * channels, edge);
                   const torchq::Windows all{first.data(), count, channels, is_signed, windows, step};
                   const torchq::PoolKernels& kernels = torchq::pool_kernels(level);
                   if (average) {
                     kernels.avg_pool(all, args, y.data());
                   } else {
                     kernels.max_pool(all, y.data());
                   }
                   return y.bytes();
                 });
  }
}

inline void check_pool(Family& family, Random& random) {
  for (const int64_t channels : kLengths)
    for (const int64_t count : {0, 1, 2, 3, 4, 9, 49})
      for (const bool is_signed : {false, true})
        for (const int64_t windows : {1, 3}) check_windows(family, random, count, channels, is_signed, windows);
}

}  // namespace kernel_test
