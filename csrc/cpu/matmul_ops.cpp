// Floor 2. matmul: both factors are activations; the second is packed on the way.
#include <cstring>

#include "../numerics.h"
#include "gemm_driver.h"

namespace torchq {
namespace {

// One matrix of a batch, and how its elements lie in bytes.
struct Matrix {
  Tensor tensor;
  int64_t rows, columns, row_stride, column_stride;

  // The beginning of matrix `index` of the batch.
  const uint8_t* at(int64_t index) const {
    const uint8_t* data = data_of<uint8_t>(tensor);
    for (int64_t d = tensor.dim() - 3; d >= 0; --d) {
      data += index % tensor.size(d) * tensor.stride(d);
      index /= tensor.size(d);
    }
    return data;
  }
};

// `by_columns`: whether a matrix whose columns are contiguous serves as well as one whose rows are.
Matrix matrices(const Tensor& tensor, bool by_columns) {
  const int64_t dims = tensor.dim();
  const bool whole_rows = tensor.stride(dims - 1) == 1 || tensor.size(dims - 1) == 1;
  const bool whole_columns = tensor.stride(dims - 2) == 1 || tensor.size(dims - 2) == 1;
  const Tensor readable = whole_rows || (by_columns && whole_columns) ? tensor : torch::stable::contiguous(tensor);
  return {readable, tensor.size(dims - 2), tensor.size(dims - 1), readable.stride(dims - 2), readable.stride(dims - 1)};
}

struct Packed {
  std::vector<Line> panels;
  std::vector<int32_t> column_sums;
  std::vector<PanelParameters> parameters;
};

// Four k of sixteen columns, as pack.h lays a weight out; uint8 become int8 by a flip.
void pack_columns(const Matrix& b, const uint8_t* data, bool is_signed, Packed& packed) {
  const int64_t k = b.rows, n = b.columns, depth = round_up(k, 4);
  const int64_t panels = round_up(n, kPanelColumns) / kPanelColumns;
  packed.panels.resize(lines_of(panels * depth * kPanelColumns));
  const uint32_t flip = is_signed ? 0 : 0x80808080u;
  auto* to = reinterpret_cast<uint8_t*>(packed.panels.data());
  for (int64_t first = 0; first < n; first += kPanelColumns) {
    const int64_t columns = std::min(kPanelColumns, n - first);
    for (int64_t i = 0; i < depth; i += 4, to += 4 * kPanelColumns) {
      const int64_t part = std::min<int64_t>(4, k - i);
      for (int64_t column = 0; column < columns; ++column) {
        const uint8_t* from = data + i * b.row_stride + (first + column) * b.column_stride;
        uint32_t four = 0;
        if (b.row_stride == 1 && part == 4) {
          std::memcpy(&four, from, 4);
        } else {
          for (int64_t j = 0; j < part; ++j) four |= static_cast<uint32_t>(from[j * b.row_stride]) << (8 * j);
        }
        four ^= part == 4 ? flip : flip >> (8 * (4 - part));
        std::memcpy(to + 4 * column, &four, 4);
      }
      std::memset(to + 4 * columns, 0, static_cast<size_t>(4 * (kPanelColumns - columns)));
    }
  }
}

Tensor matmul_cpu(const Tensor& a, double a_scale, int64_t a_zero_point, const Tensor& b, double b_scale,
                  int64_t b_zero_point, double output_scale, int64_t output_zero_point) {
  constexpr const char* op = "matmul";
  check_cpu(op, "a", a);
  check_cpu(op, "b", b);
  const bool is_signed = check_bytes(op, "a", a.scalar_type());
  const Storage storage = storage_of_bytes(is_signed);
  check_dtype(op, "b", b, a.scalar_type());
  const int64_t dims = a.dim();
  TORCHQ_CHECK(dims >= 2 && b.dim() == dims, "torchq::", op,
               ": a and b must be [..., M, K] and [..., K, N] with the same number of dimensions, got ",
               shape_text(a.sizes()), " and ", shape_text(b.sizes()));
  std::vector<int64_t> size;
  int64_t batch = 1;
  for (int64_t d = 0; d < dims - 2; ++d) {
    TORCHQ_CHECK(a.size(d) == b.size(d), "torchq::", op, ": a and b must have the same batch dimensions, got ",
                 shape_text(a.sizes()), " and ", shape_text(b.sizes()));
    size.push_back(a.size(d));
    batch *= a.size(d);
  }
  const int64_t m = a.size(dims - 2), k = a.size(dims - 1), n = b.size(dims - 1);
  TORCHQ_CHECK(b.size(dims - 2) == k, "torchq::", op, ": the columns of a must be as many as the rows of b, got ",
               shape_text(a.sizes()), " and ", shape_text(b.sizes()));
  TORCHQ_CHECK(k >= 1 && k <= kMaxAsymmetricReduction, "torchq::", op, ": an output must sum over 1 to ",
               kMaxAsymmetricReduction, " products to be exact in int32, got ", k);
  size.push_back(m);
  size.push_back(n);
  GemmArgs args{};
  args.input_scale = check_scale(op, "a_scale", a_scale);
  args.input_zero_point = check_zero_point(op, "a_zero_point", a_zero_point, storage);
  args.output_scale = check_scale(op, "output_scale", output_scale);
  args.output_zero_point = check_zero_point(op, "output_zero_point", output_zero_point, storage);
  args.signed_input = args.signed_output = is_signed;
  const float scale = check_scale(op, "b_scale", b_scale);
  const int32_t zero = check_zero_point(op, "b_zero_point", b_zero_point, storage) - (is_signed ? 0 : 128);
  Tensor output = empty_contiguous(Sizes(size.data(), size.size()), a.scalar_type());
  if (output.numel() == 0) return output;
  const Matrix left = matrices(a, false), right = matrices(b, true);
  const std::vector<float> scales(static_cast<size_t>(n), scale);
  const std::vector<int32_t> zeros(static_cast<size_t>(n), zero);
  const int64_t padded = round_up(k, 4);
  args.columns = n;
  args.taps = 1;
  args.tap_bytes = padded;
  args.panel_bytes = padded * kPanelColumns;
  args.weight_scales = scales.data();
  args.weight_zero_points = zero == 0 ? nullptr : zeros.data();
  args.output_stride = n;
  auto* to = output_of<uint8_t>(output);
  const GemmKernels& kernels = gemm_kernels(current_isa());
  const auto run = [&](int64_t begin, int64_t end) {
    Packed packed;
    packed.column_sums.resize(static_cast<size_t>(n));
    packed.parameters.resize(static_cast<size_t>(round_up(n, kPanelColumns) / kPanelColumns));
    for (int64_t index = begin; index < end; ++index) {
      GemmArgs product = args;
      pack_columns(right, right.at(index), is_signed, packed);
      product.panels = reinterpret_cast<const int8_t*>(packed.panels.data());
      kernels.sum_columns(product, packed.column_sums.data());
      product.column_sums = packed.column_sums.data();
      product.bounded = kernels.prepare_bytes(product, packed.parameters.data());
      product.parameters = packed.parameters.data();
      product.output = to + index * m * n;
      const uint8_t* rows = left.at(index);
      run_gemm(product, {1, m}, k, false, [&](int64_t, int64_t first, int64_t count, Chunk& chunk) {
        point_at_rows(rows, k, left.row_stride, first, count, chunk);
        return first * n;
      });
    }
  };
  parallel_ranges(batch, std::max<int64_t>(1, kSerialMacs / (m * k * n)), run);
  return output;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) { m.impl("matmul", TORCH_BOX(&torchq::matmul_cpu)); }
