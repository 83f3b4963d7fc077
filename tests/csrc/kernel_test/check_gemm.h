#pragma once

#include "../../../csrc/cpu/gemm/gemm.h"
#include "../../../csrc/cpu/gemm/pack.h"
#include "harness.h"

namespace kernel_test {

using torchq::GemmArgs;

// A product that owns what GemmArgs points at.
struct Product {
  int64_t rows, columns, taps, k;  // k per tap
  int64_t tap_bytes;               // k rounded up
  int64_t row_pitch, output_stride;
  bool signed_input, signed_output, relu;
  std::vector<int8_t> weight;  // [columns, k, 1, 1, taps]
  std::vector<uint8_t> a;      // [taps * rows][tap_bytes], in random order
  std::vector<int64_t> order;  // [taps][row_pitch]: which of those
  std::vector<int32_t> weight_zero_points, row_sums, row_zero_points;
  std::vector<float> weight_scales, bias, row_scales;
  float input_scale, output_scale;
  int32_t input_zero_point, output_zero_point;
};

inline int32_t zero_point(Random& random, bool is_signed) {
  return static_cast<int32_t>(is_signed ? random.between(-128, 127) : random.between(0, 255));
}

enum class Weights { no_minus_128, any, all_minus_128 };

inline Product random_product(Random& random, int64_t rows, int64_t columns, int64_t taps, int64_t k, Weights weights) {
  Product p{};
  p.rows = rows;
  p.columns = columns;
  p.taps = taps;
  p.k = k;
  p.tap_bytes = torchq::round_up(k, 4);
  p.row_pitch = rows + random.between(0, 2);
  p.output_stride = columns + random.between(0, 2);
  p.signed_input = random.coin();
  p.signed_output = random.coin();
  p.relu = random.coin();
  for (const uint8_t byte : bytes(random, columns * k * taps)) {
    const auto value = static_cast<int8_t>(byte);
    p.weight.push_back(weights == Weights::all_minus_128                   ? int8_t{-128}
                       : weights == Weights::no_minus_128 && value == -128 ? int8_t{-127}
                                                                           : value);
  }
  p.a = weights == Weights::all_minus_128 ? std::vector<uint8_t>(static_cast<size_t>(rows * taps * p.tap_bytes), 255)
                                          : bytes(random, rows * taps * p.tap_bytes);
  for (int64_t i = 0; i < rows * taps; ++i) p.order.push_back(i);
  random.shuffle(p.order);
  for (int64_t tap = taps - 1; tap > 0; --tap)  // beyond the rows of a tap a pitch holds nothing to be read
    p.order.insert(p.order.begin() + tap * rows, static_cast<size_t>(p.row_pitch - rows), -1);
  const bool asymmetric = random.coin(), with_bias = random.coin();
  for (int64_t n = 0; n < columns; ++n) {
    p.weight_scales.push_back(random.real(0.001f, 0.02f));
    if (asymmetric) p.weight_zero_points.push_back(zero_point(random, true));
    if (with_bias)
      p.bias.push_back(random.between(0, 9) == 0 ? random.pick(special_floats()) : random.real(-50.0f, 50.0f));
  }
  for (int64_t m = 0; m < rows; ++m) {
    if (asymmetric) p.row_sums.push_back(static_cast<int32_t>(random.between(-1000000, 1000000)));
    p.row_scales.push_back(random.between(0, 9) == 0 ? random.pick(special_floats()) : random.real(0.01f, 0.1f));
    p.row_zero_points.push_back(zero_point(random, p.signed_input));
  }
  p.input_scale = random.real(0.01f, 0.1f);
  p.output_scale = random.real(0.01f, 1.0f) * static_cast<float>(k * taps) / 16.0f;
  p.input_zero_point = zero_point(random, p.signed_input);
  p.output_zero_point = zero_point(random, p.signed_output);
  return p;
}

// The sections of a packed weight, each as long as gemm.h says and no longer.
struct Packed {
  std::vector<int8_t> panels;
  std::vector<int32_t> column_sums;
  std::vector<uint8_t> flags;
};

// Packs, and takes the packed weight apart; the weight that unpacking gives has to be the same.
inline Packed pack(Family& family, const Product& p) {
  const int64_t kernel[3] = {1, 1, p.taps};
  const torchq::PackedHeader header = torchq::packed_header(1, p.columns, p.k, kernel, !p.weight_zero_points.empty());
  Packed sections;
  family.check(describe({{"pack columns", p.columns}, {"taps", p.taps}, {"k", p.k}}), [&](Isa, Edge edge) {
    const Input<int8_t> weight(p.weight, edge);
    const Input<int32_t> zeros(p.weight_zero_points, edge);
    const Output<uint8_t> packed(header.total_bytes(), edge, alignof(int32_t));
    torchq::pack_weight(header, weight.data(), header.has_zero_points ? zeros.data() : nullptr, packed.data());
    const char* error;
    const torchq::PackedWeight view(packed.data(), header.total_bytes(), &error);
    sections.panels.assign(view.panels(0), view.panels(0) + header.panels_bytes());
    sections.column_sums.assign(view.column_sums(0), view.column_sums(0) + p.columns);
    sections.flags.assign(view.flags(0), view.flags(0) + header.group_panels());
    const Output<int8_t> back(static_cast<int64_t>(p.weight.size()), edge);
    torchq::unpack_weight(view, back.data());
    const bool same = error == nullptr && std::memcmp(back.data(), p.weight.data(), p.weight.size()) == 0;
    return same ? packed.bytes() : std::vector<uint8_t>();
  });
  return sections;
}

template <typename T>
std::vector<uint8_t> multiply(const Product& p, const Packed& packed, Isa level, Edge edge) {
  const Input<uint8_t> a(p.a, edge);
  std::vector<const uint8_t*> pointers;
  for (const int64_t i : p.order) pointers.push_back(i < 0 ? nullptr : a.data() + i * p.tap_bytes);
  const Input<const uint8_t*> row_pointers(pointers, edge);
  const Input<int8_t> panels(packed.panels, edge);
  const Input<uint8_t> flags(packed.flags, edge);
  const Input<int32_t> column_sums(packed.column_sums, edge), weight_zero_points(p.weight_zero_points, edge),
      row_sums(p.row_sums, edge), row_zero_points(p.row_zero_points, edge);
  const Input<float> weight_scales(p.weight_scales, edge), bias(p.bias, edge), row_scales(p.row_scales, edge);
  const Output<T> output((p.rows - 1) * p.output_stride + p.columns, edge);

  constexpr bool to_float = sizeof(T) == 4;
  GemmArgs args{};
  args.rows = p.rows;
  args.columns = p.columns;
  args.row_pointers = row_pointers.data();
  args.row_pitch = p.row_pitch;
  args.taps = p.taps;
  args.tap_bytes = p.tap_bytes;
  args.signed_input = p.signed_input;
  args.panels = panels.data();
  args.panel_has_minus_128 = flags.data();
  args.column_sums = column_sums.data();
  args.weight_scales = weight_scales.data();
  if (!p.bias.empty()) args.bias = bias.data();
  if (!p.weight_zero_points.empty()) {
    args.weight_zero_points = weight_zero_points.data();
    args.row_sums = row_sums.data();
  }
  args.relu = p.relu;
  args.output = output.data();
  args.output_stride = p.output_stride;
  if (to_float) {
    args.row_scales = row_scales.data();
    args.row_zero_points = row_zero_points.data();
    torchq::gemm_kernels(level).to_float(args);
    return with_one_nan(output.bytes());
  }
  args.input_scale = p.input_scale;
  args.input_zero_point = p.input_zero_point;
  args.output_scale = p.output_scale;
  args.output_zero_point = p.output_zero_point;
  args.signed_output = p.signed_output;
  torchq::gemm_kernels(level).to_bytes(args);
  return output.bytes();
}

inline void check_product(Family& family, const Product& p) {
  const Packed packed = pack(family, p);
  const std::string text = describe({{"rows", p.rows},
                                     {"columns", p.columns},
                                     {"taps", p.taps},
                                     {"k", p.k},
                                     {"signed_input", p.signed_input},
                                     {"signed_output", p.signed_output},
                                     {"relu", p.relu},
                                     {"asymmetric", !p.weight_zero_points.empty()},
                                     {"bias", !p.bias.empty()}});
  family.check("to_bytes " + text, [&](Isa level, Edge edge) { return multiply<uint8_t>(p, packed, level, edge); });
  family.check("to_float " + text, [&](Isa level, Edge edge) { return multiply<float>(p, packed, level, edge); });
}

inline void check_gemm(Family& family, Random& random) {
  static const std::vector<int64_t> all_rows = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 19};
  static const std::vector<int64_t> depths = {1, 3, 4, 5, 8, 12, 16, 31, 36, 64, 68};
  for (const int64_t columns : {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 96, 97, 129})
    for (const int64_t rows : all_rows)
      for (const Weights weights : {Weights::no_minus_128, Weights::any})
        check_product(family, random_product(random, rows, columns, 1, random.pick(depths), weights));
  // Convolutions read a tap in place, four channels at a time.
  for (const int64_t columns : {1, 16, 33, 48, 64, 81})
    for (const int64_t rows : all_rows)
      for (const int64_t taps : {2, 9})
        check_product(family, random_product(random, rows, columns, taps, 4 * random.between(1, 5), Weights::any));
  // The largest sums that int32 holds: numerics.h's kMaxReduction, of 255 times -128.
  check_product(family, random_product(random, 2, 17, 1, 65793, Weights::all_minus_128));
  check_product(family, random_product(random, 7, 66, 1, 200, Weights::all_minus_128));
}

}  // namespace kernel_test
