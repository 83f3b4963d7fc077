// Floor 2. The window of a convolution over its input, checked, in three spatial dimensions; the leading ones of fewer
// are 1.
#pragma once

#include <vector>

#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {

// One spatial dimension. Its outputs are computed in phases: those of a convolution are one phase, those of a
// transposed one with stride s are s, for outputs s apart see the same taps of the kernel.
struct ConvAxis {
  int64_t input, kernel, stride, padding, dilation, output;
  bool transposed;

  struct Tap {
    int64_t tap;     // of the kernel
    int64_t offset;  // output j of the phase sees input j * input_step + offset through it
  };
  int64_t phases() const { return transposed ? stride : 1; }
  int64_t input_step() const { return transposed ? 1 : stride; }
  int64_t output_step() const { return transposed ? stride : 1; }
  // The taps that a phase sees, and how many outputs it has: phase, phase + output_step, ..
  std::vector<Tap> taps(int64_t phase) const;
  int64_t outputs(int64_t phase) const {
    return output > phase ? (output - phase + output_step() - 1) / output_step() : 0;
  }
};

// The three axes of a window without an input. `window` holds kernel_size, stride, padding, dilation and, for a
// transposed convolution, output_padding, each with as many numbers as there are spatial dimensions.
struct ConvWindow {
  ConvWindow(const int64_t* window, int64_t dims, bool transposed);
  ConvAxis axes[3];
  int64_t output_padding[3];
};

struct ConvShape {
  int64_t n, channels, groups;
  ConvAxis axes[3];

  int64_t input_pixels() const { return axes[0].input * axes[1].input * axes[2].input; }
  int64_t output_pixels() const { return axes[0].output * axes[1].output * axes[2].output; }
};

// Refuses a window that no input fits or that is not the packed weight's; returns the number of spatial dimensions.
int64_t check_window(const char* op, const PackedHeader& header, const std::vector<int64_t>& window, bool transposed);

// The window over an input of that number of dimensions.
ConvShape conv_shape(const char* op, const Tensor& input, const PackedHeader& header, const ConvWindow& window,
                     int64_t dims);

// The output's shape, [N, C, *spatial], with `dims` spatial dimensions.
std::vector<int64_t> conv_output_size(const ConvShape& shape, int64_t dims, int64_t channels);

}  // namespace torchq
