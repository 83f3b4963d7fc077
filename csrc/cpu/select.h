// Floor 1. How a kernel family is put together.
//
// A family has one struct of function pointers (its contract), one constant of that struct per level, named
// <family>__<isa>, and one list of the levels that it has, kernels.inc, best first. The declarations and the
// selector are made from that list.
#pragma once

#include "isa.h"

#define TORCHQ_DECLARE_KERNELS(Struct, family, isa) extern const Struct family##__##isa;
#define TORCHQ_SELECT_KERNELS(family, isa) \
  if (current >= Isa::isa && runs(Isa::isa)) return family##__##isa;
