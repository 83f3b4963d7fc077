// Floor 2. conv2d and conv2d_dequantize: an implicit matrix product over NHWC.
//
// Row m of the product is output pixel m, and its depth runs over kernel positions, then channels. Padding
// holds the input's zero point: then one correction by the column sums is right everywhere. Depthwise
// convolutions have a driver of their own.
#include <cstring>

#include "conv_shape.h"
#include "depthwise_driver.h"
#include "gemm_driver.h"

namespace torchq {
namespace {

// One group's channels of the input in memory.
struct Image {
  const uint8_t* data;
  const uint8_t* end;  // of the whole input
  int64_t pixel_bytes;
  int64_t k;  // channels of the group
};

// Walks output pixels first .. first + count: visit(row, image, y, x) with the input coordinates of the
// window's corner.
template <typename Visit>
void for_each_pixel(const ConvShape& shape, int64_t first, int64_t count, const Visit& visit) {
  int64_t x = first % shape.out_width;
  int64_t y = first / shape.out_width % shape.out_height;
  int64_t image = first / shape.out_width / shape.out_height;
  for (int64_t row = 0; row < count; ++row) {
    visit(row, image, y * shape.stride[0] - shape.padding[0], x * shape.stride[1] - shape.padding[1]);
    if (++x < shape.out_width) continue;
    x = 0;
    if (++y < shape.out_height) continue;
    y = 0;
    ++image;
  }
}

// Where the taps of a window are in the input, in bytes from its corner.
std::vector<int64_t> tap_offsets(const ConvShape& shape, int64_t pixel_bytes) {
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i < shape.kernel[0]; ++i)
    for (int64_t j = 0; j < shape.kernel[1]; ++j)
      offsets.push_back((i * shape.dilation[0] * shape.width + j * shape.dilation[1]) * pixel_bytes);
  return offsets;
}

// Where whole groups of 4 channels can be read in place: a pointer per pixel and tap.
void point_at_pixels(const ConvShape& shape, const Image& input, const std::vector<int64_t>& offsets,
                     const uint8_t* padding_pixel, int64_t first, int64_t count, Chunk& chunk) {
  const int64_t bottom = shape.height - (shape.kernel[0] - 1) * shape.dilation[0];
  const int64_t right = shape.width - (shape.kernel[1] - 1) * shape.dilation[1];
  const auto taps = static_cast<int64_t>(offsets.size());
  const int64_t* offset = offsets.data();
  for_each_pixel(shape, first, count, [&](int64_t row, int64_t image, int64_t top, int64_t left) {
    const uint8_t** pointer = chunk.pointers.data() + row;
    const int64_t corner = ((image * shape.height + top) * shape.width + left) * input.pixel_bytes;
    if (top >= 0 && top < bottom && left >= 0 && left < right) {
      for (int64_t tap = 0; tap < taps; ++tap) pointer[tap * kChunkRows] = input.data + corner + offset[tap];
      return;
    }
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t y = top + tap / shape.kernel[1] * shape.dilation[0];
      const int64_t x = left + tap % shape.kernel[1] * shape.dilation[1];
      const bool inside = y >= 0 && y < shape.height && x >= 0 && x < shape.width;
      pointer[tap * kChunkRows] = inside ? input.data + corner + offset[tap] : padding_pixel;
    }
  });
}

// Elsewhere (a first layer of 3 channels) each pixel's window is copied to one row, its taps one by one.
void copy_taps(const ConvShape& shape, const Image& input, uint8_t padding, int64_t image, int64_t top, int64_t left,
               uint8_t* to) {
  for (int64_t i = 0; i < shape.kernel[0]; ++i) {
    const int64_t y = top + i * shape.dilation[0];
    for (int64_t j = 0; j < shape.kernel[1]; ++j, to += input.k) {
      const int64_t x = left + j * shape.dilation[1];
      if (y >= 0 && y < shape.height && x >= 0 && x < shape.width) {
        const int64_t pixel = (image * shape.height + y) * shape.width + x;
        std::memcpy(to, input.data + pixel * input.pixel_bytes, static_cast<size_t>(input.k));
      } else {
        std::memset(to, padding, static_cast<size_t>(input.k));
      }
    }
  }
}

// Where the pixels of a kernel row are neighbours in memory, a window inside the image is copied by kernel rows, in
// blocks of 16 bytes: up to 15 more are read, if the input has them, and written. Rows are written in order, so that
// what is too much is overwritten by the next.
void copy_windows(const ConvShape& shape, const Image& input, uint8_t padding, int64_t row_bytes, int64_t first,
                  int64_t count, Chunk& chunk) {
  chunk.bytes.resize(static_cast<size_t>(kChunkRows * row_bytes + 16));
  const bool runs = shape.dilation[1] == 1 && input.pixel_bytes == input.k;
  const int64_t run = shape.kernel[1] * input.k;
  const int64_t copied = round_up(run, 16);
  const int64_t line = shape.dilation[0] * shape.width * input.pixel_bytes;
  const int64_t bottom = shape.height - (shape.kernel[0] - 1) * shape.dilation[0];
  const int64_t right = shape.width - (shape.kernel[1] - 1) * shape.dilation[1];
  const int64_t last = (shape.kernel[0] - 1) * line + copied;  // where a window's reads end, from its corner
  for_each_pixel(shape, first, count, [&](int64_t row, int64_t image, int64_t top, int64_t left) {
    uint8_t* to = chunk.bytes.data() + row * row_bytes;
    chunk.pointers[row] = to;
    const int64_t corner = ((image * shape.height + top) * shape.width + left) * input.pixel_bytes;
    const bool inside = top >= 0 && top < bottom && left >= 0 && left < right;
    if (!runs || !inside || input.end - input.data < corner + last) {
      copy_taps(shape, input, padding, image, top, left, to);
      return;
    }
    const uint8_t* from = input.data + corner;
    for (int64_t i = 0; i < shape.kernel[0]; ++i, to += run, from += line)
      for (int64_t b = 0; b < copied; b += 16) std::memcpy(to + b, from + b, 16);
  });
}

struct ConvArgs {
  const char* op;
  double input_scale;
  int64_t input_zero_point;
  const std::vector<int64_t>&kernel, &stride, &padding, &dilation;
  int64_t groups;
  bool relu;
};

// `output` is null for a float32 result.
Tensor convolve(const ConvArgs& conv, const Tensor& input, const Tensor& packed_weight, const Tensor& weight_scales,
                const std::optional<Tensor>& bias, const OutputArgs* output) {
  check_cpu(conv.op, "input", input);
  const bool is_signed = check_bytes(conv.op, "input", input.scalar_type());
  const Weight weight = check_weight(conv.op, packed_weight, weight_scales, bias);
  const PackedHeader& header = weight.packed.header();
  const ConvShape shape =
      check_conv_shape(conv.op, input, header, conv.kernel, conv.stride, conv.padding, conv.dilation, conv.groups);
  GemmArgs args{};
  args.rows = shape.n * shape.out_height * shape.out_width;
  args.relu = conv.relu;
  use_input(conv.op, conv.input_scale, conv.input_zero_point, is_signed, args);
  if (output != nullptr) use_output(conv.op, *output, args);

  const int64_t channels = shape.groups * header.columns;
  Tensor result = empty_channels_last(shape.n, channels, shape.out_height, shape.out_width,
                                      output != nullptr ? output->dtype : ScalarType::Float);
  const int64_t element = output != nullptr ? 1 : 4;
  const Tensor pixels = channels_last(conv.op, input);
  const auto* data = data_of<uint8_t>(pixels);
  const auto padding = static_cast<uint8_t>(args.input_zero_point);
  if (header.depthwise()) {
    use_group(weight, 0, args);
    run_depthwise(shape, args, data, output == nullptr, result.mutable_data_ptr());
    return result;
  }
  const bool in_place = header.k % 4 == 0;
  const std::vector<uint8_t> padding_pixel(in_place ? static_cast<size_t>(header.k) : 0, padding);
  const std::vector<int64_t> offsets = tap_offsets(shape, shape.channels);
  for (int64_t group = 0; group < shape.groups; ++group) {
    use_group(weight, group, args);
    if (in_place) {
      args.taps = header.taps();
      args.tap_bytes = header.k;
    }
    args.output = output_of<uint8_t>(result) + group * header.columns * element;
    args.output_stride = channels;
    const Image image{data + group * header.k, data + pixels.numel(), shape.channels, header.k};
    run_gemm(args, header.taps() * header.k, output == nullptr, [&](int64_t first, int64_t count, Chunk& chunk) {
      if (in_place) {
        point_at_pixels(shape, image, offsets, padding_pixel.data(), first, count, chunk);
      } else {
        copy_windows(shape, image, padding, header.depth(), first, count, chunk);
      }
      if (output == nullptr) fill_rows(args.input_scale, args.input_zero_point, chunk);
    });
  }
  return result;
}

Tensor conv2d_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& packed_weight,
                  const Tensor& weight_scales, std::optional<Tensor> bias, const std::vector<int64_t>& kernel_size,
                  const std::vector<int64_t>& stride, const std::vector<int64_t>& padding,
                  const std::vector<int64_t>& dilation, int64_t groups, double output_scale, int64_t output_zero_point,
                  ScalarType output_dtype, bool relu) {
  const OutputArgs output{output_scale, output_zero_point, output_dtype};
  return convolve({"conv2d", input_scale, input_zero_point, kernel_size, stride, padding, dilation, groups, relu},
                  input, packed_weight, weight_scales, bias, &output);
}

Tensor conv2d_dequantize_cpu(const Tensor& input, double input_scale, int64_t input_zero_point,
                             const Tensor& packed_weight, const Tensor& weight_scales, std::optional<Tensor> bias,
                             const std::vector<int64_t>& kernel_size, const std::vector<int64_t>& stride,
                             const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation, int64_t groups,
                             bool relu) {
  return convolve(
      {"conv2d_dequantize", input_scale, input_zero_point, kernel_size, stride, padding, dilation, groups, relu}, input,
      packed_weight, weight_scales, bias, nullptr);
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("conv2d", TORCH_BOX(&torchq::conv2d_cpu));
  m.impl("conv2d_dequantize", TORCH_BOX(&torchq::conv2d_dequantize_cpu));
}
