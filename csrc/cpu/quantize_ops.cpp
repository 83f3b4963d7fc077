// Floor 2. quantize_per_tensor, quantize_per_channel and their inverses.
#include <algorithm>

#include "../numerics.h"
#include "quantize/quantize.h"
#include "tensors.h"

namespace torchq {
namespace {

int64_t storage_bytes(Storage storage) { return storage == Storage::s32 ? 4 : 1; }

Tensor float_input(const char* op, const Tensor& input) {
  check_cpu(op, "input", input);
  const ScalarType dtype = input.scalar_type();
  if (dtype == ScalarType::Float) return dense(input);
  TORCHQ_CHECK(dtype == ScalarType::Double || dtype == ScalarType::Half || dtype == ScalarType::BFloat16,
               "torchq::", op, ": input must be float32, float64, float16 or bfloat16, got ", dtype_name(dtype));
  return dense(torch::stable::to(input, ScalarType::Float));
}

struct ChannelQParams {
  std::vector<double> scale;
  std::vector<int32_t> zero_point;
};

ChannelQParams channel_qparams(const char* op, const Tensor& scales, const Tensor& zero_points, int64_t channels,
                               Storage storage) {
  check_cpu(op, "scales", scales);
  check_cpu(op, "zero_points", zero_points);
  check_dtype(op, "scales", scales, ScalarType::Double);
  check_dtype(op, "zero_points", zero_points, ScalarType::Long);
  TORCHQ_CHECK(scales.dim() == 1 && scales.size(0) == channels, "torchq::", op, ": scales must have shape [", channels,
               "], the input's size along axis, got ", scales.numel(), " elements in ", scales.dim(), " dimensions");
  TORCHQ_CHECK(zero_points.dim() == 1 && zero_points.size(0) == channels, "torchq::", op,
               ": zero_points must have shape [", channels, "], the input's size along axis, got ", zero_points.numel(),
               " elements in ", zero_points.dim(), " dimensions");
  ChannelQParams out{std::vector<double>(channels), std::vector<int32_t>(channels)};
  const Tensor scale_values = torch::stable::contiguous(scales);
  const Tensor zero_values = torch::stable::contiguous(zero_points);
  for (int64_t c = 0; c < channels; ++c) {
    out.scale[c] = data_of<double>(scale_values)[c];
    check_scale(op, "each of scales", out.scale[c]);
    out.zero_point[c] = check_zero_point(op, "each of zero_points", data_of<int64_t>(zero_values)[c], storage);
  }
  return out;
}

// A dense tensor seen along one axis: [outer, channels, inner] in memory order.
struct AxisView {
  int64_t outer = 1, channels = 1, inner = 1;
};

// The axis counted from the front.
int64_t check_axis(const char* op, const Tensor& tensor, int64_t axis) {
  const int64_t dims = tensor.dim();
  TORCHQ_CHECK(dims >= 1, "torchq::", op, ": input must have at least one dimension");
  TORCHQ_CHECK(axis >= -dims && axis < dims, "torchq::", op, ": axis must lie in [", -dims, ", ", dims - 1,
               "] for an input of ", dims, " dimensions, got ", axis);
  return axis < 0 ? axis + dims : axis;
}

AxisView axis_view(const Tensor& tensor, int64_t axis) {
  AxisView view;
  bool inside = false;
  for (const int64_t dim : dense_order(tensor)) {
    if (dim == axis) {
      inside = true;
      view.channels = tensor.size(dim);
    } else {
      (inside ? view.inner : view.outer) *= tensor.size(dim);
    }
  }
  return view;
}

// Calls run(element offset, channel, length, per_element) for runs of one channel, or for whole rows of
// channels where these are innermost.
template <typename Run>
void for_each_run(const AxisView& view, const Run& run) {
  const bool innermost = view.inner == 1;
  const int64_t runs = innermost ? view.outer : view.outer * view.channels;
  const int64_t length = innermost ? view.channels : view.inner;
  if (length == 0) return;
  parallel_ranges(runs, std::max<int64_t>(1, kSerialElements / length), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run(i * length, innermost ? 0 : i % view.channels, length, innermost);
  });
}

Tensor quantize_per_tensor_cpu(const Tensor& input, double scale, int64_t zero_point, ScalarType dtype) {
  constexpr const char* op = "quantize_per_tensor";
  const Storage storage = check_storage(op, "dtype", dtype);
  const float inverse = 1.0f / check_scale(op, "scale", scale);
  const float zero = static_cast<float>(check_zero_point(op, "zero_point", zero_point, storage));
  const Tensor x = float_input(op, input);
  Tensor q = empty_strided(x.sizes(), x.strides(), dtype);
  const auto* from = data_of<float>(x);
  auto* to = output_of<uint8_t>(q);
  const QuantizeKernels& kernels = quantize_kernels(current_isa());
  parallel_ranges(x.numel(), kSerialElements, [&](int64_t begin, int64_t end) {
    kernels.quantize(from + begin, end - begin, &inverse, &zero, false, storage != Storage::s32, storage,
                     to + begin * storage_bytes(storage));
  });
  return q;
}

Tensor quantize_per_channel_cpu(const Tensor& input, const Tensor& scales, const Tensor& zero_points, int64_t axis,
                                ScalarType dtype) {
  constexpr const char* op = "quantize_per_channel";
  const Storage storage = check_storage(op, "dtype", dtype);
  const Tensor x = float_input(op, input);
  const int64_t dim = check_axis(op, x, axis);
  const AxisView view = axis_view(x, dim);
  const ChannelQParams qparams = channel_qparams(op, scales, zero_points, x.size(dim), storage);
  std::vector<float> inverse(qparams.scale.size()), zero(qparams.scale.size());
  for (size_t c = 0; c < inverse.size(); ++c) {
    inverse[c] = 1.0f / static_cast<float>(qparams.scale[c]);
    zero[c] = static_cast<float>(qparams.zero_point[c]);
  }
  Tensor q = empty_strided(x.sizes(), x.strides(), dtype);
  if (x.numel() == 0) return q;
  const auto* from = data_of<float>(x);
  auto* to = output_of<uint8_t>(q);
  const QuantizeKernels& kernels = quantize_kernels(current_isa());
  for_each_run(view, [&](int64_t offset, int64_t channel, int64_t length, bool per_element) {
    kernels.quantize(from + offset, length, inverse.data() + channel, zero.data() + channel, per_element, false,
                     storage, to + offset * storage_bytes(storage));
  });
  return q;
}

Tensor dequantize_per_tensor_cpu(const Tensor& input, double scale, int64_t zero_point) {
  constexpr const char* op = "dequantize_per_tensor";
  check_cpu(op, "input", input);
  const Storage storage = check_storage(op, "input", input.scalar_type());
  const float step = check_scale(op, "scale", scale);
  const int32_t zero = check_zero_point(op, "zero_point", zero_point, storage);
  const Tensor q = dense(input);
  Tensor x = empty_strided(q.sizes(), q.strides(), ScalarType::Float);
  const auto* from = data_of<uint8_t>(q);
  auto* to = output_of<float>(x);
  const QuantizeKernels& kernels = quantize_kernels(current_isa());
  parallel_ranges(q.numel(), kSerialElements, [&](int64_t begin, int64_t end) {
    kernels.dequantize(from + begin * storage_bytes(storage), end - begin, step, zero, storage, to + begin);
  });
  return x;
}

template <typename T>
void dequantize_runs(const AxisView& view, const ChannelQParams& qparams, const T* q, float* x) {
  for_each_run(view, [&](int64_t offset, int64_t channel, int64_t length, bool per_element) {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t c = per_element ? i : channel;
      x[offset + i] = dequantize_channel(q[offset + i], qparams.scale[c], qparams.zero_point[c]);
    }
  });
}

Tensor dequantize_per_channel_cpu(const Tensor& input, const Tensor& scales, const Tensor& zero_points, int64_t axis) {
  constexpr const char* op = "dequantize_per_channel";
  check_cpu(op, "input", input);
  const Storage storage = check_storage(op, "input", input.scalar_type());
  const Tensor q = dense(input);
  const int64_t dim = check_axis(op, q, axis);
  const AxisView view = axis_view(q, dim);
  const ChannelQParams qparams = channel_qparams(op, scales, zero_points, q.size(dim), storage);
  Tensor x = empty_strided(q.sizes(), q.strides(), ScalarType::Float);
  if (q.numel() == 0) return x;
  auto* to = output_of<float>(x);
  if (storage == Storage::u8) dequantize_runs(view, qparams, data_of<uint8_t>(q), to);
  if (storage == Storage::s8) dequantize_runs(view, qparams, data_of<int8_t>(q), to);
  if (storage == Storage::s32) dequantize_runs(view, qparams, data_of<int32_t>(q), to);
  return x;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("quantize_per_tensor", TORCH_BOX(&torchq::quantize_per_tensor_cpu));
  m.impl("quantize_per_channel", TORCH_BOX(&torchq::quantize_per_channel_cpu));
  m.impl("dequantize_per_tensor", TORCH_BOX(&torchq::dequantize_per_tensor_cpu));
  m.impl("dequantize_per_channel", TORCH_BOX(&torchq::dequantize_per_channel_cpu));
}
