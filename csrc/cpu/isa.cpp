#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace torchq {
namespace {

constexpr int kUnknown = -1;

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
  if (avx2 && avx512) return Isa::avx512_vnni;
  if (avx2) return Isa::avx2;
#endif
  return Isa::scalar;
}

int initial_level() {
  const int best = static_cast<int>(detected_isa());
  const char* wanted = std::getenv("TORCHQ_CPU_CAPABILITY");
  if (wanted == nullptr || *wanted == '\0') return best;
  const std::string name(wanted);
  const int level = name == "scalar" ? 0 : name == "avx2" ? 1 : name == "avx512_vnni" ? 2 : kUnknown;
  return level < best ? level : best;  // the variable can only lower it
}

std::atomic<int>& level() {
  static std::atomic<int> value{initial_level()};
  return value;
}

}  // namespace

Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa current_isa() {
  const int value = level().load(std::memory_order_relaxed);
  if (value == kUnknown)
    throw std::runtime_error("TORCHQ_CPU_CAPABILITY is '" +
                             std::string(std::getenv("TORCHQ_CPU_CAPABILITY")) +
                             "'; allowed are scalar, avx2 and avx512_vnni");
  return static_cast<Isa>(value);
}

}  // namespace torchq

int torchq_get_cpu_capability() { return torchq::level().load(); }

int torchq_get_detected_cpu_capability() { return static_cast<int>(torchq::detected_isa()); }

int torchq_set_cpu_capability(int level) {
  if (level < 0 || level > torchq_get_detected_cpu_capability()) return -1;
  torchq::level().store(level);
  return 0;
}
