#include "gemm_driver.h"

#include <cstring>
#include <limits>

namespace torchq {
namespace {

void check_weight_scales(const char* op, const float* scales, int64_t n) {
  bool good = true;
  for (int64_t i = 0; i < n; ++i) good &= scales[i] > 0.0f && scales[i] <= std::numeric_limits<float>::max();
  for (int64_t i = 0; !good && i < n; ++i)
    TORCHQ_CHECK(scales[i] > 0.0f && std::isfinite(scales[i]), "torchq::", op,
                 ": each of weight_scales must be finite and above 0, got ", scales[i]);
}

}  // namespace

void sum_rows(const GemmKernels& kernels, const GemmArgs& args, int64_t depth, Chunk& chunk) {
  const int64_t k = args.taps == 0 ? 0 : depth / args.taps;
  chunk.row_sums.resize(kChunkRows);
  for (int64_t row = 0; row < args.rows; ++row) {
    const int32_t zero_point = args.row_zero_points ? args.row_zero_points[row] : args.input_zero_point;
    int32_t sum = -static_cast<int32_t>(depth) * zero_point;
    for (int64_t tap = 0; tap < args.taps; ++tap)
      sum += kernels.sum_bytes(args.row_pointers[tap * args.row_pitch + row], k, args.signed_input);
    chunk.row_sums[row] = sum;
  }
}

const GemmArgs& joined_bands(const GemmArgs& whole, bool to_float, Chunk& chunk) {
  chunk.products.clear();
  chunk.products.reserve(chunk.bands.size());
  const int64_t element_bytes = to_float ? sizeof(float) : 1;
  int64_t row = 0, tiles = 0;
  for (const Band& band : chunk.bands) {
    GemmArgs product = rows_of(whole, row, band.rows, element_bytes);
    product.output = static_cast<uint8_t*>(whole.output) + band.output_row * whole.output_stride * element_bytes;
    product.output_stride *= band.row_step;
    if (whole.residual != nullptr) product.residual = whole.residual + band.output_row * whole.output_stride;
    product.row_pointers += band.first_tap * whole.row_pitch;
    product.taps = band.taps;
    product.tap_offsets = band.tap_offsets;
    if (band.tap_offsets == nullptr) product.panels += band.first_tap * whole.tap_bytes * kPanelColumns;
    product.parameters += band.parameters;
    // Those of a part of the taps would ask for a part of a panel.
    const bool asks = band.taps == whole.taps;
    product.tiles_before = asks ? tiles : std::numeric_limits<int32_t>::max();
    if (asks) tiles += (band.rows + kWideTileRows - 1) / kWideTileRows;
    chunk.products.push_back(product);
    row += band.rows;
  }
  for (size_t i = 1; i < chunk.products.size(); ++i) chunk.products[i - 1].next = &chunk.products[i];
  return chunk.products.front();
}

PackedWeight check_packed(const char* op, const Tensor& packed_weight) {
  check_cpu(op, "packed_weight", packed_weight);
  check_dtype(op, "packed_weight", packed_weight, ScalarType::Byte);
  TORCHQ_CHECK(packed_weight.dim() == 1 && packed_weight.is_contiguous(), "torchq::", op,
               ": packed_weight must be the contiguous 1-d tensor that pack_weight returns");
  const char* error;
  const PackedWeight packed(data_of<uint8_t>(packed_weight), packed_weight.numel(), &error);
  TORCHQ_CHECK(error == nullptr, "torchq::", op, ": packed_weight cannot be used: ", error);
  return packed;
}

Weight check_weight(const char* op, const Tensor& packed_weight, const Tensor& weight_scales,
                    const std::optional<Tensor>& bias) {
  Weight weight{check_packed(op, packed_weight), nullptr, nullptr};
  check_cpu(op, "weight_scales", weight_scales);
  check_dtype(op, "weight_scales", weight_scales, ScalarType::Float);
  weight.scales = data_of<float>(weight_scales);
  const int64_t channels = int64_t{weight.packed.header().groups} * weight.packed.header().columns;
  TORCHQ_CHECK(weight_scales.dim() == 1 && weight_scales.numel() == channels && weight_scales.is_contiguous(),
               "torchq::", op, ": weight_scales must be contiguous of shape [", channels, "], got ",
               weight_scales.numel(), " elements in ", weight_scales.dim(), " dimensions");
  check_weight_scales(op, weight.scales, channels);
  if (bias.has_value()) {
    check_cpu(op, "bias", *bias);
    check_dtype(op, "bias", *bias, ScalarType::Float);
    TORCHQ_CHECK(bias->dim() == 1 && bias->numel() == channels && bias->is_contiguous(), "torchq::", op,
                 ": bias must be contiguous of shape [", channels, "], got ", bias->numel(), " elements in ",
                 bias->dim(), " dimensions");
    weight.bias = data_of<float>(*bias);
  }
  return weight;
}

void point_at_rows(const uint8_t* input, int64_t k, int64_t stride, int64_t first, int64_t count, Chunk& chunk) {
  const int64_t padded = round_up(k, 4);
  const uint8_t* rows = input + first * stride;
  if (padded != k) {
    chunk.bytes.resize(static_cast<size_t>(kChunkRows * padded));
    for (int64_t row = 0; row < count; ++row)
      std::memcpy(chunk.bytes.data() + row * padded, rows + row * stride, static_cast<size_t>(k));
    rows = chunk.bytes.data();
    stride = padded;
  }
  gemm_kernels(current_isa()).fill_pointers(rows, stride, count, chunk.pointers.data());
}

void fill_rows(float scale, int32_t zero_point, Chunk& chunk) {
  chunk.row_scales.assign(kChunkRows, scale);
  chunk.row_zero_points.assign(kChunkRows, zero_point);
}

}  // namespace torchq
