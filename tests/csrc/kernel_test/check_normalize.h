#pragma once

#include "../../../csrc/cpu/normalize/normalize.h"
#include "harness.h"

namespace kernel_test {

inline void check_affine(Family& family, Random& random, int64_t n, bool is_signed) {
  const int64_t qmin = is_signed ? -128 : 0;
  const std::vector<uint8_t> q = bytes(random, n);
  std::vector<float> offsets, scales, shifts;
  for (int64_t i = 0; i < std::max<int64_t>(1, n); ++i) offsets.push_back(random.real(-200.0f, 100.0f));
  for (int64_t i = 0; i < n; ++i) {
    scales.push_back(random.between(0, 9) == 0 ? random.pick(special_floats()) : random.real(-0.1f, 0.1f));
    shifts.push_back(random.real(-3.0f, 3.0f));
  }
  torchq::AffineArgs args{};
  args.offset_per_element = random.coin();
  if (!args.offset_per_element) offsets.resize(1);
  args.factor = random.real(0.1f, 2.0f);
  args.inverse_scale = random.real(5.0f, 50.0f);
  args.zero_point = static_cast<int32_t>(random.between(qmin, qmin + 255));
  args.lowest = random.coin() ? args.zero_point : static_cast<int32_t>(qmin);
  args.is_signed = is_signed;
  family.check(describe({{"affine n", n}, {"signed", is_signed}, {"offsets", args.offset_per_element}}),
               [&](Isa level, Edge edge) {
                 const Input<uint8_t> values(q, edge);
                 const Input<float> offset(offsets, edge), scale(scales, edge), shift(shifts, edge);
                 const Output<uint8_t> y(n, edge);
                 args.offset = offset.data();
                 args.scale = scale.data();
                 args.shift = shift.data();
                 torchq::normalize_kernels(level).affine(values.data(), n, args, y.data());
                 return y.bytes();
               });
}

inline void check_moments(Family& family, const std::vector<uint8_t>& q, bool is_signed) {
  const auto n = static_cast<int64_t>(q.size());
  family.check(describe({{"moments n", n}, {"signed", is_signed}}), [&](Isa level, Edge edge) {
    const Input<uint8_t> values(q, edge);
    const Output<int64_t> sums(2, edge);
    sums.data()[0] = 3;
    sums.data()[1] = -5;
    torchq::normalize_kernels(level).moments(values.data(), n, is_signed, sums.data(), sums.data() + 1);
    return sums.bytes();
  });
}

inline void check_channel_moments(Family& family, Random& random, int64_t channels, bool is_signed) {
  const int64_t pixels = random.between(1, 9), stride = channels + random.between(0, 3);
  const std::vector<uint8_t> q = bytes(random, (pixels - 1) * stride + channels);
  family.check(describe({{"channel_moments n", channels}, {"pixels", pixels}, {"signed", is_signed}}),
               [&](Isa level, Edge edge) {
                 const Input<uint8_t> values(q, edge);
                 const Output<int32_t> sums(channels, edge), squares(channels, edge);
                 std::fill(sums.data(), sums.data() + channels, 7);
                 std::fill(squares.data(), squares.data() + channels, 9);
                 torchq::normalize_kernels(level).channel_moments(values.data(), pixels, channels, stride, is_signed,
                                                                  sums.data(), squares.data());
                 std::vector<uint8_t> both = sums.bytes(), second = squares.bytes();
                 both.insert(both.end(), second.begin(), second.end());
                 return both;
               });
}

inline void check_normalize(Family& family, Random& random) {
  for (const int64_t n : kLengths) {
    for (const bool is_signed : {false, true}) {
      for (int repeat = 0; repeat < 5; ++repeat) check_affine(family, random, n, is_signed);
      check_moments(family, bytes(random, n), is_signed);
      for (int repeat = 0; repeat < 3; ++repeat)
        if (n > 0) check_channel_moments(family, random, n, is_signed);
    }
  }
  // More squares than an int32 holds, in every lane.
  check_moments(family, std::vector<uint8_t>(16 * torchq::kMaxPixels + 33, 255), false);
  check_moments(family, std::vector<uint8_t>(16 * torchq::kMaxPixels + 33, 128), true);
}

}  // namespace kernel_test
