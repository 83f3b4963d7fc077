// Floor 2. upsample_bilinear.
#include "interpolate/interpolate.h"

#include "tensors.h"

namespace torchq {
namespace {

// Which two pixels of a line an output pixel lies between, and how much of each it takes.
struct Between {
  int64_t first, second;
  float first_weight, second_weight;
};

// Float32, operation by operation as torch has them.
std::vector<Between> between(int64_t input, int64_t output, bool align_corners, const double* factor) {
  std::vector<Between> result;
  float scale;
  if (align_corners) {
    scale = output > 1 ? static_cast<float>(input - 1) / static_cast<float>(output - 1) : 0.0f;
  } else {
    scale =
        factor != nullptr ? static_cast<float>(1.0 / *factor) : static_cast<float>(input) / static_cast<float>(output);
  }
  for (int64_t i = 0; i < output; ++i) {
    float at = scale * static_cast<float>(i);
    if (!align_corners) at = std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
    const int64_t first = std::min(static_cast<int64_t>(at), input - 1);
    const float second_weight = std::min(std::max(at - static_cast<float>(first), 0.0f), 1.0f);
    result.push_back({first, first + (first < input - 1 ? 1 : 0), 1.0f - second_weight, second_weight});
  }
  return result;
}

Tensor upsample_bilinear_cpu(const Tensor& input, const std::vector<int64_t>& output_size, bool align_corners,
                             const std::vector<double>& factors) {
  constexpr const char* op = "upsample_bilinear";
  const bool is_signed = check_input(op, input);
  TORCHQ_CHECK(input.dim() == 4, "torchq::", op, ": input must be 4-d [N, C, H, W], got ", input.dim(), " dimensions");
  TORCHQ_CHECK(output_size.size() == 2, "torchq::", op, ": output_size must hold 2 numbers, got ", output_size.size());
  TORCHQ_CHECK(factors.empty() || factors.size() == 2, "torchq::", op, ": factors must hold 2 numbers or none, got ",
               factors.size());
  for (const double factor : factors)
    TORCHQ_CHECK(factor > 0.0 && std::isfinite(factor), "torchq::", op,
                 ": each of factors must be finite and above 0, got ", factor);
  for (int i = 0; i < 2; ++i)
    TORCHQ_CHECK(output_size[i] >= 1 && output_size[i] <= kMaxExtent && input.size(2 + i) >= 1, "torchq::", op,
                 ": height and width must be at least 1, got ", input.size(2), " x ", input.size(3), " to ",
                 output_size[0], " x ", output_size[1]);
  const Tensor x = channels_last(input);
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  Tensor y = empty_channels_last(Sizes({x.size(0), channels, output_size[0], output_size[1]}), x.scalar_type());
  const std::vector<Between> rows =
      between(height, output_size[0], align_corners, factors.empty() ? nullptr : &factors[0]);
  const std::vector<Between> columns =
      between(width, output_size[1], align_corners, factors.empty() ? nullptr : &factors[1]);
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const InterpolateKernels& kernels = interpolate_kernels(current_isa());
  const int64_t line_bytes = output_size[1] * channels;
  const int64_t serial = kSerialElements / std::max<int64_t>(1, line_bytes) + 1;
  parallel_ranges(x.size(0) * output_size[0], serial, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const uint8_t* image = from + line / output_size[0] * height * width * channels;
      const Between& row = rows[static_cast<size_t>(line % output_size[0])];
      const uint8_t* top = image + row.first * width * channels;
      const uint8_t* bottom = image + row.second * width * channels;
      uint8_t* pixel = to + line * line_bytes;
      for (const Between& column : columns) {
        const int64_t left = column.first * channels, right = column.second * channels;
        const Corners corners{{top + left, top + right, bottom + left, bottom + right},
                              row.first_weight,
                              row.second_weight,
                              column.first_weight,
                              column.second_weight};
        kernels.bilinear(corners, channels, is_signed, pixel);
        pixel += channels;
      }
    }
  });
  return y;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) { m.impl("upsample_bilinear", TORCH_BOX(&torchq::upsample_bilinear_cpu)); }
