// Floor 2. add, relu, clamp.
#include "elementwise/elementwise.h"
#include "tensors.h"

namespace torchq {
namespace {

// b with a's layout in memory; a is dense.
Tensor laid_out_like(const Tensor& b, const Tensor& a) {
  if (same(a.strides(), b.strides())) return b;
  Tensor copy = empty_strided(a.sizes(), a.strides(), b.scalar_type());
  torch::stable::copy_(copy, b);
  return copy;
}

Tensor add_cpu(const Tensor& a, double a_scale, int64_t a_zero_point, const Tensor& b, double b_scale,
               int64_t b_zero_point, double output_scale, int64_t output_zero_point, bool relu) {
  constexpr const char* op = "add";
  check_cpu(op, "a", a);
  check_cpu(op, "b", b);
  const bool is_signed = check_bytes(op, "a", a.scalar_type());
  const Storage storage = storage_of_bytes(is_signed);
  check_dtype(op, "b", b, a.scalar_type());
  TORCHQ_CHECK(same(a.sizes(), b.sizes()), "torchq::add: a and b must have the same shape, got ", shape_text(a.sizes()),
               " and ", shape_text(b.sizes()));
  const Tensor left = dense(a);
  const Tensor right = laid_out_like(b, left);
  Tensor y = empty_strided(left.sizes(), left.strides(), a.scalar_type());
  const Operand first{data_of<uint8_t>(left), check_scale(op, "a_scale", a_scale),
                      static_cast<float>(check_zero_point(op, "a_zero_point", a_zero_point, storage))};
  const Operand second{data_of<uint8_t>(right), check_scale(op, "b_scale", b_scale),
                       static_cast<float>(check_zero_point(op, "b_zero_point", b_zero_point, storage))};
  const float inverse = 1.0f / check_scale(op, "output_scale", output_scale);
  const int32_t zero = check_zero_point(op, "output_zero_point", output_zero_point, storage);
  const int32_t lowest = relu ? zero : static_cast<int32_t>(range_of(storage).lowest);
  auto* output = output_of<uint8_t>(y);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  parallel_ranges(left.numel(), kSerialElements, [&](int64_t begin, int64_t end) {
    kernels.add({first.q + begin, first.scale, first.zero_point}, {second.q + begin, second.scale, second.zero_point},
                end - begin, inverse, zero, lowest, is_signed, output + begin);
  });
  return y;
}

Tensor clamp_bytes(const char* op, const Tensor& input, int32_t lowest, int32_t highest) {
  const bool is_signed = check_bytes(op, "input", input.scalar_type());
  const Tensor x = dense(input);
  Tensor y = empty_strided(x.sizes(), x.strides(), x.scalar_type());
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  parallel_ranges(x.numel(), kSerialElements, [&](int64_t begin, int64_t end) {
    kernels.clamp(from + begin, end - begin, lowest, highest, is_signed, to + begin);
  });
  return y;
}

Tensor relu_cpu(const Tensor& input, int64_t zero_point) {
  check_cpu("relu", "input", input);
  const Storage storage = storage_of_bytes(check_bytes("relu", "input", input.scalar_type()));
  return clamp_bytes("relu", input, check_zero_point("relu", "zero_point", zero_point, storage),
                     static_cast<int32_t>(range_of(storage).highest));
}

Tensor clamp_cpu(const Tensor& input, int64_t lowest, int64_t highest) {
  check_cpu("clamp", "input", input);
  const Storage storage = storage_of_bytes(check_bytes("clamp", "input", input.scalar_type()));
  const int32_t low = check_zero_point("clamp", "lowest", lowest, storage);
  const int32_t high = check_zero_point("clamp", "highest", highest, storage);
  TORCHQ_CHECK(low <= high, "torchq::clamp: lowest must not exceed highest, got ", lowest, " and ", highest);
  return clamp_bytes("clamp", input, low, high);
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("add", TORCH_BOX(&torchq::add_cpu));
  m.impl("relu", TORCH_BOX(&torchq::relu_cpu));
  m.impl("clamp", TORCH_BOX(&torchq::clamp_cpu));
}
