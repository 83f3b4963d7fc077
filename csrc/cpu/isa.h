// Floor 1. The instruction set levels, and which of them this process uses.
#pragma once

namespace torchq {

// The levels of the architecture that this is compiled for, and their names, in order of speed. The values are part of
// the C interface at the end.
#if defined(__aarch64__)
enum class Isa : int { scalar = 0, neon_dot = 1 };
constexpr const char* kIsaNames[] = {"scalar", "neon_dot"};
#else
enum class Isa : int { scalar = 0, avx2 = 1, avx_vnni = 2, avx512_vnni = 3, avx512_vbmi = 4 };
constexpr const char* kIsaNames[] = {"scalar", "avx2", "avx_vnni", "avx512_vnni", "avx512_vbmi"};
#endif
constexpr int kLevels = sizeof(kIsaNames) / sizeof(kIsaNames[0]);

// Whether this CPU runs a level. Not all below its best: AVX-VNNI came after AVX-512-VNNI.
bool runs(Isa level);

// The level that kernels are selected by: the best that the CPU runs, unless TORCHQ_CPU_CAPABILITY or
// torchq_set_cpu_capability lowered it. Throws std::runtime_error if the variable holds no name of a level.
Isa current_isa();

}  // namespace torchq

// For Python, through ctypes. Levels are the values of Isa.
extern "C" {
// Returns the current level; -1 if TORCHQ_CPU_CAPABILITY holds no name of a level.
__attribute__((visibility("default"))) int torchq_get_cpu_capability();
// Returns whether the CPU runs the level.
__attribute__((visibility("default"))) int torchq_runs_cpu_capability(int level);
// Returns 0; -1, changing nothing, if the CPU does not run the level.
__attribute__((visibility("default"))) int torchq_set_cpu_capability(int level);
}
