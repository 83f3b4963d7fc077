// Floor 2. A linear layer of float rows that are quantized as they come, by the thread that multiplies them.
#pragma once

#include "layer.h"

namespace torchq {

class DynamicLinear {
 public:
  // The weight must outlive it.
  DynamicLinear(const char* op, const Weight& weight, bool per_token, bool reduce_range, bool relu);

  const LayerHeader& header() const { return Layer(lines_.data()).header(); }

  // x: [rows, K] to y: [rows, N]. With one scale and zero point for all rows, unless each has its own.
  void run(const float* x, int64_t rows, float* y, bool backwards = false) const;

 private:
  PackedWeight packed_;
  bool per_token_;
  int32_t qmax_;
  std::vector<Line> lines_;
};

}  // namespace torchq
