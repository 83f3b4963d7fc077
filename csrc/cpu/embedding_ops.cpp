// Floor 2. embedding_bag over rows of 8 or 4 bits.
#include "embedding/embedding.h"

#include <cstring>

#include "tensors.h"

namespace torchq {
namespace {

enum Mode : int64_t { kSum = 0, kMean = 1 };

// A row's bytes, then its scale and its bias: float32 for 8 bits, float16 for 4.
struct Row {
  const uint8_t* bytes;
  float scale, bias;
};

struct Rows {
  const uint8_t* data;
  int64_t count, row_bytes, value_bytes;
  bool halves;

  Row at(int64_t index) const {
    Row row{data + index * row_bytes, 0.0f, 0.0f};
    if (!halves) {
      std::memcpy(&row.scale, row.bytes + value_bytes, 4);
      std::memcpy(&row.bias, row.bytes + value_bytes + 4, 4);
    } else {
      torch::headeronly::Half values[2];
      std::memcpy(values, row.bytes + value_bytes, 4);
      row.scale = static_cast<float>(values[0]);
      row.bias = static_cast<float>(values[1]);
    }
    return row;
  }
};

std::vector<int64_t> integers_of(const char* op, const char* name, const Tensor& tensor) {
  check_cpu(op, name, tensor);
  TORCHQ_CHECK(tensor.dim() == 1, "torchq::", op, ": ", name, " must have 1 dimension, got ", tensor.dim());
  const Tensor plain = torch::stable::contiguous(tensor);
  const int64_t n = plain.numel();
  if (plain.scalar_type() == ScalarType::Int) {
    const auto* values = data_of<int32_t>(plain);
    return std::vector<int64_t>(values, values + n);
  }
  TORCHQ_CHECK(plain.scalar_type() == ScalarType::Long, "torchq::", op, ": ", name, " must be int32 or int64, got ",
               dtype_name(plain.scalar_type()));
  const auto* values = data_of<int64_t>(plain);
  return std::vector<int64_t>(values, values + n);
}

Tensor embedding_bag_cpu(const Tensor& packed_weight, int64_t bits, const Tensor& indices, const Tensor& offsets,
                         std::optional<Tensor> per_sample_weights, int64_t mode) {
  constexpr const char* op = "embedding_bag";
  check_cpu(op, "packed_weight", packed_weight);
  check_dtype(op, "packed_weight", packed_weight, ScalarType::Byte);
  TORCHQ_CHECK(bits == 8 || bits == 4, "torchq::", op, ": bits must be 8 or 4, got ", bits);
  const int64_t parameters = bits == 8 ? 8 : 4;
  TORCHQ_CHECK(packed_weight.dim() == 2 && packed_weight.is_contiguous() && packed_weight.size(1) > parameters,
               "torchq::", op, ": packed_weight must be contiguous [rows, bytes of a row], got ",
               shape_text(packed_weight.sizes()));
  TORCHQ_CHECK(mode == kSum || mode == kMean, "torchq::", op, ": mode must be 0 (sum) or 1 (mean), got ", mode);
  const int64_t value_bytes = packed_weight.size(1) - parameters;
  const Rows rows{data_of<uint8_t>(packed_weight), packed_weight.size(0), packed_weight.size(1), value_bytes,
                  bits == 4};
  const std::vector<int64_t> index = integers_of(op, "indices", indices);
  const std::vector<int64_t> offset = integers_of(op, "offsets", offsets);
  const int64_t n = static_cast<int64_t>(index.size()), bags = static_cast<int64_t>(offset.size()) - 1;
  TORCHQ_CHECK(bags >= 0 && offset.front() == 0 && offset.back() == n, "torchq::", op,
               ": offsets must begin with 0 and end with the ", n, " indices");
  for (int64_t bag = 0; bag < bags; ++bag)
    TORCHQ_CHECK(offset[bag] <= offset[bag + 1], "torchq::", op, ": offsets must not decrease, got ", offset[bag],
                 " before ", offset[bag + 1]);
  for (const int64_t i : index)
    TORCHQ_CHECK(i >= 0 && i < rows.count, "torchq::", op, ": each of indices must lie in [0, ", rows.count - 1,
                 "], got ", i);
  const float* weights = nullptr;
  Tensor plain_weights = indices;
  if (per_sample_weights.has_value()) {
    check_cpu(op, "per_sample_weights", *per_sample_weights);
    check_dtype(op, "per_sample_weights", *per_sample_weights, ScalarType::Float);
    TORCHQ_CHECK(per_sample_weights->dim() == 1 && per_sample_weights->numel() == n, "torchq::", op,
                 ": per_sample_weights must have one entry per index, ", n, ", got ",
                 shape_text(per_sample_weights->sizes()));
    TORCHQ_CHECK(mode == kSum, "torchq::", op, ": per_sample_weights go with mode 0 (sum), got ", mode);
    plain_weights = torch::stable::contiguous(*per_sample_weights);
    weights = data_of<float>(plain_weights);
  }
  const int64_t columns = value_bytes * (8 / bits);
  Tensor output = empty_contiguous(Sizes({bags, columns}), ScalarType::Float);
  auto* to = output_of<float>(output);
  const EmbeddingKernels& kernels = embedding_kernels(current_isa());
  const auto add = rows.halves ? kernels.add_halves : kernels.add_bytes;
  constexpr int64_t kAhead = 16;
  parallel_ranges(bags, kSerialElements / columns + 1, [&](int64_t begin, int64_t end) {
    for (int64_t bag = begin; bag < end; ++bag) {
      float* sums = to + bag * columns;
      std::fill(sums, sums + columns, 0.0f);
      const int64_t count = offset[bag + 1] - offset[bag];
      const float share = mode == kMean && count > 0 ? 1.0f / static_cast<float>(count) : 1.0f;
      for (int64_t i = offset[bag]; i < offset[bag + 1]; ++i) {
        if (i + kAhead < n) __builtin_prefetch(rows.data + index[i + kAhead] * rows.row_bytes);
        const Row row = rows.at(index[i]);
        add(row.bytes, columns, row.scale, row.bias, weights != nullptr ? weights[i] : share, sums);
      }
    }
  });
  return output;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) { m.impl("embedding_bag", TORCH_BOX(&torchq::embedding_bag_cpu)); }
