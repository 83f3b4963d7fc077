// Target regions: the code between BEGIN and END of a level may use the level's instructions, in a file that
// is otherwise compiled for the baseline. Standard headers come before the region. Within it: no templates,
// lambdas or statics of the standard library, and no branching on __AVX2__ and the like, which GCC leaves
// undefined there; branch on the SIMD types.
//
// Why not a compiler flag per file: an inline function of a standard header that such a file instantiates
// becomes a weak symbol full of AVX-512, and the linker may keep it for the whole library.
#pragma once

#if defined(__clang__)
#define TORCHQ_REGION_BEGIN(features) \
  _Pragma(TORCHQ_REGION_STRING(clang attribute push(__attribute__((target(features))), apply_to = function)))
#define TORCHQ_REGION_END _Pragma("clang attribute pop")
#else
#define TORCHQ_REGION_BEGIN(features) _Pragma("GCC push_options") _Pragma(TORCHQ_REGION_STRING(GCC target(features)))
#define TORCHQ_REGION_END _Pragma("GCC pop_options")
#endif
#define TORCHQ_REGION_STRING(text) #text
#define TORCHQ_INLINE __attribute__((always_inline)) inline

#define TORCHQ_BEGIN_SCALAR  \
  namespace torchq::scalar { \
  namespace {
#define TORCHQ_END_SCALAR \
  }                       \
  }

#define TORCHQ_BEGIN_AVX2                                  \
  TORCHQ_REGION_BEGIN("avx2,fma") namespace torchq::avx2 { \
    namespace {
#define TORCHQ_END_AVX2 \
  }                     \
  }                     \
  TORCHQ_REGION_END

// Needs no feature for AVX-VNNI: its one instruction is written as assembly.
#define TORCHQ_BEGIN_AVX_VNNI                                  \
  TORCHQ_REGION_BEGIN("avx2,fma") namespace torchq::avx_vnni { \
    namespace {
#define TORCHQ_END_AVX_VNNI \
  }                         \
  }                         \
  TORCHQ_REGION_END

// `make emulate` compiles these levels for less.
#ifndef TORCHQ_AVX512_FEATURES
#define TORCHQ_AVX512_FEATURES "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"
#define TORCHQ_AVX512_VBMI_FEATURES "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi"
#endif
#define TORCHQ_BEGIN_AVX512_VNNI              \
  TORCHQ_REGION_BEGIN(TORCHQ_AVX512_FEATURES) \
  namespace torchq::avx512_vnni {             \
  namespace {
#define TORCHQ_END_AVX512_VNNI \
  }                            \
  }                            \
  TORCHQ_REGION_END

#define TORCHQ_BEGIN_AVX512_VBMI                   \
  TORCHQ_REGION_BEGIN(TORCHQ_AVX512_VBMI_FEATURES) \
  namespace torchq::avx512_vbmi {                  \
  namespace {
#define TORCHQ_END_AVX512_VBMI \
  }                            \
  }                            \
  TORCHQ_REGION_END

// The whole architecture, not "+dotprod" alone: GCC inlines an intrinsic of arm_neon.h only where the
// features that its declaration names are on.
#define TORCHQ_BEGIN_NEON_DOT                                                \
  TORCHQ_REGION_BEGIN("arch=armv8.2-a+dotprod") namespace torchq::neon_dot { \
    namespace {
#define TORCHQ_END_NEON_DOT \
  }                         \
  }                         \
  TORCHQ_REGION_END
