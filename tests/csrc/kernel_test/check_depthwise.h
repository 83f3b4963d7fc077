#pragma once

#include "../../../csrc/cpu/depthwise/depthwise.h"
#include "../../../csrc/cpu/gemm/pack.h"
#include "harness.h"

namespace kernel_test {

using torchq::DepthwiseArgs;

// A run of output pixels that owns what DepthwiseArgs points at.
struct DepthwiseRun {
  DepthwiseArgs args;  // without pointers
  int64_t groups;
  bool pairs;
  bool together;  // pixels that fill a block
  std::vector<int8_t> panels;
  std::vector<int32_t> column_sums, weight_zero_points;
  std::vector<float> weight_scales, bias;
  std::vector<uint8_t> image;
  std::vector<int64_t> order;  // [quads][4]: which pixel of the image
};

constexpr int64_t kScattered = 5;  // the pixels that the first group is made of

// At most: the levels' blocks have up to 64 channels, and other numbers of pixels fill them.
inline int64_t outputs(const DepthwiseRun& run) {
  const bool fills = run.together && 64 % run.args.channels == 0;
  return run.groups * (run.pairs ? 2 : fills ? 64 / run.args.channels : 1);
}

inline DepthwiseRun random_depthwise(Random& random, int64_t channels, int64_t kernel_height, int64_t kernel_width,
                                     bool extreme) {
  DepthwiseRun run{};
  const int64_t kernel[3] = {1, kernel_height, kernel_width};
  const int64_t taps = kernel_height * kernel_width;
  std::vector<int8_t> weight;
  for (const uint8_t byte : bytes(random, channels * taps))
    weight.push_back(extreme ? int8_t{-128} : static_cast<int8_t>(byte));
  const torchq::PackedHeader header = torchq::packed_header(channels, 1, 1, kernel, false);
  std::vector<uint8_t> packed(static_cast<size_t>(header.total_bytes()));
  torchq::pack_weight(header, weight.data(), nullptr, packed.data());
  const char* error;
  const torchq::PackedWeight view(packed.data(), header.total_bytes(), &error);
  run.panels.assign(view.panels(0), view.panels(0) + header.panels_bytes());
  run.column_sums.assign(view.column_sums(0), view.column_sums(0) + channels);

  DepthwiseArgs& args = run.args;
  args.channels = channels;
  args.kernel_rows = kernel_height;
  args.kernel_width = kernel_width;
  args.panel_row = header.depth_of(kernel_width, 0);
  args.pair_step = random.between(0, 2);
  args.signed_input = random.coin();
  args.signed_output = random.coin();
  args.relu = random.coin();
  args.input_scale = random.real(0.01f, 0.1f);
  args.output_scale = random.real(0.01f, 1.0f);
  const auto zero_point = [&](bool is_signed) {
    return static_cast<int32_t>(is_signed ? random.between(-128, 127) : random.between(0, 255));
  };
  args.input_zero_point = zero_point(args.signed_input);
  args.output_zero_point = zero_point(args.signed_output);
  run.groups = random.between(1, 9);
  run.pairs = args.pair_step > 0 && random.coin();
  run.together = !run.pairs && random.coin();
  const bool asymmetric = random.coin(), with_bias = random.coin();
  for (int64_t c = 0; c < channels; ++c) {
    run.weight_scales.push_back(random.real(0.001f, 0.02f));
    if (asymmetric) run.weight_zero_points.push_back(zero_point(true));
    if (with_bias)
      run.bias.push_back(random.between(0, 9) == 0 ? random.pick(special_floats()) : random.real(-9.0f, 9.0f));
  }
  const bool next_begins_here = run.pairs && args.pair_step == 1 && kernel_width == 3;
  for (int64_t i = 0; i < args.quads() * 4; ++i)
    run.order.push_back(next_begins_here && i % 4 >= 2 ? run.order[i - 2] + 2 : random.between(0, kScattered - 1));
  const int64_t size = (kScattered + outputs(run)) * channels;
  run.image = extreme ? std::vector<uint8_t>(static_cast<size_t>(size), 255) : bytes(random, size);
  return run;
}

template <typename T>
std::vector<uint8_t> convolve_depthwise(const DepthwiseRun& run, Isa level, Edge edge) {
  const Input<int8_t> panels(run.panels, edge);
  const Input<int32_t> column_sums(run.column_sums, edge), weight_zero_points(run.weight_zero_points, edge);
  const Input<float> weight_scales(run.weight_scales, edge), bias(run.bias, edge);
  const Input<uint8_t> image(run.image, edge);
  DepthwiseArgs args = run.args;
  std::vector<const uint8_t*> pointers;
  for (const int64_t i : run.order) pointers.push_back(image.data() + i * args.channels);
  const Input<const uint8_t*> at(pointers, edge);
  args.panels = panels.data();
  args.column_sums = column_sums.data();
  args.weight_scales = weight_scales.data();
  if (!run.weight_zero_points.empty()) args.weight_zero_points = weight_zero_points.data();
  if (!run.bias.empty()) args.bias = bias.data();
  args.to_float = sizeof(T) == 4;

  const torchq::DepthwiseKernels& kernels = torchq::depthwise_kernels(level);
  const Output<uint8_t> prepared(64 * kernels.prepared_lines(args), edge);
  args.bounded = kernels.prepare(args, prepared.data());
  // Each output sees the pixels of the first, moved along by one.
  int64_t together = 1;
  if (run.together && kernels.block % args.channels == 0) together = kernels.block / args.channels;
  const int64_t of_group = run.pairs ? 2 : together;
  const int64_t groups = outputs(run) / of_group;
  const Output<T> output(groups * of_group * args.channels, edge);
  kernels.run(args, prepared.data(), {groups, run.pairs, together, at.data(), of_group * args.channels}, output.data());
  return args.to_float ? with_one_nan(output.bytes()) : output.bytes();
}

inline void check_run(Family& family, const DepthwiseRun& run) {
  const std::string text = describe({{"channels", run.args.channels},
                                     {"rows", run.args.kernel_rows},
                                     {"width", run.args.kernel_width},
                                     {"pair_step", run.args.pair_step},
                                     {"groups", run.groups},
                                     {"in pairs", run.pairs},
                                     {"together", run.together},
                                     {"signed_input", run.args.signed_input},
                                     {"signed_output", run.args.signed_output},
                                     {"relu", run.args.relu},
                                     {"asymmetric", !run.weight_zero_points.empty()},
                                     {"bias", !run.bias.empty()}});
  family.check("to_bytes " + text, [&](Isa level, Edge edge) { return convolve_depthwise<uint8_t>(run, level, edge); });
  family.check("to_float " + text, [&](Isa level, Edge edge) { return convolve_depthwise<float>(run, level, edge); });
}

inline void check_depthwise(Family& family, Random& random) {
  static const std::vector<std::pair<int64_t, int64_t>> kernels = {{1, 1}, {1, 2}, {1, 3}, {3, 3}, {2, 2},
                                                                   {3, 1}, {5, 3}, {5, 5}, {7, 7}};
  for (const int64_t channels : kLengths) {
    if (channels < 2) continue;  // one channel is an ordinary convolution
    for (const auto& [height, width] : kernels)
      for (const bool extreme : {false, false, true})
        check_run(family, random_depthwise(random, channels, height, width, extreme));
  }
}

}  // namespace kernel_test
