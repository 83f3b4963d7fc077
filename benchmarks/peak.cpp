// The machine's own limit: int8 operations per second of one thread that does nothing but vpdpbusd.
#include <immintrin.h>

#include <cstdint>

// Ten independent chains hide the instruction's latency on every CPU that has it.
extern "C" __attribute__((target("avx512f,avx512vnni"))) int64_t vpdpbusd_operations(int64_t rounds) {
  constexpr int64_t kPerRound = 10 * 64 * 2;
  for (int64_t round = 0; round < rounds; ++round) {
    __asm__ volatile(
        "vpdpbusd %%zmm30, %%zmm31, %%zmm0\n vpdpbusd %%zmm30, %%zmm31, %%zmm1\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm2\n vpdpbusd %%zmm30, %%zmm31, %%zmm3\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm4\n vpdpbusd %%zmm30, %%zmm31, %%zmm5\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm6\n vpdpbusd %%zmm30, %%zmm31, %%zmm7\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm8\n vpdpbusd %%zmm30, %%zmm31, %%zmm9\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9");
  }
  return rounds * kPerRound;
}

extern "C" int has_vpdpbusd() { return __builtin_cpu_supports("avx512vnni") ? 1 : 0; }
