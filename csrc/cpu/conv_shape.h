// Floor 2. The window of a convolution over its input, checked, in three spatial dimensions; the leading ones of fewer
// are 1.
#pragma once

#include <vector>

#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {

// One spatial dimension. Its outputs are computed in phases: those of a convolution are one phase, those of a transposed
// one with stride s are s, for outputs s apart see the same taps of the kernel.
struct ConvAxis {
  int64_t input, kernel, stride, padding, dilation, output;
  bool transposed;

  struct Tap {
    int64_t tap;     // of the kernel
    int64_t offset;  // output j of the phase sees input j * input_step + offset through it
  };
  struct Phase {
    int64_t first, count;  // outputs first, first + output_step, ..
    std::vector<Tap> taps;
  };
  int64_t phases() const { return transposed ? stride : 1; }
  int64_t input_step() const { return transposed ? 1 : stride; }
  int64_t output_step() const { return transposed ? stride : 1; }
  Phase phase(int64_t index) const;
};

struct ConvShape {
  int64_t n, channels, groups;
  ConvAxis axes[3];

  int64_t input_pixels() const { return axes[0].input * axes[1].input * axes[2].input; }
  int64_t output_pixels() const { return axes[0].output * axes[1].output * axes[2].output; }
};

// `window` holds kernel_size, stride, padding, dilation and, for a transposed convolution, output_padding, each with as
// many numbers as the input has spatial dimensions. A transposed convolution's weight is packed [O, I / groups, *kernel].
ConvShape check_conv_shape(const char* op, const Tensor& input, const PackedHeader& header,
                           const std::vector<int64_t>& window, bool transposed);

// The output's shape, [N, C, *spatial], with `dims` spatial dimensions.
std::vector<int64_t> conv_output_size(const ConvShape& shape, int64_t dims, int64_t channels);

}  // namespace torchq
