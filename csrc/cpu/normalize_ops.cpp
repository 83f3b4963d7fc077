// Floor 2. batch_norm, group_norm, layer_norm.
#include <cmath>

#include "normalize/normalize.h"
#include "tensors.h"

namespace torchq {
namespace {

// The quantized input and output that all of them have.
struct Norm {
  float scale;
  int32_t zero_point;
  AffineArgs affine;  // what the output gives
};

Norm check_norm(const char* op, const Tensor& input, double input_scale, int64_t input_zero_point, double output_scale,
                int64_t output_zero_point, bool relu) {
  const bool is_signed = check_input(op, input);
  const Storage storage = storage_of_bytes(is_signed);
  Norm norm{check_scale(op, "input_scale", input_scale),
            check_zero_point(op, "input_zero_point", input_zero_point, storage), AffineArgs{}};
  norm.affine.factor = 1.0f;
  norm.affine.inverse_scale = 1.0f / check_scale(op, "output_scale", output_scale);
  norm.affine.zero_point = check_zero_point(op, "output_zero_point", output_zero_point, storage);
  norm.affine.lowest = relu ? norm.affine.zero_point : static_cast<int32_t>(range_of(storage).lowest);
  norm.affine.is_signed = is_signed;
  return norm;
}

void check_eps(const char* op, double eps) {
  TORCHQ_CHECK(std::isfinite(eps) && eps >= 0.0, "torchq::", op, ": eps must be finite and at least 0, got ", eps);
}

// The numbers of an optional float32 vector; `otherwise` where there is none.
std::vector<float> values_of(const char* op, const char* name, const std::optional<Tensor>& tensor, int64_t n,
                             float otherwise) {
  if (!tensor.has_value()) return std::vector<float>(static_cast<size_t>(n), otherwise);
  check_cpu(op, name, *tensor);
  check_dtype(op, name, *tensor, ScalarType::Float);
  TORCHQ_CHECK(tensor->numel() == n && tensor->is_contiguous(), "torchq::", op, ": ", name, " must be contiguous with ",
               n, " elements, got ", shape_text(tensor->sizes()));
  return std::vector<float>(data_of<float>(*tensor), data_of<float>(*tensor) + n);
}

// What is subtracted from and multiplied with integers to normalize them.
struct Statistics {
  float offset, factor;
};

// Of n integers with this sum and sum of squares.
Statistics statistics_of(const Norm& norm, int64_t n, int64_t sum, int64_t squares, double eps) {
  const int64_t z = norm.zero_point;
  const double count = static_cast<double>(n);
  const double mean = static_cast<double>(sum - n * z) / count;
  const double square = static_cast<double>(squares - 2 * z * sum + n * z * z) / count;
  const double variance = std::max(0.0, square - mean * mean);
  const double scale = norm.scale;
  return {static_cast<float>(-(static_cast<double>(z) + mean)),
          static_cast<float>(scale / std::sqrt(variance * (scale * scale) + eps))};
}

// [N, C, *] with channels innermost, each image with its own affine map of the channels.
template <typename MapOf>
Tensor map_channels(const Tensor& input, const Norm& norm, const MapOf& map_of) {
  const Tensor x = channels_last(input);
  Tensor y = empty_channels_last(x.sizes(), x.scalar_type());
  const int64_t channels = x.size(1);
  if (x.numel() == 0) return y;
  const int64_t pixels = x.numel() / channels / x.size(0);
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const NormalizeKernels& kernels = normalize_kernels(current_isa());
  for (int64_t image = 0; image < x.size(0); ++image) {
    const uint8_t* q = from + image * pixels * channels;
    AffineArgs args = norm.affine;
    args.offset_per_element = true;
    map_of(kernels, q, pixels, args);
    parallel_ranges(pixels, kSerialElements / channels + 1, [&](int64_t begin, int64_t end) {
      for (int64_t pixel = begin; pixel < end; ++pixel)
        kernels.affine(q + pixel * channels, channels, args, to + (image * pixels + pixel) * channels);
    });
  }
  return y;
}

int64_t check_channels(const char* op, const Tensor& input) {
  TORCHQ_CHECK(input.dim() >= 2, "torchq::", op, ": input must be [N, C, *], got ", input.dim(), " dimensions");
  return input.size(1);
}

Tensor batch_norm_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, std::optional<Tensor> weight,
                      std::optional<Tensor> bias, const Tensor& mean, const Tensor& variance, double eps,
                      double output_scale, int64_t output_zero_point, bool relu) {
  constexpr const char* op = "batch_norm";
  const Norm norm = check_norm(op, input, input_scale, input_zero_point, output_scale, output_zero_point, relu);
  const int64_t channels = check_channels(op, input);
  check_eps(op, eps);
  std::vector<float> scale = values_of(op, "weight", weight, channels, 1.0f);
  const std::vector<float> shift = values_of(op, "bias", bias, channels, 0.0f);
  std::vector<float> offset = values_of(op, "mean", mean, channels, 0.0f);
  const std::vector<float> variances = values_of(op, "variance", variance, channels, 0.0f);
  for (int64_t c = 0; c < channels; ++c) {
    TORCHQ_CHECK(variances[c] >= 0.0f, "torchq::", op, ": each of variance must be at least 0, got ", variances[c]);
    const double deviation = std::sqrt(static_cast<double>(variances[c]) + eps);
    offset[c] =
        static_cast<float>(-(static_cast<double>(norm.zero_point) + static_cast<double>(offset[c]) / norm.scale));
    scale[c] = static_cast<float>(static_cast<double>(norm.scale) * static_cast<double>(scale[c]) / deviation);
  }
  return map_channels(input, norm, [&](const NormalizeKernels&, const uint8_t*, int64_t, AffineArgs& args) {
    args.offset = offset.data();
    args.scale = scale.data();
    args.shift = shift.data();
  });
}

// Sums and sums of squares of each channel.
void sum_channels(const NormalizeKernels& kernels, const uint8_t* q, int64_t pixels, int64_t channels, bool is_signed,
                  std::vector<int64_t>& sums, std::vector<int64_t>& squares) {
  sums.assign(static_cast<size_t>(channels), 0);
  squares.assign(static_cast<size_t>(channels), 0);
  std::vector<int32_t> part(static_cast<size_t>(2 * channels));
  for (int64_t first = 0; first < pixels; first += kMaxPixels) {
    std::fill(part.begin(), part.end(), 0);
    kernels.channel_moments(q + first * channels, std::min(kMaxPixels, pixels - first), channels, channels, is_signed,
                            part.data(), part.data() + channels);
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += part[c];
      squares[c] += part[channels + c];
    }
  }
}

Tensor group_norm_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, int64_t groups,
                      std::optional<Tensor> weight, std::optional<Tensor> bias, double eps, double output_scale,
                      int64_t output_zero_point) {
  constexpr const char* op = "group_norm";
  const Norm norm = check_norm(op, input, input_scale, input_zero_point, output_scale, output_zero_point, false);
  const int64_t channels = check_channels(op, input);
  check_eps(op, eps);
  TORCHQ_CHECK(groups >= 1 && channels % groups == 0, "torchq::", op, ": groups must divide the ", channels,
               " channels, got ", groups);
  const std::vector<float> gamma = values_of(op, "weight", weight, channels, 1.0f);
  const std::vector<float> shift = values_of(op, "bias", bias, channels, 0.0f);
  std::vector<float> offset(gamma.size()), scale(gamma.size());
  std::vector<int64_t> sums, squares;
  const int64_t size = channels / groups;
  return map_channels(input, norm,
                      [&](const NormalizeKernels& kernels, const uint8_t* q, int64_t pixels, AffineArgs& args) {
                        sum_channels(kernels, q, pixels, channels, args.is_signed, sums, squares);
                        for (int64_t first = 0; first < channels; first += size) {
                          int64_t sum = 0, square = 0;
                          for (int64_t c = first; c < first + size; ++c) {
                            sum += sums[c];
                            square += squares[c];
                          }
                          const Statistics statistics = statistics_of(norm, pixels * size, sum, square, eps);
                          for (int64_t c = first; c < first + size; ++c) {
                            offset[c] = statistics.offset;
                            scale[c] = statistics.factor * gamma[c];
                          }
                        }
                        args.offset = offset.data();
                        args.scale = scale.data();
                        args.shift = shift.data();
                      });
}

Tensor layer_norm_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                      const std::vector<int64_t>& normalized_shape, std::optional<Tensor> weight,
                      std::optional<Tensor> bias, double eps, double output_scale, int64_t output_zero_point) {
  constexpr const char* op = "layer_norm";
  const Norm norm = check_norm(op, input, input_scale, input_zero_point, output_scale, output_zero_point, false);
  check_eps(op, eps);
  const int64_t dims = input.dim(), normalized = static_cast<int64_t>(normalized_shape.size());
  const Sizes sizes = input.sizes();
  const bool fits = normalized >= 1 && normalized <= dims &&
                    std::equal(normalized_shape.begin(), normalized_shape.end(), sizes.end() - normalized);
  TORCHQ_CHECK(fits, "torchq::", op, ": normalized_shape must be the last dimensions of the input ", shape_text(sizes),
               ", got ", shape_text(Sizes(normalized_shape.data(), normalized_shape.size())));
  int64_t n = 1;
  for (const int64_t size : normalized_shape) n *= size;
  const std::vector<float> gamma = values_of(op, "weight", weight, n, 1.0f);
  const std::vector<float> shift = values_of(op, "bias", bias, n, 0.0f);
  const Tensor x = torch::stable::contiguous(input);
  Tensor y = empty_contiguous(sizes, x.scalar_type());
  if (x.numel() == 0) return y;
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const NormalizeKernels& kernels = normalize_kernels(current_isa());
  parallel_ranges(x.numel() / n, kSerialElements / n + 1, [&](int64_t begin, int64_t end) {
    AffineArgs args = norm.affine;
    args.scale = gamma.data();
    args.shift = shift.data();
    for (int64_t row = begin; row < end; ++row) {
      int64_t sum = 0, squares = 0;
      kernels.moments(from + row * n, n, args.is_signed, &sum, &squares);
      const Statistics statistics = statistics_of(norm, n, sum, squares, eps);
      args.offset = &statistics.offset;
      args.factor = statistics.factor;
      kernels.affine(from + row * n, n, args, to + row * n);
    }
  });
  return y;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("batch_norm", TORCH_BOX(&torchq::batch_norm_cpu));
  m.impl("group_norm", TORCH_BOX(&torchq::group_norm_cpu));
  m.impl("layer_norm", TORCH_BOX(&torchq::layer_norm_cpu));
}
