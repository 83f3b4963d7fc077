// Floor 2. softmax.
#include "softmax/softmax.h"

#include <cmath>

#include "../numerics.h"
#include "tensors.h"

namespace torchq {
namespace {

SoftmaxWeights softmax_weights(float scale) {
  SoftmaxWeights weights{};
  for (int d = 0; d < 256; ++d)
    weights.below[255 - d] =
        static_cast<int32_t>(round_half_even(static_cast<float>(exp_of(-d * static_cast<double>(scale)) * 16777216.0)));
  return weights;
}

Tensor softmax_cpu(const Tensor& input, double input_scale, double output_scale, int64_t output_zero_point) {
  constexpr const char* op = "softmax";
  const bool is_signed = check_input(op, input);
  TORCHQ_CHECK(input.dim() >= 1, "torchq::", op, ": input must have at least one dimension");
  const SoftmaxWeights weights = softmax_weights(check_scale(op, "input_scale", input_scale));
  const float scale = check_scale(op, "output_scale", output_scale);
  const int32_t zero_point = check_zero_point(op, "output_zero_point", output_zero_point, storage_of_bytes(is_signed));
  const Tensor x = torch::stable::contiguous(input);
  Tensor y = empty_contiguous(x.sizes(), x.scalar_type());
  if (x.numel() == 0) return y;
  const int64_t n = x.size(x.dim() - 1);
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const SoftmaxKernels& kernels = softmax_kernels(current_isa());
  parallel_ranges(x.numel() / n, kSerialElements / (n + 256) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels.softmax(from + row * n, n, weights, scale, zero_point, is_signed, to + row * n);
  });
  return y;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) { m.impl("softmax", TORCH_BOX(&torchq::softmax_cpu)); }
