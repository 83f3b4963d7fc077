// Every operator of the library. The CPU implementations are in cpu/*_ops.cpp; the fake (shape) functions and
// the documentation stand beside the Python wrappers in torchq/ops/.
//
// A schema holds no `str`: before torch 2.14 each call would leak it.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(torchq, m) {
  // float -> integers, one scale and zero point.
  m.def("quantize_per_tensor(Tensor input, float scale, int zero_point, ScalarType dtype) -> Tensor");

  // float -> integers, a scale and zero point for each index along axis.
  m.def(
      "quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, ScalarType dtype) -> "
      "Tensor");

  // integers -> float32.
  m.def("dequantize_per_tensor(Tensor input, float scale, int zero_point) -> Tensor");
  m.def("dequantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis) -> Tensor");

  // int8 [O, I/groups, *kernel] -> the buffer that linear and conv2d read (cpu/gemm/pack.h), uint8 [bytes].
  m.def("pack_weight(Tensor weight, Tensor? zero_points, int groups) -> Tensor");
  // The weight back; size is that of the weight that was packed.
  m.def("unpack_weight(Tensor packed_weight, int[] size) -> Tensor");

  // uint8 or int8 [..., K] x packed [N, K] -> uint8 or int8 [..., N].
  m.def(
      "linear(Tensor input, float input_scale, int input_zero_point, Tensor packed_weight, Tensor "
      "weight_scales, "
      "Tensor? bias, float output_scale, int output_zero_point, ScalarType output_dtype, bool relu) -> "
      "Tensor");
  // The same with a float32 result.
  m.def(
      "linear_dequantize(Tensor input, float input_scale, int input_zero_point, Tensor packed_weight, "
      "Tensor weight_scales, Tensor? bias, bool relu) -> Tensor");
  // float32 [..., K] quantized on the fly, over all of it or row by row, -> float32 [..., N].
  m.def(
      "linear_dynamic(Tensor input, Tensor packed_weight, Tensor weight_scales, Tensor? bias, bool "
      "per_token, "
      "bool reduce_range, bool relu) -> Tensor");

  // uint8 or int8 [N, C, *spatial] * packed [O, C / groups, *kernel] -> uint8 or int8 [N, O, *spatial], channels
  // innermost in memory, with 1 to 3 spatial dimensions. window: kernel_size, stride, padding, dilation and,
  // transposed, output_padding, one after the other. One list, because each costs a call a microsecond.
  m.def(
      "convolution(Tensor input, float input_scale, int input_zero_point, Tensor packed_weight, Tensor "
      "weight_scales, Tensor? bias, int[] window, bool transposed, float output_scale, int output_zero_point, "
      "ScalarType output_dtype, bool relu, Tensor? residual, float residual_scale, int residual_zero_point) -> Tensor");
  // The same with a float32 result.
  m.def(
      "convolution_dequantize(Tensor input, float input_scale, int input_zero_point, Tensor packed_weight, Tensor "
      "weight_scales, Tensor? bias, int[] window, bool transposed, bool relu) -> Tensor");

  // One layer and direction of an LSTM or GRU whose products are linear_dynamic's: float32 input [T, B, I], or
  // [rows, I] with the rows of each step in batch_sizes; states [B, H] -> output and last states. hr: an LSTM's
  // projection.
  m.def(
      "lstm_dynamic(Tensor input, Tensor hidden, Tensor cell, Tensor packed_ih, Tensor scales_ih, Tensor? bias_ih, "
      "Tensor packed_hh, Tensor scales_hh, Tensor? bias_hh, Tensor? packed_hr, Tensor? scales_hr, int[] batch_sizes, "
      "bool reverse, bool per_token, bool reduce_range) -> (Tensor, Tensor, Tensor)");
  m.def(
      "gru_dynamic(Tensor input, Tensor hidden, Tensor packed_ih, Tensor scales_ih, Tensor? bias_ih, Tensor packed_hh, "
      "Tensor scales_hh, Tensor? bias_hh, int[] batch_sizes, bool reverse, bool per_token, bool reduce_range) -> "
      "(Tensor, Tensor)");

  // A linear layer (no window) or a convolution, with bytes in and out, prepared for one scale and zero point of its
  // input (cpu/layer.h), uint8 [bytes]; and run. Its arithmetic is linear's and convolution's, its call costs half of
  // theirs.
  m.def(
      "prepare_layer(Tensor packed_weight, Tensor weight_scales, Tensor? bias, int[] window, bool transposed, float "
      "input_scale, int input_zero_point, ScalarType input_dtype, float output_scale, int output_zero_point, "
      "ScalarType "
      "output_dtype, bool relu) -> Tensor");
  m.def("run_layer(Tensor input, Tensor packed_weight, Tensor layer) -> Tensor");
  // Of a convolution, with convolution's residual.
  m.def(
      "run_layer_add(Tensor input, Tensor packed_weight, Tensor layer, Tensor residual, float residual_scale, int "
      "residual_zero_point) -> Tensor");

  // uint8 or int8 [..., M, K] x [..., K, N] of the same dtype -> [..., M, N].
  m.def(
      "matmul(Tensor a, float a_scale, int a_zero_point, Tensor b, float b_scale, int b_zero_point, float "
      "output_scale, "
      "int output_zero_point) -> Tensor");

  // a + b and a * b, each with its own scale and zero point, to the output's.
  m.def(
      "add(Tensor a, float a_scale, int a_zero_point, Tensor b, float b_scale, int b_zero_point, "
      "float output_scale, int output_zero_point, bool relu) -> Tensor");
  m.def(
      "mul(Tensor a, float a_scale, int a_zero_point, Tensor b, float b_scale, int b_zero_point, "
      "float output_scale, int output_zero_point, bool relu) -> Tensor");
  // The tensors along dim, each with its own scale and zero point, to the output's.
  m.def(
      "cat(Tensor[] tensors, float[] scales, int[] zero_points, int dim, float output_scale, int output_zero_point) -> "
      "Tensor");
  // max(input, zero_point), and min(max(input, lowest), highest).
  m.def("relu(Tensor input, int zero_point) -> Tensor");
  m.def("clamp(Tensor input, int lowest, int highest) -> Tensor");
  // table[input - qmin]; the table's dtype, [256], is the result's.
  m.def("lookup(Tensor input, Tensor table) -> Tensor");
  // A slope for what is below 0, one or one per channel of [N, C, *].
  m.def(
      "prelu(Tensor input, float input_scale, int input_zero_point, Tensor weight, float output_scale, "
      "int output_zero_point) -> Tensor");

  // Normalizations: [N, C, *] with given statistics, in groups of channels, and over the last dimensions.
  m.def(
      "batch_norm(Tensor input, float input_scale, int input_zero_point, Tensor? weight, Tensor? bias, Tensor mean, "
      "Tensor variance, float eps, float output_scale, int output_zero_point, bool relu) -> Tensor");
  m.def(
      "group_norm(Tensor input, float input_scale, int input_zero_point, int groups, Tensor? weight, Tensor? bias, "
      "float eps, float output_scale, int output_zero_point) -> Tensor");
  m.def(
      "layer_norm(Tensor input, float input_scale, int input_zero_point, int[] normalized_shape, Tensor? weight, "
      "Tensor? bias, float eps, float output_scale, int output_zero_point) -> Tensor");
  // Over the last dimension.
  m.def("softmax(Tensor input, float input_scale, float output_scale, int output_zero_point) -> Tensor");

  // Pools of uint8 or int8 [N, C, *spatial]; the result has the input's scale and zero point and channels innermost.
  m.def(
      "max_pool(Tensor input, int[] kernel_size, int[] stride, int[] padding, int[] dilation, bool ceil_mode) -> "
      "Tensor");
  m.def(
      "avg_pool(Tensor input, int zero_point, int[] kernel_size, int[] stride, int[] padding, bool ceil_mode, "
      "bool count_include_pad, int? divisor_override) -> Tensor");
  m.def("adaptive_avg_pool(Tensor input, int zero_point, int[] output_size) -> Tensor");
  // [N, C, H, W] to [N, C, *output_size]; factors: of height and width where they were given, else empty.
  m.def("upsample_bilinear(Tensor input, int[] output_size, bool align_corners, float[] factors) -> Tensor");

  // Rows of 8 or 4 bits with their scale and bias -> float32 [bags, columns]. offsets: [bags + 1].
  m.def(
      "embedding_bag(Tensor packed_weight, int bits, Tensor indices, Tensor offsets, Tensor? per_sample_weights, "
      "int mode) -> Tensor");
}
