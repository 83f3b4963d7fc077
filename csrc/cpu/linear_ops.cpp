// Floor 2. linear, linear_dequantize, linear_dynamic.
#include "dynamic_linear.h"
#include "layer.h"

namespace torchq {
namespace {

// input [..., K] as rows of K elements; the output's shape is the input's with N for K.
struct Rows {
  Tensor input;  // contiguous
  int64_t count;
  int64_t k;
  std::vector<int64_t> output_size;
};

Rows rows_of(const char* op, const Tensor& input, const PackedHeader& header) {
  TORCHQ_CHECK(input.dim() >= 1, "torchq::", op, ": input must have at least one dimension");
  const int64_t k = input.size(input.dim() - 1);
  TORCHQ_CHECK(k == header.k, "torchq::", op, ": input's last dimension must be ", header.k, " as the weight's, got ",
               k);
  Rows rows{input.is_contiguous() ? input : torch::stable::contiguous(input), input.numel() / k, k, {}};
  const Sizes sizes = input.sizes();
  rows.output_size.assign(sizes.begin(), sizes.end());
  rows.output_size.back() = header.columns;
  return rows;
}

Tensor empty_output(const Rows& rows, ScalarType dtype) {
  return empty_contiguous(Sizes(rows.output_size.data(), rows.output_size.size()), dtype);
}

}  // namespace

Tensor run_linear(const char* op, const Layer& layer, const PackedWeight& packed, const Tensor& input) {
  const LayerHeader& header = layer.header();
  const Rows rows = rows_of(op, input, header.packed);
  GemmArgs args = gemm_args(header, packed, 0);
  args.parameters = layer.parameters(0, 0);
  Tensor result = empty_output(rows, output_dtype(header));
  args.output = result.mutable_data_ptr();
  args.output_stride = args.columns;
  const auto* data = data_of<uint8_t>(rows.input);
  const bool to_float = header.to_float != 0;
  const auto prepare = [&](int64_t, int64_t first, int64_t count, Chunk& chunk) {
    point_at_rows(data, rows.k, rows.k, first, count, chunk);
    if (to_float) fill_rows(args.input_scale, args.input_zero_point, chunk);
    return first * args.output_stride;
  };
  run_gemm(args, {1, rows.count}, rows.k, to_float, prepare);
  return result;
}

namespace {

Tensor multiply(const LayerArgs& args, const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                const std::optional<Tensor>& bias) {
  const Weight weight = check_weight(args.op, packed_weight, weight_scales, bias);
  return run_once(layer_header(args, weight.packed.header(), {}, false), args.op, weight, input, {});
}

Tensor linear_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& packed_weight,
                  const Tensor& weight_scales, std::optional<Tensor> bias, double output_scale,
                  int64_t output_zero_point, ScalarType output_dtype, bool relu) {
  const LayerArgs args{"linear", input_scale,  input_zero_point,  check_input("linear", input),
                       false,    output_scale, output_zero_point, output_dtype,
                       relu};
  return multiply(args, input, packed_weight, weight_scales, bias);
}

Tensor linear_dequantize_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                             const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                             bool relu) {
  constexpr const char* op = "linear_dequantize";
  const LayerArgs args{op,  input_scale, input_zero_point, check_input(op, input), true, 1.0, 0, ScalarType::Float,
                       relu};
  return multiply(args, input, packed_weight, weight_scales, bias);
}

Tensor linear_dynamic_cpu(const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                          std::optional<Tensor> bias, bool per_token, bool reduce_range, bool relu) {
  constexpr const char* op = "linear_dynamic";
  check_cpu(op, "input", input);
  check_dtype(op, "input", input, ScalarType::Float);
  const DynamicLinear linear(op, check_weight(op, packed_weight, weight_scales, bias), per_token, reduce_range, relu);
  const Rows rows = rows_of(op, input, linear.header().packed);
  Tensor output = empty_output(rows, ScalarType::Float);
  linear.run(data_of<float>(rows.input), rows.count, output_of<float>(output));
  return output;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("linear", TORCH_BOX(&torchq::linear_cpu));
  m.impl("linear_dequantize", TORCH_BOX(&torchq::linear_dequantize_cpu));
  m.impl("linear_dynamic", TORCH_BOX(&torchq::linear_dynamic_cpu));
}
