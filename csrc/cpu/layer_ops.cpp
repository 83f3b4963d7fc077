// Floor 2. prepare_layer, run_layer and run_layer_add.
#include <cstring>

#include "layer.h"

namespace torchq {
namespace {

Tensor prepare_layer_cpu(const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                         const std::vector<int64_t>& window, bool transposed, double input_scale,
                         int64_t input_zero_point, ScalarType input_dtype, double output_scale,
                         int64_t output_zero_point, ScalarType output_dtype, bool relu) {
  constexpr const char* op = "prepare_layer";
  const Weight weight = check_weight(op, packed_weight, weight_scales, bias);
  const LayerArgs args{op,    input_scale,  input_zero_point,  check_bytes(op, "input_dtype", input_dtype),
                       false, output_scale, output_zero_point, output_dtype,
                       relu};
  const LayerHeader header = layer_header(args, weight.packed.header(), window, transposed);
  Tensor layer = empty_contiguous(Sizes({header.total_lines() * static_cast<int64_t>(sizeof(Line))}), ScalarType::Byte);
  prepare_layer(header, weight, reinterpret_cast<Line*>(output_of<uint8_t>(layer)));
  return layer;
}

// The layer, if it was prepared for this input, packed weight and CPU capability.
Layer check_layer(const char* op, const Tensor& input, const PackedWeight& packed, const Tensor& layer) {
  const bool is_signed = check_input(op, input);
  check_cpu(op, "layer", layer);
  check_dtype(op, "layer", layer, ScalarType::Byte);
  const auto* lines = reinterpret_cast<const Line*>(data_of<uint8_t>(layer));
  const bool whole = layer.dim() == 1 && layer.is_contiguous() &&
                     layer.numel() >= static_cast<int64_t>(sizeof(LayerHeader)) &&
                     reinterpret_cast<uintptr_t>(lines) % sizeof(Line) == 0;
  TORCHQ_CHECK(whole && Layer(lines).fits(packed, layer.numel()), "torchq::", op,
               ": layer must be what prepare_layer made for this packed_weight");
  const LayerHeader& header = Layer(lines).header();
  TORCHQ_CHECK(header.level == static_cast<int32_t>(current_isa()), "torchq::", op,
               ": layer was prepared for another CPU capability; prepare it again");
  TORCHQ_CHECK(is_signed == (header.signed_input != 0), "torchq::", op, ": input must be ",
               header.signed_input != 0 ? "int8" : "uint8", " as the layer was prepared for, got ",
               dtype_name(input.scalar_type()));
  return Layer(lines);
}

Tensor run_layer_cpu(const Tensor& input, const Tensor& packed_weight, const Tensor& layer) {
  constexpr const char* op = "run_layer";
  const PackedWeight packed = check_packed(op, packed_weight);
  const Layer checked = check_layer(op, input, packed, layer);
  if (checked.header().spatial_dims == 0) return run_linear(op, checked, packed, input);
  return run_convolution(op, checked, packed, input, {});
}

Tensor run_layer_add_cpu(const Tensor& input, const Tensor& packed_weight, const Tensor& layer, const Tensor& residual,
                         double residual_scale, int64_t residual_zero_point) {
  constexpr const char* op = "run_layer_add";
  const PackedWeight packed = check_packed(op, packed_weight);
  const Layer checked = check_layer(op, input, packed, layer);
  TORCHQ_CHECK(checked.header().spatial_dims > 0, "torchq::", op, ": layer must be a convolution's");
  return run_convolution(op, checked, packed, input, {&residual, residual_scale, residual_zero_point});
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("prepare_layer", TORCH_BOX(&torchq::prepare_layer_cpu));
  m.impl("run_layer", TORCH_BOX(&torchq::run_layer_cpu));
  m.impl("run_layer_add", TORCH_BOX(&torchq::run_layer_add_cpu));
}
