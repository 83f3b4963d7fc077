#include "conv_phase.h"

namespace torchq {
namespace {

int64_t divided_up(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

// A tap of the kernel along one axis.
struct AxisTap {
  int64_t tap, offset, first, end;
};

void append_taps(const ConvAxis& axis, int64_t phase, bool all_taps, std::vector<AxisTap>& taps) {
  const int64_t count = axis.outputs(phase), step = axis.input_step();
  for (int64_t tap = 0; tap < axis.kernel; ++tap) {
    if (axis.sees(phase, tap)) {
      const int64_t offset = axis.offset(phase, tap);
      taps.push_back({tap, offset, std::clamp<int64_t>(divided_up(-offset, step), 0, count),
                      std::clamp<int64_t>(divided_up(axis.input - offset, step), 0, count)});
    } else if (all_taps) {
      taps.push_back({tap, 0, 0, 0});
    }
  }
}

}  // namespace

ConvPhase::ConvPhase(const ConvShape& shape, const int64_t (&index)[3], bool all_taps)
    : shape_(shape), outer_(outer_axis(shape.axes)), in_parts_(outer().most_unseen() > 0) {
  std::vector<AxisTap> along;
  along.reserve(static_cast<size_t>(shape.axes[0].kernel + shape.axes[1].kernel + shape.axes[2].kernel));
  size_t end[3];
  for (int i = 0; i < 3; ++i) {
    axes_[i] = {index[i], shape.axes[i].outputs(index[i])};
    inside_first_[i] = 0;
    inside_end_[i] = axes_[i].count;
    const size_t first = along.size();
    append_taps(shape.axes[i], index[i], all_taps, along);
    end[i] = along.size();
    for (size_t tap = first; tap < end[i]; ++tap) {
      inside_first_[i] = std::max(inside_first_[i], along[tap].first);
      inside_end_[i] = std::min(inside_end_[i], along[tap].end);
    }
  }
  const int64_t height = shape.axes[1].input, width = shape.axes[2].input;
  taps_.reserve(end[0] * (end[1] - end[0]) * (end[2] - end[1]));
  for (size_t i = 0; i < end[0]; ++i)
    for (size_t j = end[0]; j < end[1]; ++j)
      for (size_t k = end[1]; k < end[2]; ++k)
        taps_.push_back({(along[i].tap * shape.axes[1].kernel + along[j].tap) * shape.axes[2].kernel + along[k].tap,
                         (along[i].offset * height + along[j].offset) * width + along[k].offset,
                         {along[i].first, along[j].first, along[k].first},
                         {along[i].end, along[j].end, along[k].end}});
}

ConvAxis::TapRange ConvPhase::seen_along(int axis, int64_t at) const {
  const ConvAxis::TapRange all{0, shape_.axes[axis].kernel};
  int64_t each = 1;  // taps from one position along the axis to the next
  for (int inner = axis + 1; inner < 3; ++inner) each *= shape_.axes[inner].kernel;
  ConvAxis::TapRange seen = all;
  while (seen.first < all.end && at < taps_[seen.first * each].first[axis]) ++seen.first;
  while (seen.end > seen.first && at >= taps_[(seen.end - 1) * each].end[axis]) --seen.end;
  const bool one_side = seen.first == 0 || seen.end == all.end;
  return seen.first < seen.end && one_side ? seen : all;
}

}  // namespace torchq
