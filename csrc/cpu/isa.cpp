#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace torchq {
namespace {

constexpr int kUnknown = -1;

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#if defined(TORCHQ_EMULATED_AVX512)
  const bool avx512 = true;
#else
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
#endif
  if (avx2 && avx512) return Isa::avx512_vnni;
  if (avx2) return Isa::avx2;
#elif defined(__aarch64__)
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) return Isa::neon_dot;
#endif
  return Isa::scalar;
}

int level_of_name(const std::string& wanted) {
  int level = 0;
  for (const char* name : kIsaNames) {
    if (wanted == name) return level;
    ++level;
  }
  return kUnknown;
}

std::string all_names() {
  std::string names;
  for (const char* name : kIsaNames) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

int initial_level() {
  const int best = static_cast<int>(detected_isa());
  const char* wanted = std::getenv("TORCHQ_CPU_CAPABILITY");
  if (wanted == nullptr || *wanted == '\0') return best;
  const int level = level_of_name(wanted);
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
  if (value == kUnknown) throw std::runtime_error("TORCHQ_CPU_CAPABILITY must be one of " + all_names());
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
