// Floor 2. The window of a convolution over its input, checked, in three spatial dimensions; the leading ones of fewer
// are 1.
#pragma once

#include <algorithm>
#include <vector>

#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {

// One spatial dimension. Its outputs are computed in phases: those of a convolution are one phase, those of a
// transposed one with stride s are s, for outputs s apart see the same taps of the kernel.
struct ConvAxis {
  int64_t input, kernel, stride, padding, dilation, output;
  bool transposed;

  // Neighbouring taps, first .. end.
  struct TapRange {
    int64_t first, end;
  };
  int64_t phases() const { return transposed ? stride : 1; }
  int64_t input_step() const { return transposed ? 1 : stride; }
  int64_t output_step() const { return transposed ? stride : 1; }
  // Whether a phase sees a tap; its output j sees input j * input_step + offset through it.
  bool sees(int64_t phase, int64_t tap) const {
    return !transposed || (phase + padding - tap * dilation) % stride == 0;
  }
  int64_t offset(int64_t phase, int64_t tap) const {
    return transposed ? (phase + padding - tap * dilation) / stride : tap * dilation - padding;
  }
  // How many outputs a phase has: phase, phase + output_step, ..
  int64_t outputs(int64_t phase) const {
    return output > phase ? (output - phase + output_step() - 1) / output_step() : 0;
  }
  // Outputs near a border see a range of the taps, and padding through the others: all of them (set 0), all but the
  // first s, or all but the last s - most_unseen(). Long kernels would have more sets than are worth it, and have one.
  int64_t most_unseen() const {
    constexpr int64_t kMost = 3;
    if (transposed) return 0;
    const int64_t most = std::min(kernel - 1, (padding + dilation - 1) / dilation);
    return most <= kMost ? most : 0;
  }
  int64_t tap_sets() const { return 1 + 2 * most_unseen(); }
  TapRange taps_of_set(int64_t set) const;
  int64_t set_of_taps(const TapRange& taps) const;
};

// The outermost axis that a kernel has several taps along, but for lines. Taps at one position of it follow each other
// in a packed weight.
inline int outer_axis(const ConvAxis (&axes)[3]) { return axes[0].kernel > 1 ? 0 : 1; }

// The three axes of a window without an input. `window` holds kernel_size, stride, padding, dilation and, for a
// transposed convolution, output_padding, each with as many numbers as there are spatial dimensions.
struct ConvWindow {
  ConvWindow(const int64_t* window, int64_t dims, bool transposed);
  const ConvAxis& outer() const { return axes[outer_axis(axes)]; }
  // The sets of taps that outputs see: those along the outer axis, with all kernel columns, and, if wanted, those along
  // lines, but for set 0, with all of the kernel's rows.
  int64_t tap_sets(bool along_lines) const { return outer().tap_sets() + (along_lines ? axes[2].tap_sets() - 1 : 0); }
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

// An output [N, C, *spatial] with `dims` spatial dimensions.
Tensor empty_conv_output(const ConvShape& shape, int64_t dims, int64_t channels, ScalarType dtype);

}  // namespace torchq
