// Floor 2. convolution and convolution_dequantize: an implicit matrix product over [N, *spatial, C].
//
// Row m of the product is output pixel m, and its depth runs over kernel positions, then channels. Padding
// holds the input's zero point: then one correction by the column sums is right everywhere. A transposed convolution is
// one product for each phase of its outputs, over the taps that the phase sees (conv_shape.h). Depthwise convolutions
// have a driver of their own.
#include <algorithm>
#include <cstring>

#include "conv_rows.h"
#include "conv_shape.h"
#include "depthwise_driver.h"
#include "layer.h"

namespace torchq {
namespace {

// The product of one group over one phase of its outputs. Its parameters for the next set of taps are `set_parameters`
// further on.
void run_phase(const ConvPhase& phase, const LayerHeader& layer, const Image& image, const uint8_t* padding_pixel,
               int64_t set_parameters, GemmArgs args) {
  const PackedHeader& header = layer.packed;
  const bool to_float = layer.to_float != 0;
  const bool in_place = header.taps_in_place();
  std::vector<int64_t> offsets;
  if (in_place) {
    args.taps = static_cast<int64_t>(phase.taps().size());
    args.tap_bytes = header.k;
    if (args.taps != header.taps()) {
      for (const ConvPhase::Tap& tap : phase.taps()) offsets.push_back(tap.index * header.k * kPanelColumns);
      args.tap_offsets = offsets.data();
    }
  } else {
    args.taps = header.kernel_rows();
    args.tap_bytes = header.row_depth();
  }
  const int64_t channels = args.output_stride;
  args.output_stride *= phase.output_step();
  const int64_t depth = static_cast<int64_t>(phase.taps().size()) * header.k;
  const Bands bands(phase, args.taps, set_parameters);
  const PixelRows pixels(bands, image, padding_pixel, args.tap_bytes, layer.by_columns());
  const KernelRows rows(bands, header, image, *padding_pixel);
  Lines lines = phase.lines();
  if (in_place) lines.chunk = pixels.most_rows();
  run_gemm(args, lines, depth, to_float, [&](int64_t line, int64_t first, int64_t count, Chunk& chunk) {
    if (in_place) {
      pixels.point(line, first, count, chunk);
    } else {
      rows.point(line, first, count, chunk);
    }
    if (to_float) fill_rows(args.input_scale, args.input_zero_point, chunk);
    return phase.output_pixel(line, first) * channels;
  });
}

// The residual laid out as the output. Kept by the caller while the product reads it.
Tensor use_residual(const char* op, const Residual& residual, const Tensor& output, const LayerHeader& header,
                    GemmArgs& args) {
  const Tensor& tensor = *residual.tensor;
  TORCHQ_CHECK(!header.packed.depthwise(), "torchq::", op, ": a depthwise convolution takes no residual");
  check_cpu(op, "residual", tensor);
  check_dtype(op, "residual", tensor, output.scalar_type());
  TORCHQ_CHECK(same(tensor.sizes(), output.sizes()), "torchq::", op, ": residual must have the output's shape, ",
               shape_text(output.sizes()), ", got ", shape_text(tensor.sizes()));
  args.residual_scale = check_scale(op, "residual_scale", residual.scale);
  args.residual_zero_point =
      check_zero_point(op, "residual_zero_point", residual.zero_point, storage_of_bytes(header.signed_output != 0));
  const Tensor pixels = channels_last(tensor);
  args.residual = data_of<uint8_t>(pixels);
  return pixels;
}

}  // namespace

Tensor run_convolution(const char* op, const Layer& layer, const PackedWeight& packed, const Tensor& input,
                       const Residual& residual) {
  const LayerHeader& header = layer.header();
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  const ConvShape shape = conv_shape(op, input, header.packed, window, header.spatial_dims);
  const int64_t columns = header.packed.group_columns(), groups = header.packed.panel_groups();
  const int64_t channels = groups * columns;
  Tensor result = empty_conv_output(shape, header.spatial_dims, channels, output_dtype(header));
  GemmArgs shared{};
  std::optional<Tensor> residual_pixels;
  if (residual.tensor != nullptr) residual_pixels = use_residual(op, residual, result, header, shared);
  const Tensor pixels = channels_last(input);
  const auto* data = data_of<uint8_t>(pixels);
  auto* output = output_of<uint8_t>(result);
  if (header.packed.depthwise()) {
    run_depthwise(shape, layer, packed, data, output);
    return result;
  }
  const bool to_float = header.to_float != 0;
  const int64_t k = shape.channels / groups;
  for_each_phase(shape, !header.packed.taps_in_place(), [&](const ConvPhase& phase, int64_t index) {
    for (int64_t group = 0; group < groups; ++group) {
      GemmArgs args = gemm_args(header, packed, group);
      args.parameters = layer.parameters(index, group);
      args.output = output + group * columns * (to_float ? 4 : 1);
      args.output_stride = channels;
      if (shared.residual != nullptr) {
        args.residual = shared.residual + group * columns;
        args.residual_scale = shared.residual_scale;
        args.residual_zero_point = shared.residual_zero_point;
      }
      const Image image{data + group * k, data + pixels.numel(), shape.channels, k};
      run_phase(phase, header, image, layer.padding_pixel(), header.borders != 0 ? header.packed.total_panels() : 0,
                args);
    }
  });
  return result;
}

namespace {

Tensor convolve(const LayerArgs& args, const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                const std::optional<Tensor>& bias, const std::vector<int64_t>& window, bool transposed,
                const Residual& residual) {
  const Weight weight = check_weight(args.op, packed_weight, weight_scales, bias);
  TORCHQ_CHECK(!window.empty(), "torchq::", args.op, ": window must not be empty");
  return run_once(layer_header(args, weight.packed.header(), window, transposed), args.op, weight, input, residual);
}

Tensor convolution_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& packed_weight,
                       const Tensor& weight_scales, std::optional<Tensor> bias, const std::vector<int64_t>& window,
                       bool transposed, double output_scale, int64_t output_zero_point, ScalarType output_dtype,
                       bool relu, std::optional<Tensor> residual, double residual_scale, int64_t residual_zero_point) {
  const LayerArgs args{"convolution", input_scale,  input_zero_point,  check_input("convolution", input),
                       false,         output_scale, output_zero_point, output_dtype,
                       relu};
  return convolve(args, input, packed_weight, weight_scales, bias, window, transposed,
                  {residual.has_value() ? &*residual : nullptr, residual_scale, residual_zero_point});
}

Tensor convolution_dequantize_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                                  const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                                  const std::vector<int64_t>& window, bool transposed, bool relu) {
  constexpr const char* op = "convolution_dequantize";
  const LayerArgs args{op,  input_scale, input_zero_point, check_input(op, input), true, 1.0, 0, ScalarType::Float,
                       relu};
  return convolve(args, input, packed_weight, weight_scales, bias, window, transposed, {});
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("convolution", TORCH_BOX(&torchq::convolution_cpu));
  m.impl("convolution_dequantize", TORCH_BOX(&torchq::convolution_dequantize_cpu));
}
