#include "conv_phase.h"

namespace torchq {
namespace {

int64_t divided_up(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

// A tap of the kernel along one axis.
struct AxisTap {
  int64_t tap, offset, first, end;
};

std::vector<AxisTap> axis_taps(const ConvAxis& axis, int64_t phase, bool all_taps) {
  const int64_t count = axis.outputs(phase);
  std::vector<AxisTap> taps;
  taps.reserve(static_cast<size_t>(axis.kernel));
  if (all_taps)
    for (int64_t tap = 0; tap < axis.kernel; ++tap) taps.push_back({tap, 0, 0, 0});
  for (const ConvAxis::Tap& seen : axis.taps(phase)) {
    const int64_t step = axis.input_step();
    const AxisTap tap{seen.tap, seen.offset, std::clamp<int64_t>(divided_up(-seen.offset, step), 0, count),
                      std::clamp<int64_t>(divided_up(axis.input - seen.offset, step), 0, count)};
    if (all_taps) {
      taps[static_cast<size_t>(seen.tap)] = tap;
    } else {
      taps.push_back(tap);
    }
  }
  return taps;
}

}  // namespace

ConvPhase::ConvPhase(const ConvShape& shape, const int64_t (&index)[3], bool all_taps)
    : shape_(shape), outer_(outer_axis(shape.axes)), in_parts_(outer().most_unseen() > 0) {
  std::vector<AxisTap> along[3];
  for (int i = 0; i < 3; ++i) {
    axes_[i] = {index[i], shape.axes[i].outputs(index[i])};
    along[i] = axis_taps(shape.axes[i], index[i], all_taps);
    inside_first_[i] = 0;
    inside_end_[i] = axes_[i].count;
    for (const AxisTap& tap : along[i]) {
      inside_first_[i] = std::max(inside_first_[i], tap.first);
      inside_end_[i] = std::min(inside_end_[i], tap.end);
    }
  }
  const int64_t height = shape.axes[1].input, width = shape.axes[2].input;
  taps_.reserve(along[0].size() * along[1].size() * along[2].size());
  for (const AxisTap& i : along[0])
    for (const AxisTap& j : along[1])
      for (const AxisTap& k : along[2])
        taps_.push_back({(i.tap * shape.axes[1].kernel + j.tap) * shape.axes[2].kernel + k.tap,
                         (i.offset * height + j.offset) * width + k.offset,
                         {i.first, j.first, k.first},
                         {i.end, j.end, k.end}});
}

ConvAxis::TapRange ConvPhase::taps_of(const Run& run) const {
  const ConvAxis::TapRange all{0, outer().kernel};
  const int64_t at = run.at[outer_], each = static_cast<int64_t>(taps_.size()) / all.end;
  ConvAxis::TapRange seen = all;
  while (seen.first < all.end && at < taps_[seen.first * each].first[outer_]) ++seen.first;
  while (seen.end > seen.first && at >= taps_[(seen.end - 1) * each].end[outer_]) --seen.end;
  const bool one_side = seen.first == 0 || seen.end == all.end;
  return seen.first < seen.end && one_side ? seen : all;
}

}  // namespace torchq
