#pragma once

#include "../../../csrc/cpu/gemm/gemm.h"
#include "../../../csrc/cpu/gemm/pack.h"
#include "harness.h"

namespace kernel_test {

using torchq::GemmArgs;

// A product that owns what GemmArgs points at.
struct Product {
  int64_t rows, columns, taps, k;     // k per tap
  int64_t tap_bytes;                  // k rounded up
  int64_t row_bytes;                  // of one row of one tap
  int64_t group_width, first_column;  // of groups side by side; 0 without
  int64_t first_rows;                 // of two products that are computed as one, the second one without the first tap
  int64_t row_pitch, output_stride;
  bool signed_input, signed_output, relu, backwards;
  std::vector<int8_t> weight;      // [columns, k, 1, 1, taps]
  std::vector<uint8_t> a;          // [taps * rows][row_bytes], in random order
  std::vector<int64_t> order;      // [taps][row_pitch]: which of those
  std::vector<int64_t> tap_order;  // which tap of the weight each tap of the rows meets; empty: each its own
  std::vector<int32_t> weight_zero_points, row_sums, row_zero_points;
  std::vector<float> weight_scales, bias, row_scales;
  std::vector<uint8_t> residual;
  float input_scale, output_scale, residual_scale;
  int32_t input_zero_point, output_zero_point, residual_zero_point;
};

inline int32_t zero_point(Random& random, bool is_signed) {
  return static_cast<int32_t>(is_signed ? random.between(-128, 127) : random.between(0, 255));
}

// `rarely_more`: seven bits, but for one activation in a few hundred.
enum class Values { any, seven_bits, rarely_more, largest };

inline Product random_product(Random& random, int64_t rows, int64_t columns, int64_t taps, int64_t k, Values values) {
  Product p{};
  p.rows = rows;
  p.columns = columns;
  p.taps = taps;
  p.k = k;
  p.tap_bytes = p.row_bytes = torchq::round_up(k, 4);
  p.first_rows = taps > 1 && rows > 1 && random.coin() ? random.between(1, rows - 1) : rows;
  p.row_pitch = rows + random.between(0, 2);
  p.output_stride = columns + random.between(0, 2);
  const bool narrow = values == Values::seven_bits || values == Values::rarely_more;
  p.signed_input = !narrow && random.coin();
  p.signed_output = random.coin();
  p.relu = random.coin();
  p.backwards = random.coin();
  for (const uint8_t byte : bytes(random, columns * k * taps))
    p.weight.push_back(values == Values::largest ? int8_t{-128} : static_cast<int8_t>(byte));
  p.a = bytes(random, rows * taps * p.row_bytes);
  for (uint8_t& byte : p.a) {
    if (values == Values::largest) byte = p.signed_input ? 128 : 255;
    if (narrow && (values == Values::seven_bits || random.between(0, 299) > 0)) byte &= 127;
  }
  if (taps > 1 && random.coin()) {
    for (int64_t tap = 0; tap < taps; ++tap) p.tap_order.push_back(tap);
    random.shuffle(p.tap_order);
  }
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
  if (random.coin()) p.residual = bytes(random, (rows - 1) * p.output_stride + columns);
  p.residual_scale = p.output_scale * random.real(0.1f, 3.0f);
  p.residual_zero_point = zero_point(random, p.signed_output);
  return p;
}

// As in most layers: activations of u8, weights without zero points, everything finite, nothing to be added.
inline Product plain_product(Random& random, int64_t rows, int64_t columns, int64_t taps, int64_t k) {
  Product p = random_product(random, rows, columns, taps, k, Values::any);
  p.signed_input = false;
  p.output_stride = columns + (random.coin() ? 0 : random.between(1, 2));
  p.weight_zero_points.clear();
  p.row_sums.clear();
  if (!p.residual.empty()) p.residual = bytes(random, (rows - 1) * p.output_stride + columns);
  for (float& bias : p.bias) bias = random.real(-50.0f, 50.0f);
  for (int32_t& zero : p.row_zero_points) zero = zero_point(random, false);
  p.input_zero_point = zero_point(random, false);
  return p;
}

// The sections of a packed weight, each as long as gemm.h says and no longer.
struct Packed {
  std::vector<int8_t> panels;
  std::vector<int32_t> column_sums;
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
  for (const int64_t i : p.order) pointers.push_back(i < 0 ? nullptr : a.data() + i * p.row_bytes);
  std::vector<int64_t> offsets;
  for (const int64_t tap : p.tap_order) offsets.push_back(tap * p.tap_bytes * torchq::kPanelColumns);
  const Input<const uint8_t*> row_pointers(pointers, edge);
  const Input<int8_t> panels(packed.panels, edge);
  const Input<int64_t> tap_offsets(offsets, edge);
  const Input<int32_t> column_sums(packed.column_sums, edge), weight_zero_points(p.weight_zero_points, edge),
      row_sums(p.row_sums, edge), row_zero_points(p.row_zero_points, edge);
  const Input<float> weight_scales(p.weight_scales, edge), bias(p.bias, edge), row_scales(p.row_scales, edge);
  const Input<uint8_t> residual(p.residual, edge);
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
  args.group_width = p.group_width;
  args.first_column = p.first_column;
  args.panels = panels.data();
  args.panel_bytes = p.taps * p.tap_bytes * torchq::kPanelColumns;
  if (!offsets.empty()) args.tap_offsets = tap_offsets.data();
  args.column_sums = column_sums.data();
  args.weight_scales = weight_scales.data();
  if (!p.bias.empty()) args.bias = bias.data();
  if (!p.weight_zero_points.empty()) {
    args.weight_zero_points = weight_zero_points.data();
    if (p.group_width == 0) args.row_sums = row_sums.data();
  }
  args.relu = p.relu;
  args.backwards = p.backwards;
  args.output = output.data();
  args.output_stride = p.output_stride;
  if (to_float) {
    args.row_scales = row_scales.data();
    args.row_zero_points = row_zero_points.data();
  } else {
    args.input_scale = p.input_scale;
    args.input_zero_point = p.input_zero_point;
    args.output_scale = p.output_scale;
    args.output_zero_point = p.output_zero_point;
    args.signed_output = p.signed_output;
    if (!p.residual.empty()) args.residual = residual.data();
    args.residual_scale = p.residual_scale;
    args.residual_zero_point = p.residual_zero_point;
  }
  const torchq::GemmKernels& kernels = torchq::gemm_kernels(level);
  const auto prepare = to_float ? kernels.prepare_float : kernels.prepare_bytes;
  const int64_t column_panels = torchq::round_up(p.columns, 16) / 16;
  const Output<torchq::PanelParameters> parameters(column_panels, edge), second_parameters(column_panels, edge);
  args.bounded = prepare(args, parameters.data());
  args.parameters = parameters.data();
  const Output<uint8_t> scratch(kernels.scratch_bytes(p.taps, p.tap_bytes, p.group_width), edge, 64);
  args.scratch = scratch.data();
  GemmArgs second = torchq::rows_of(args, p.first_rows, p.rows - p.first_rows, sizeof(T));
  std::vector<int32_t> second_sums(static_cast<size_t>(p.columns));
  if (second.rows > 0) {
    second.taps -= 1;
    second.row_pointers += p.row_pitch;
    if (offsets.empty()) {
      second.panels += p.tap_bytes * torchq::kPanelColumns;
    } else {
      second.tap_offsets += 1;
    }
    kernels.sum_columns(second, second_sums.data());
    second.column_sums = second_sums.data();
    second.bounded = prepare(second, second_parameters.data());
    second.parameters = second_parameters.data();
    args.rows = p.first_rows;
    args.next = &second;
  }
  if (p.group_width > 0) {
    (to_float ? kernels.grouped_to_float : kernels.grouped_to_bytes)(args);
  } else {
    (to_float ? kernels.to_float : kernels.to_bytes)(args);
  }
  return to_float ? with_one_nan(output.bytes()) : output.bytes();
}

// The sums of rows and, over some of the taps, of columns.
inline std::vector<uint8_t> sums(const Product& p, const Packed& packed, Isa level, Edge edge) {
  const torchq::GemmKernels& kernels = torchq::gemm_kernels(level);
  const Input<uint8_t> a(p.a, edge);
  const Input<int8_t> panels(packed.panels, edge);
  const Input<int64_t> tap_offsets({p.taps / 2 * p.tap_bytes * torchq::kPanelColumns}, edge);
  GemmArgs args{};
  args.columns = p.columns;
  args.taps = 1;
  args.tap_bytes = p.tap_bytes;
  args.panels = panels.data();
  args.panel_bytes = p.taps * p.tap_bytes * torchq::kPanelColumns;
  args.tap_offsets = tap_offsets.data();
  const Output<int32_t> result(p.columns + 1, edge);
  kernels.sum_columns(args, result.data());
  result.data()[p.columns] = kernels.sum_bytes(a.data(), static_cast<int64_t>(p.a.size()), p.signed_input);
  return result.bytes();
}

inline std::string described(const Product& p) {
  return describe({{"rows", p.rows},
                   {"columns", p.columns},
                   {"taps", p.taps},
                   {"k", p.k},
                   {"first_rows", p.first_rows},
                   {"group_width", p.group_width},
                   {"signed_input", p.signed_input},
                   {"signed_output", p.signed_output},
                   {"relu", p.relu},
                   {"backwards", p.backwards},
                   {"asymmetric", !p.weight_zero_points.empty()},
                   {"residual", !p.residual.empty()},
                   {"bias", !p.bias.empty()}});
}

inline void check_outputs(Family& family, const Product& p, const Packed& packed) {
  family.check("to_bytes " + described(p),
               [&](Isa level, Edge edge) { return multiply<uint8_t>(p, packed, level, edge); });
  family.check("to_float " + described(p),
               [&](Isa level, Edge edge) { return multiply<float>(p, packed, level, edge); });
}

// Groups of `width` channels, side by side.
inline void check_grouped(Family& family, Random& random, int64_t width, int64_t groups, int64_t rows) {
  const int64_t taps = random.between(1, 4);
  const int64_t kernel[3] = {1, 1, taps};
  Product p = random_product(random, rows, width * groups, taps, width, Values::any);
  p.group_width = width;
  p.first_column = random.coin() ? 0 : 64;
  p.row_bytes = p.first_column + p.columns;
  p.a = bytes(random, rows * taps * p.row_bytes);
  p.tap_order.clear();
  const torchq::PackedHeader header = torchq::packed_header(groups, width, width, kernel, false);
  std::vector<uint8_t> packed(static_cast<size_t>(header.total_bytes()));
  torchq::pack_weight(header, p.weight.data(), nullptr, packed.data());
  const char* error;
  const torchq::PackedWeight view(packed.data(), header.total_bytes(), &error);
  check_outputs(family, p,
                {std::vector<int8_t>(view.panels(0), view.panels(0) + header.panels_bytes()),
                 std::vector<int32_t>(view.column_sums(0), view.column_sums(0) + p.columns)});
}

// Distances, for addresses are different from run to run.
inline void check_pointers(Family& family, Random& random, int64_t n) {
  const int64_t step = random.between(-1000, 1000);
  family.check(describe({{"pointers n", n}, {"step", step}}), [&](Isa level, Edge edge) {
    static const uint8_t origin = 0;
    const Output<const uint8_t*> pointers(n, edge, alignof(const uint8_t*));
    torchq::gemm_kernels(level).fill_pointers(&origin, step, n, pointers.data());
    const Output<int64_t> distances(n, edge, alignof(int64_t));
    for (int64_t i = 0; i < n; ++i)
      distances.data()[i] = reinterpret_cast<intptr_t>(pointers.data()[i]) - reinterpret_cast<intptr_t>(&origin);
    return distances.bytes();
  });
}

inline void check_product(Family& family, const Product& p) {
  const Packed packed = pack(family, p);
  check_outputs(family, p, packed);
  family.check("sums " + described(p), [&](Isa level, Edge edge) { return sums(p, packed, level, edge); });
}

inline void check_gemm(Family& family, Random& random) {
  for (const int64_t n : kLengths) check_pointers(family, random, n);
  static const std::vector<int64_t> all_rows = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 19};
  static const std::vector<int64_t> depths = {1, 3, 4, 5, 8, 12, 16, 31, 36, 64, 68};
  for (const int64_t columns : {1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 96, 97, 129})
    for (const int64_t rows : all_rows)
      for (const Values values : {Values::any, Values::seven_bits})
        check_product(family, random_product(random, rows, columns, 1, random.pick(depths), values));
  // Convolutions read a tap in place, four channels at a time.
  for (const int64_t columns : {1, 16, 33, 48, 64, 81})
    for (const int64_t rows : all_rows)
      for (const int64_t taps : {2, 9}) {
        const Values values = random.coin() ? Values::any : Values::seven_bits;
        const int64_t k = 4 * random.between(1, 5);
        check_product(family, random_product(random, rows, columns, taps, k, values));
      }
  // Enough rows for tiles that are stored while others are multiplied.
  for (const int64_t columns : {1, 2, 5, 15, 16, 17, 31, 32, 33, 48, 55, 64, 65, 129})
    for (const int64_t rows : {8, 17, 24, 32, 33, 39, 50, 66})
      for (const int64_t taps : {1, 2})
        check_product(family, plain_product(random, rows, columns, taps, 4 * random.between(1, 17)));
  for (const int64_t k : {256, 260}) check_product(family, plain_product(random, 33, 127, 1, k));
  for (const int64_t width : {4, 8, 16})
    for (const int64_t groups : {2, 3, 4, 5, 8, 16, 25})
      for (const int64_t rows : all_rows) check_grouped(family, random, width, groups, rows);
  // Rows with and without such activations, in parts that are worth it or not.
  for (const int64_t rows : {1, 7, 24, 40, 60})
    for (const int64_t columns : {17, 96, 200})
      for (const int64_t taps : {1, 4})
        for (const int64_t k : {4, 24, 96})
          check_product(family, random_product(random, rows, columns, taps, k, Values::rarely_more));
  // The largest sums that int32 holds: numerics.h's kMaxReduction, of 255 or -128 times -128.
  check_product(family, random_product(random, 2, 17, 1, 65793, Values::largest));
  check_product(family, random_product(random, 7, 66, 1, 200, Values::largest));
}

}  // namespace kernel_test
