// Floor 2. A linear layer or a convolution with everything that does not change from call to call laid out beside its
// packed weight: the window, the scales and zero points, and what the kernels read of the columns. An operator lays it
// out for one call; a module keeps it (prepare_layer).
//
//   LayerHeader    rounded up to whole lines
//   padding        of a convolution: a pixel of the input's zero point, rounded up to whole lines
//   parameters     [column sets][groups][panels] PanelParameters; for a depthwise weight what depthwise.h's prepare
//                  gives
//
// The parameters are those of one instruction set level; the header says which.
#pragma once

#include "conv_shape.h"
#include "gemm_driver.h"

namespace torchq {

struct LayerHeader {
  uint32_t magic;
  int32_t level;
  PackedHeader packed;
  int32_t spatial_dims;  // 0 for a linear layer
  int32_t transposed;
  int64_t window[15];  // kernel_size, stride, padding, dilation and, transposed, output_padding
  int32_t signed_input, signed_output, to_float, relu;
  float input_scale, output_scale;
  int32_t input_zero_point, output_zero_point;
  int32_t bounded;  // GemmArgs::bounded, DepthwiseArgs::bounded; of a laid out layer only
  int32_t borders;  // whether outputs that see padding have column sets of their own

  // One for each set of taps that outputs see: those of a phase, of a transposed convolution whose taps are read in
  // place; else those that are not in the padding (ConvAxis::taps_of_set).
  int64_t column_sets() const;
  // Whether outputs at the ends of lines have sets too: not where rows are done before that would save anything.
  bool by_columns() const;
  int64_t padding_lines() const;
  int64_t total_lines() const;
};

// The scales and zero points of a layer; those of the output are left out for a float32 result.
struct LayerArgs {
  const char* op;
  double input_scale;
  int64_t input_zero_point;
  bool signed_input;
  bool to_float;
  double output_scale;
  int64_t output_zero_point;
  ScalarType output_dtype;
  bool relu;
};

// Checks what can be without an input. `window` is empty for a linear layer.
LayerHeader layer_header(const LayerArgs& args, const PackedHeader& packed, const std::vector<int64_t>& window,
                         bool transposed);

// header.total_lines() lines.
void prepare_layer(const LayerHeader& header, const Weight& weight, Line* lines);

// A prepared layer, for as long as its lines live.
class Layer {
 public:
  explicit Layer(const Line* lines) : lines_(lines) {}

  // Whether `bytes` bytes of it were made for a packed weight.
  bool fits(const PackedWeight& packed, int64_t bytes) const;

  const LayerHeader& header() const { return *reinterpret_cast<const LayerHeader*>(lines_); }
  const uint8_t* padding_pixel() const { return first()->bytes; }
  const PanelParameters* parameters(int64_t set, int64_t group) const;
  const void* depthwise() const { return first(); }

 private:
  const Line* first() const { return lines_ + lines_of(sizeof(LayerHeader)); }
  const Line* lines_;
};

// What a product takes from the layer and from the weight of one group. Rows are one tap of the whole depth.
GemmArgs gemm_args(const LayerHeader& header, const PackedWeight& packed, int64_t group);

struct Residual {
  const Tensor* tensor = nullptr;  // or none
  double scale = 1.0;
  int64_t zero_point = 0;
};

Tensor run_linear(const char* op, const Layer& layer, const PackedWeight& packed, const Tensor& input);
Tensor run_convolution(const char* op, const Layer& layer, const PackedWeight& packed, const Tensor& input,
                       const Residual& residual);

ScalarType output_dtype(const LayerHeader& header);

// Lays a layer out in this thread's working memory, where it stays until the next one is.
Layer prepare_once(const LayerHeader& header, const Weight& weight);
Tensor run_once(const LayerHeader& header, const char* op, const Weight& weight, const Tensor& input,
                const Residual& residual);

}  // namespace torchq
