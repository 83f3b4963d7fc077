// The machine's own limits, of one thread: multiplies that do nothing else, and bytes that are only read.
#include <cstdint>

#include "../../csrc/cpu/isa.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using torchq::Isa;

#if defined(__x86_64__)
// Ten independent chains hide the latency on every CPU that has the instruction.
__attribute__((target("avx512f,avx512vnni"))) int64_t vpdpbusd(int64_t rounds) {
  for (int64_t round = 0; round < rounds; ++round)
    __asm__ volatile(
        "vpdpbusd %%zmm30, %%zmm31, %%zmm0\n vpdpbusd %%zmm30, %%zmm31, %%zmm1\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm2\n vpdpbusd %%zmm30, %%zmm31, %%zmm3\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm4\n vpdpbusd %%zmm30, %%zmm31, %%zmm5\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm6\n vpdpbusd %%zmm30, %%zmm31, %%zmm7\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm8\n vpdpbusd %%zmm30, %%zmm31, %%zmm9\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9");
  return rounds * 10 * 64;
}

// That of AVX-VNNI.
__attribute__((target("avx2"))) int64_t vpdpbusd_vex(int64_t rounds) {
  for (int64_t round = 0; round < rounds; ++round)
    __asm__ volatile(
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm0\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm1\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm2\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm3\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm4\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm5\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm6\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm7\n"
        "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm8\n %{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm9\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9");
  return rounds * 10 * 32;
}

// The exact product of AVX2: of 16-bit numbers, with its addition.
__attribute__((target("avx2"))) int64_t vpmaddwd(int64_t rounds) {
#define CHAIN(product, sum)               \
  "vpmaddwd %%ymm14, %%ymm15, %%" product \
  "\n"                                    \
  "vpaddd %%" product ", %%" sum ", %%" sum "\n"
  for (int64_t round = 0; round < rounds; ++round)
    __asm__ volatile(CHAIN("ymm6", "ymm0") CHAIN("ymm7", "ymm1") CHAIN("ymm8", "ymm2") CHAIN("ymm9", "ymm3")
                         CHAIN("ymm10", "ymm4") CHAIN("ymm11", "ymm5")::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                               "xmm11");
#undef CHAIN
  return rounds * 6 * 16;
}

__attribute__((target("avx2"))) void read(const uint8_t* bytes, int64_t n) {
  for (int64_t i = 0; i + 256 <= n; i += 256)
    __asm__ volatile(
        "vmovdqu (%0), %%ymm0\n vmovdqu 32(%0), %%ymm1\n vmovdqu 64(%0), %%ymm2\n vmovdqu 96(%0), %%ymm3\n"
        "vmovdqu 128(%0), %%ymm4\n vmovdqu 160(%0), %%ymm5\n vmovdqu 192(%0), %%ymm6\n vmovdqu 224(%0), %%ymm7\n" ::"r"(
            bytes + i)
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "memory");
}

__attribute__((target("avx512f"))) void read_wide(const uint8_t* bytes, int64_t n) {
  for (int64_t i = 0; i + 256 <= n; i += 256)
    __asm__ volatile(
        "vmovdqu64 (%0), %%zmm0\n vmovdqu64 64(%0), %%zmm1\n vmovdqu64 128(%0), %%zmm2\n vmovdqu64 192(%0), %%zmm3\n" ::
            "r"(bytes + i)
        : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
}
#endif

}  // namespace

// Multiplies of 8-bit numbers as a level's kernels do them; returns how many, 0 where none is known.
EXPORT int64_t machine_multiply(int level, int64_t rounds) {
#if defined(__x86_64__)
  if (static_cast<Isa>(level) >= Isa::avx512_vnni) return vpdpbusd(rounds);
  if (static_cast<Isa>(level) == Isa::avx_vnni) return vpdpbusd_vex(rounds);
  if (static_cast<Isa>(level) == Isa::avx2) return vpmaddwd(rounds);
#endif
  (void)level, (void)rounds;
  return 0;
}

// Reads n bytes in whole blocks of 256; returns how many, 0 where no way to read is known.
EXPORT int64_t machine_read(int level, const uint8_t* bytes, int64_t n) {
#if defined(__x86_64__)
  if (static_cast<Isa>(level) >= Isa::avx512_vnni) return read_wide(bytes, n), n / 256 * 256;
  if (static_cast<Isa>(level) >= Isa::avx2) return read(bytes, n), n / 256 * 256;
#endif
  (void)level, (void)bytes, (void)n;
  return 0;
}
