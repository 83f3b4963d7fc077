#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace torchq {
namespace {

constexpr int kUnknown = -1;

#if defined(__x86_64__)
#if defined(TORCHQ_EMULATED_ISA)
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

// Not every compiler's __builtin_cpu_supports knows it.
bool has_avx_vnni() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & (1u << 4)) != 0;
}

bool detect(Isa level) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512_vnni = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                           __builtin_cpu_supports("avx512vnni");
  switch (level) {
    case Isa::scalar:
      return true;
    case Isa::avx2:
      return avx2;
    case Isa::avx_vnni:
      return avx2 && (kEmulated || has_avx_vnni());
    case Isa::avx512_vnni:
      return kEmulated ? avx2 : avx512_vnni;
    case Isa::avx512_vbmi:
      return kEmulated ? avx2 : avx512_vnni && __builtin_cpu_supports("avx512vbmi");
  }
  return false;
}
#elif defined(__aarch64__)
bool detect(Isa level) { return level == Isa::scalar || (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#else
bool detect(Isa level) { return level == Isa::scalar; }
#endif

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
  const char* wanted = std::getenv("TORCHQ_CPU_CAPABILITY");
  int level = kLevels - 1;
  if (wanted != nullptr && *wanted != '\0') level = level_of_name(wanted);
  if (level == kUnknown) return kUnknown;
  while (!runs(static_cast<Isa>(level))) --level;
  return level;
}

std::atomic<int>& level() {
  static std::atomic<int> value{initial_level()};
  return value;
}

}  // namespace

bool runs(Isa level) {
  struct Levels {
    bool runs[kLevels];
    Levels() {
      for (int i = 0; i < kLevels; ++i) runs[i] = detect(static_cast<Isa>(i));
    }
  };
  static const Levels levels;
  return levels.runs[static_cast<int>(level)];
}

Isa current_isa() {
  const int value = level().load(std::memory_order_relaxed);
  if (value == kUnknown) throw std::runtime_error("TORCHQ_CPU_CAPABILITY must be one of " + all_names());
  return static_cast<Isa>(value);
}

}  // namespace torchq

int torchq_get_cpu_capability() { return torchq::level().load(); }

int torchq_runs_cpu_capability(int level) {
  return level >= 0 && level < torchq::kLevels && torchq::runs(static_cast<torchq::Isa>(level));
}

int torchq_set_cpu_capability(int level) {
  if (torchq_runs_cpu_capability(level) == 0) return -1;
  torchq::level().store(level);
  return 0;
}
