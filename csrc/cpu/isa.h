// Floor 1. The instruction set levels, and which of them this process uses.
#pragma once

namespace torchq {

// The levels of the architecture that this is compiled for, and their names. Ordered: a CPU that runs a level
// runs all levels below it. The values are part of the C interface at the end.
#if defined(__aarch64__)
enum class Isa : int { scalar = 0, neon_dot = 1 };
constexpr const char* kIsaNames[] = {"scalar", "neon_dot"};
#else
enum class Isa : int { scalar = 0, avx2 = 1, avx512_vnni = 2 };
constexpr const char* kIsaNames[] = {"scalar", "avx2", "avx512_vnni"};
#endif

// The level that kernels are selected by: the best that the CPU has, unless TORCHQ_CPU_CAPABILITY or
// torchq_set_cpu_capability lowered it. Throws std::runtime_error if the variable holds no name of a level.
Isa current_isa();

// The best level that this CPU runs.
Isa detected_isa();

}  // namespace torchq

// For Python, through ctypes. Levels are the values of Isa.
extern "C" {
// Returns the current level; -1 if TORCHQ_CPU_CAPABILITY holds no name of a level.
__attribute__((visibility("default"))) int torchq_get_cpu_capability();
__attribute__((visibility("default"))) int torchq_get_detected_cpu_capability();
// Returns 0; -1, changing nothing, if the CPU does not run the level.
__attribute__((visibility("default"))) int torchq_set_cpu_capability(int level);
}
