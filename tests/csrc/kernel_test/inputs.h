// Inputs: random, and those at which kernels break. The same on every machine: no distribution of the
// standard library.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace kernel_test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // splitmix64
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }
  float real(float low, float high) { return low + (high - low) * (static_cast<float>(bits() >> 40) / 16777216.0f); }
  bool coin() { return (bits() & 1) != 0; }
  template <typename T>
  T pick(const std::vector<T>& values) {
    return values[static_cast<size_t>(between(0, static_cast<int64_t>(values.size()) - 1))];
  }
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<size_t>(between(0, static_cast<int64_t>(i) - 1))]);
  }

 private:
  uint64_t state_;
};

// Around a vector of 16, a block of 64, and their halves.
inline const std::vector<int64_t> kLengths = {0,  1,  2,  3,  4,  7,  8,  9,  15,  16,  17,  31, 32,
                                              33, 47, 48, 49, 63, 64, 65, 80, 127, 128, 129, 200};

// A third each of any byte, of the lowest and highest of uint8 and int8, and of their neighbours.
inline std::vector<uint8_t> bytes(Random& random, int64_t n) {
  static const std::vector<uint8_t> extremes = {0, 255, 128, 127};
  static const std::vector<uint8_t> neighbours = {1, 254, 129, 126};
  std::vector<uint8_t> values(static_cast<size_t>(n));
  for (uint8_t& value : values) {
    const int64_t kind = random.between(0, 2);
    value = kind == 0   ? static_cast<uint8_t>(random.between(0, 255))
            : kind == 1 ? random.pick(extremes)
                        : random.pick(neighbours);
  }
  return values;
}

inline const std::vector<float>& special_floats() {
  using Limits = std::numeric_limits<float>;
  static const std::vector<float> values = {0.0f,
                                            -0.0f,
                                            Limits::quiet_NaN(),
                                            -Limits::quiet_NaN(),
                                            Limits::infinity(),
                                            -Limits::infinity(),
                                            Limits::max(),
                                            Limits::lowest(),
                                            Limits::min(),
                                            Limits::denorm_min(),
                                            -Limits::denorm_min(),
                                            2147483648.0f,
                                            2147483520.0f,
                                            -2147483648.0f,
                                            -2147483904.0f,
                                            8388607.5f,
                                            8388608.0f,
                                            -8388607.5f,
                                            16777216.0f,
                                            32767.5f,
                                            -32768.5f};
  return values;
}

// In units of `step`: exact ties, the floats next to them, anything near the range of a byte, and special
// values.
inline std::vector<float> floats(Random& random, int64_t n, float step) {
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) {
    const float tie = (static_cast<float>(random.between(-300, 300)) + 0.5f) * step;
    switch (random.between(0, 4)) {
      case 0:
        value = tie;
        break;
      case 1:
        value = std::nextafter(tie, random.coin() ? 1e30f : -1e30f);
        break;
      case 2:
        value = random.real(-400.0f, 400.0f) * step;
        break;
      case 3:
        value = random.real(-4.0f, 4.0f) * step;
        break;
      default:
        value = random.pick(special_floats());
        break;
    }
  }
  return values;
}

}  // namespace kernel_test
