// Floor 2. lstm_dynamic and gru_dynamic: one layer in one direction. The products with the input are one matrix product
// over all steps; the hidden state is quantized and multiplied step by step, while its weight stays in the cache.
#include "recurrent/recurrent.h"

#include <cstring>
#include <string>
#include <tuple>

#include "dynamic_linear.h"

namespace torchq {
namespace {

// How the rows of the input belong to steps.
struct Steps {
  std::vector<int64_t> first;  // [steps + 1], the first row of each
  int64_t count() const { return static_cast<int64_t>(first.size()) - 1; }
  int64_t rows(int64_t step) const { return first[step + 1] - first[step]; }
};

// input: [T, B, I], or [rows, I] with the rows of each step in `batch_sizes`, which do not increase.
Steps steps_of(const char* op, const Tensor& input, const std::vector<int64_t>& batch_sizes, int64_t batch) {
  Steps steps{{0}};
  if (batch_sizes.empty()) {
    TORCHQ_CHECK(input.dim() == 3 && input.size(1) == batch, "torchq::", op, ": input must be [T, ", batch,
                 ", I] for a hidden state of ", batch, " rows, got ", shape_text(input.sizes()));
    for (int64_t step = 0; step < input.size(0); ++step) steps.first.push_back(steps.first.back() + batch);
    return steps;
  }
  TORCHQ_CHECK(input.dim() == 2, "torchq::", op, ": input must be [rows, I] with batch_sizes, got ",
               shape_text(input.sizes()));
  int64_t before = batch;
  for (const int64_t size : batch_sizes) {
    TORCHQ_CHECK(size >= 1 && size <= before, "torchq::", op,
                 ": batch_sizes must not increase, and lie in [1, rows of the hidden state], got ", size, " after ",
                 before);
    before = size;
    steps.first.push_back(steps.first.back() + size);
  }
  TORCHQ_CHECK(batch_sizes[0] == batch && steps.first.back() == input.size(0), "torchq::", op,
               ": batch_sizes must begin with the ", batch, " rows of the hidden state and add up to the input's ",
               input.size(0), ", got ", batch_sizes[0], " and ", steps.first.back());
  return steps;
}

// The weights of a cell with `gates` gates.
struct Cell {
  DynamicLinear input, hidden;
};

struct CellArgs {
  const char* op;
  const Tensor &packed_ih, &scales_ih;
  const std::optional<Tensor>& bias_ih;
  const Tensor &packed_hh, &scales_hh;
  const std::optional<Tensor>& bias_hh;
  bool per_token, reduce_range;
};

// Errors say which of the weights they are about.
DynamicLinear product(const CellArgs& args, const char* which, const Tensor& packed, const Tensor& scales,
                      const std::optional<Tensor>& bias) {
  const std::string op = std::string(args.op) + " (" + which + ")";
  return {op.c_str(), check_weight(op.c_str(), packed, scales, bias), args.per_token, args.reduce_range, false};
}

Cell make_cell(const CellArgs& args) {
  return {product(args, "ih", args.packed_ih, args.scales_ih, args.bias_ih),
          product(args, "hh", args.packed_hh, args.scales_hh, args.bias_hh)};
}

// A state [B, width] of float32, copied, so that it can be carried on from step to step.
Tensor copied_state(const char* op, const char* name, const Tensor& state, int64_t width) {
  check_cpu(op, name, state);
  check_dtype(op, name, state, ScalarType::Float);
  TORCHQ_CHECK(state.dim() == 2 && state.size(1) == width, "torchq::", op, ": ", name, " must be [B, ", width,
               "], got ", shape_text(state.sizes()));
  const Tensor plain = torch::stable::contiguous(state);
  Tensor copy = empty_contiguous(plain.sizes(), ScalarType::Float);
  if (plain.numel() > 0)
    std::memcpy(copy.mutable_data_ptr(), data_of<float>(plain), static_cast<size_t>(plain.numel()) * sizeof(float));
  return copy;
}

void check_cell(const char* op, const Tensor& input, const Cell& cell, int64_t gates, int64_t state_width) {
  check_cpu(op, "input", input);
  check_dtype(op, "input", input, ScalarType::Float);
  const PackedHeader &ih = cell.input.header().packed, &hh = cell.hidden.header().packed;
  TORCHQ_CHECK(ih.columns % gates == 0 && ih.columns == hh.columns, "torchq::", op, ": both weights must have ", gates,
               " times the hidden size of rows, got ", ih.columns, " and ", hh.columns);
  TORCHQ_CHECK(hh.k == state_width, "torchq::", op, ": the hidden state's weight must have ", state_width,
               " columns, got ", hh.k);
  TORCHQ_CHECK(input.dim() >= 2 && input.size(input.dim() - 1) == ih.k, "torchq::", op,
               ": input's last dimension must be ", ih.k, " as the weight's, got ", shape_text(input.sizes()));
}

// The products of all steps with the input, then step(rows, products, hidden products, row of the output) for each.
template <typename Step>
void run_steps(const Cell& cell, const Tensor& input, const Steps& steps, const Tensor& hidden, bool reverse,
               const Step& step) {
  const int64_t columns = cell.input.header().packed.columns;
  const Tensor x = torch::stable::contiguous(input);
  std::vector<float> products(static_cast<size_t>(steps.first.back() * columns));
  cell.input.run(data_of<float>(x), steps.first.back(), products.data());
  std::vector<float> carried(static_cast<size_t>(hidden.size(0) * columns));
  for (int64_t i = 0; i < steps.count(); ++i) {
    const int64_t t = reverse ? steps.count() - 1 - i : i;
    // To and fro: half of a weight as large as the cache is then still there.
    cell.hidden.run(data_of<float>(hidden), steps.rows(t), carried.data(), i % 2 == 1);
    step(steps.rows(t), products.data() + steps.first[t] * columns, carried.data(), steps.first[t]);
  }
}

Tensor empty_steps(const Tensor& input, int64_t width) {
  const Sizes sizes = input.sizes();
  std::vector<int64_t> size(sizes.begin(), sizes.end());
  size.back() = width;
  return empty_contiguous(Sizes(size.data(), size.size()), ScalarType::Float);
}

std::tuple<Tensor, Tensor, Tensor> lstm_dynamic_cpu(const Tensor& input, const Tensor& hidden, const Tensor& cell,
                                                    const Tensor& packed_ih, const Tensor& scales_ih,
                                                    std::optional<Tensor> bias_ih, const Tensor& packed_hh,
                                                    const Tensor& scales_hh, std::optional<Tensor> bias_hh,
                                                    std::optional<Tensor> packed_hr, std::optional<Tensor> scales_hr,
                                                    const std::vector<int64_t>& batch_sizes, bool reverse,
                                                    bool per_token, bool reduce_range) {
  constexpr const char* op = "lstm_dynamic";
  const CellArgs args{op, packed_ih, scales_ih, bias_ih, packed_hh, scales_hh, bias_hh, per_token, reduce_range};
  const Cell weights = make_cell(args);
  TORCHQ_CHECK(packed_hr.has_value() == scales_hr.has_value(), "torchq::", op, ": packed_hr and scales_hr go together");
  const int64_t width = weights.input.header().packed.columns / 4;
  std::optional<DynamicLinear> projection;
  if (packed_hr.has_value()) {
    projection.emplace(product(args, "hr", *packed_hr, *scales_hr, std::nullopt));
    TORCHQ_CHECK(projection->header().packed.k == width, "torchq::", op, ": the projection must have ", width,
                 " columns, got ", projection->header().packed.k);
  }
  const int64_t output_width = projection.has_value() ? projection->header().packed.columns : width;
  check_cell(op, input, weights, 4, output_width);
  Tensor h = copied_state(op, "hidden", hidden, output_width), c = copied_state(op, "cell", cell, width);
  TORCHQ_CHECK(c.size(0) == h.size(0), "torchq::", op, ": hidden and cell must have the same number of rows, got ",
               h.size(0), " and ", c.size(0));
  const Steps steps = steps_of(op, input, batch_sizes, h.size(0));
  Tensor output = empty_steps(input, output_width);
  const RecurrentKernels& kernels = recurrent_kernels(current_isa());
  std::vector<float> unprojected(static_cast<size_t>(projection.has_value() ? h.size(0) * width : 0));
  auto *h_data = output_of<float>(h), *c_data = output_of<float>(c), *y = output_of<float>(output);
  run_steps(weights, input, steps, h, reverse, [&](int64_t rows, const float* x, const float* carried, int64_t first) {
    float* to = projection.has_value() ? unprojected.data() : h_data;
    for (int64_t row = 0; row < rows; ++row)
      kernels.lstm(x + row * 4 * width, carried + row * 4 * width, width, c_data + row * width, to + row * width);
    if (projection.has_value()) projection->run(to, rows, h_data);
    std::memcpy(y + first * output_width, h_data, static_cast<size_t>(rows * output_width) * sizeof(float));
  });
  return {output, h, c};
}

std::tuple<Tensor, Tensor> gru_dynamic_cpu(const Tensor& input, const Tensor& hidden, const Tensor& packed_ih,
                                           const Tensor& scales_ih, std::optional<Tensor> bias_ih,
                                           const Tensor& packed_hh, const Tensor& scales_hh,
                                           std::optional<Tensor> bias_hh, const std::vector<int64_t>& batch_sizes,
                                           bool reverse, bool per_token, bool reduce_range) {
  constexpr const char* op = "gru_dynamic";
  const Cell weights =
      make_cell({op, packed_ih, scales_ih, bias_ih, packed_hh, scales_hh, bias_hh, per_token, reduce_range});
  const int64_t width = weights.input.header().packed.columns / 3;
  check_cell(op, input, weights, 3, width);
  Tensor h = copied_state(op, "hidden", hidden, width);
  const Steps steps = steps_of(op, input, batch_sizes, h.size(0));
  Tensor output = empty_steps(input, width);
  const RecurrentKernels& kernels = recurrent_kernels(current_isa());
  auto *h_data = output_of<float>(h), *y = output_of<float>(output);
  run_steps(weights, input, steps, h, reverse, [&](int64_t rows, const float* x, const float* carried, int64_t first) {
    for (int64_t row = 0; row < rows; ++row)
      kernels.gru(x + row * 3 * width, carried + row * 3 * width, width, h_data + row * width, h_data + row * width);
    std::memcpy(y + first * width, h_data, static_cast<size_t>(rows * width) * sizeof(float));
  });
  return {output, h};
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("lstm_dynamic", TORCH_BOX(&torchq::lstm_dynamic_cpu));
  m.impl("gru_dynamic", TORCH_BOX(&torchq::gru_dynamic_cpu));
}
