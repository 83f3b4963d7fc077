// Floor 1, for every level. recurrent.h says what is computed.
#pragma once

#include "../lanes_math.h"

void lstm(const float* x, const float* h, int64_t n, float* cell, float* hidden) {
  for (int64_t j = 0; j < n; j += 16) {
    const int64_t part = n - j;
    F32 a[4];
#pragma GCC unroll 4
    for (int gate = 0; gate < 4; ++gate)
      a[gate] = load_part(h + gate * n + j, part) + load_part(x + gate * n + j, part);
    const F32 kept = sigmoid_of(a[1]) * load_part(cell + j, part);
    const F32 next = kept + sigmoid_of(a[0]) * tanh_of(a[2]);
    store_part(cell + j, next, part);
    store_part(hidden + j, sigmoid_of(a[3]) * tanh_of(next), part);
  }
}

void gru(const float* x, const float* h, int64_t n, const float* previous, float* hidden) {
  for (int64_t j = 0; j < n; j += 16) {
    const int64_t part = n - j;
    const F32 reset = sigmoid_of(load_part(h + j, part) + load_part(x + j, part));
    const F32 update = sigmoid_of(load_part(h + n + j, part) + load_part(x + n + j, part));
    const F32 fresh = tanh_of(load_part(x + 2 * n + j, part) + load_part(h + 2 * n + j, part) * reset);
    const F32 change = load_part(previous + j, part) + fresh * set(-1.0f);
    store_part(hidden + j, change * update + fresh, part);
  }
}

constexpr RecurrentKernels kRecurrentKernels = {lstm, gru};
