// Floor 2. One phase of a convolution's outputs (conv_shape.h): which pixels it makes, and where their taps lie.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "conv_shape.h"
#include "gemm_driver.h"

namespace torchq {

class ConvPhase {
 public:
  // With `all_taps` the kernel's taps that the phase does not see are there too, and lie in the padding.
  ConvPhase(const ConvShape& shape, const int64_t (&index)[3], bool all_taps);

  // Neighbouring outputs of one line of one image.
  struct Run {
    int64_t at[3];  // the first one's position within the phase
    int64_t count;
    int64_t input_pixel;  // what the first one's window begins from, counted over the whole input
  };

  struct Tap {
    int64_t index;             // of the kernel
    int64_t input_pixels;      // from where a window begins
    int64_t first[3], end[3];  // the positions within the phase that see a pixel of the input through it

    // Which outputs of a run do.
    std::pair<int64_t, int64_t> seen_in(const Run& run) const { return overlap(first, end, run); }
    bool sees_along_line(const Run& run, int64_t i) const {
      return run.at[2] + i >= first[2] && run.at[2] + i < end[2];
    }
    bool sees(const Run& run, int64_t i) const {
      const auto [begin, last] = seen_in(run);
      return i >= begin && i < last;
    }
  };
  const std::vector<Tap>& taps() const { return taps_; }

  // Between neighbouring outputs of a run.
  int64_t input_step() const { return shape_.axes[2].input_step(); }
  int64_t output_step() const { return shape_.axes[2].output_step(); }

  // Whether there are outputs that see a part of the taps along the outer axis.
  bool in_parts() const { return in_parts_; }
  // Whether a run of outputs sees all of them, and which it sees; all are told where some are padding on both sides.
  bool sees_all_outer(const Run& run) const {
    return run.at[outer_] >= inside_first_[outer_] && run.at[outer_] < inside_end_[outer_];
  }
  ConvAxis::TapRange outer_taps_of(const Run& run) const { return seen_along(outer_, run.at[outer_]); }
  const ConvAxis& outer() const { return shape_.axes[outer_]; }

  // Along lines: how long one is, which of its outputs see all taps, and which taps an output sees.
  const ConvAxis& along_line() const { return shape_.axes[2]; }
  int64_t line_length() const { return axes_[2].count; }
  std::pair<int64_t, int64_t> inside_line() const {
    return {inside_first_[2], std::max(inside_first_[2], inside_end_[2])};
  }
  ConvAxis::TapRange line_taps_at(int64_t at) const { return seen_along(2, at); }
  // How many lines that see all outer taps follow each other, at least.
  int64_t lines_together() const {
    const int64_t inside = std::max<int64_t>(0, inside_end_[outer_] - inside_first_[outer_]);
    const int64_t of_image = outer_ == 0 ? inside * axes_[1].count : inside;
    return inside == axes_[outer_].count ? of_image * shape_.n : of_image;
  }
  // Outputs begin .. end of a whole line.
  Run part_of(const Run& line, int64_t begin, int64_t end) const {
    return {{line.at[0], line.at[1], line.at[2] + begin}, end - begin, line.input_pixel + begin * input_step()};
  }

  // Which outputs of a run see a pixel of the input through every tap.
  std::pair<int64_t, int64_t> inside(const Run& run) const { return overlap(inside_first_, inside_end_, run); }

  // Whether the taps of a kernel row lie on neighbouring pixels, in order, wherever a window is.
  bool taps_are_neighbours() const { return !shape_.axes[2].transposed && shape_.axes[2].dilation == 1; }

  // The phase's outputs as rows of a product.
  Lines lines() const {
    const int64_t lines = shape_.n * axes_[0].count * axes_[1].count;
    // Outputs without a step between them go on from one line to the next.
    return shape_.axes[2].output_step() == 1 && shape_.axes[1].output_step() == 1 && shape_.axes[0].output_step() == 1
               ? Lines{1, lines * axes_[2].count}
               : Lines{lines, axes_[2].count};
  }

  // Calls visit(row, run) for the outputs first .. first + count of a line; rows count from 0.
  template <typename Visit>
  void for_each_run(int64_t line, int64_t first, int64_t count, const Visit& visit) const {
    int64_t image;
    Run run;
    locate(line, first, image, run.at);
    for (int64_t row = 0; row < count; row += run.count) {
      run.count = std::min(count - row, axes_[2].count - run.at[2]);
      run.input_pixel = image;
      for (int i = 0; i < 3; ++i)
        run.input_pixel = run.input_pixel * shape_.axes[i].input + run.at[i] * shape_.axes[i].input_step();
      visit(row, run);
      run.at[2] = 0;
      if (++run.at[1] < axes_[1].count) continue;
      run.at[1] = 0;
      if (++run.at[0] < axes_[0].count) continue;
      run.at[0] = 0;
      ++image;
    }
  }

  // The output of row `first` of a line, counted over the whole output in pixels.
  int64_t output_pixel(int64_t line, int64_t first) const {
    int64_t pixel, at[3];
    locate(line, first, pixel, at);
    for (int i = 0; i < 3; ++i)
      pixel = pixel * shape_.axes[i].output + axes_[i].first + at[i] * shape_.axes[i].output_step();
    return pixel;
  }

 private:
  ConvAxis::TapRange seen_along(int axis, int64_t at) const;
  static std::pair<int64_t, int64_t> overlap(const int64_t (&first)[3], const int64_t (&end)[3], const Run& run) {
    for (int i = 0; i < 2; ++i)
      if (run.at[i] < first[i] || run.at[i] >= end[i]) return {run.count, run.count};
    const int64_t begin = std::clamp<int64_t>(first[2] - run.at[2], 0, run.count);
    return {begin, std::clamp<int64_t>(end[2] - run.at[2], begin, run.count)};
  }

  void locate(int64_t line, int64_t first, int64_t& image, int64_t (&at)[3]) const {
    int64_t pixel = line * lines().length + first;
    for (int i = 3; i-- > 0; pixel /= axes_[i].count) at[i] = pixel % axes_[i].count;
    image = pixel;
  }

  const ConvShape& shape_;
  struct Along {
    int64_t first, count;
  };
  Along axes_[3];
  std::vector<Tap> taps_;
  int64_t inside_first_[3], inside_end_[3];
  int outer_;
  bool in_parts_;
};

// Calls visit(phase, index) for each phase that has outputs.
template <typename Visit>
void for_each_phase(const ConvShape& shape, bool all_taps, const Visit& visit) {
  if (shape.n == 0) return;
  for (int64_t i = 0; i < std::min(shape.axes[0].phases(), shape.axes[0].output); ++i)
    for (int64_t j = 0; j < std::min(shape.axes[1].phases(), shape.axes[1].output); ++j)
      for (int64_t k = 0; k < std::min(shape.axes[2].phases(), shape.axes[2].output); ++k)
        visit(ConvPhase(shape, {i, j, k}, all_taps), (i * shape.axes[1].phases() + j) * shape.axes[2].phases() + k);
}

}  // namespace torchq
