// Floor 2. add, mul, relu, clamp, lookup, prelu, cat.
#include <cstring>

#include "../numerics.h"
#include "elementwise/elementwise.h"
#include "runs.h"
#include "tensors.h"

namespace torchq {
namespace {

// Two tensors of one shape, in whatever order serves: both operations commute.
struct Operands {
  Tensor lead;   // dense
  Tensor other;  // of any strides
  bool swapped;
};

Operands operands(const char* op, const Tensor& a, const Tensor& b) {
  check_cpu(op, "a", a);
  check_cpu(op, "b", b);
  check_bytes(op, "a", a.scalar_type());
  check_dtype(op, "b", b, a.scalar_type());
  TORCHQ_CHECK(same(a.sizes(), b.sizes()), "torchq::", op, ": a and b must have the same shape, got ",
               shape_text(a.sizes()), " and ", shape_text(b.sizes()));
  // An expanded operand is read as it is.
  if (dense_order(a).empty() && !dense_order(b).empty()) return {b, a, true};
  return {dense(a), b, false};
}

Operand operand(const char* op, const char* scale_name, double scale, const char* zero_name, int64_t zero_point,
                Storage storage) {
  return {nullptr, check_scale(op, scale_name, scale),
          static_cast<float>(check_zero_point(op, zero_name, zero_point, storage))};
}

ByteOutput byte_output(const char* op, double scale, int64_t zero_point, bool relu, Storage storage) {
  const float inverse = 1.0f / check_scale(op, "output_scale", scale);
  const int32_t zero = check_zero_point(op, "output_zero_point", zero_point, storage);
  return {inverse, zero, relu ? zero : static_cast<int32_t>(range_of(storage).lowest), storage == Storage::s8};
}

// kernel(a, b, n, y) over runs of both operands.
template <typename Kernel>
Tensor combine(const Operands& both, Operand a, Operand b, const Kernel& kernel) {
  Tensor y = empty_strided(both.lead.sizes(), both.lead.strides(), both.lead.scalar_type());
  const auto* lead = data_of<uint8_t>(both.lead);
  auto* output = output_of<uint8_t>(y);
  if (both.swapped) std::swap(a, b);
  for_each_common_run(both.lead, both.other, [&](const uint8_t* other, int64_t offset, int64_t length) {
    kernel({lead + offset, a.scale, a.zero_point}, {other, b.scale, b.zero_point}, length, output + offset);
  });
  return y;
}

Tensor add_cpu(const Tensor& a, double a_scale, int64_t a_zero_point, const Tensor& b, double b_scale,
               int64_t b_zero_point, double output_scale, int64_t output_zero_point, bool relu) {
  constexpr const char* op = "add";
  const Operands both = operands(op, a, b);
  const Storage storage = storage_of_bytes(a.scalar_type() == ScalarType::Char);
  const Operand left = operand(op, "a_scale", a_scale, "a_zero_point", a_zero_point, storage);
  const Operand right = operand(op, "b_scale", b_scale, "b_zero_point", b_zero_point, storage);
  const ByteOutput output = byte_output(op, output_scale, output_zero_point, relu, storage);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  return combine(both, left, right,
                 [&](const Operand& x, const Operand& y, int64_t n, uint8_t* to) { kernels.add(x, y, n, output, to); });
}

Tensor mul_cpu(const Tensor& a, double a_scale, int64_t a_zero_point, const Tensor& b, double b_scale,
               int64_t b_zero_point, double output_scale, int64_t output_zero_point, bool relu) {
  constexpr const char* op = "mul";
  const Operands both = operands(op, a, b);
  const Storage storage = storage_of_bytes(a.scalar_type() == ScalarType::Char);
  const Operand left = operand(op, "a_scale", a_scale, "a_zero_point", a_zero_point, storage);
  const Operand right = operand(op, "b_scale", b_scale, "b_zero_point", b_zero_point, storage);
  const ByteOutput output = byte_output(op, output_scale, output_zero_point, relu, storage);
  const float multiplier = left.scale * right.scale / static_cast<float>(output_scale);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  return combine(both, left, right, [&](const Operand& x, const Operand& y, int64_t n, uint8_t* to) {
    kernels.mul(x, y, n, multiplier, output, to);
  });
}

// kernel(q, n, y) over all bytes of a tensor, to a result of `dtype` laid out as it is.
template <typename Kernel>
Tensor map_bytes(const Tensor& input, ScalarType dtype, const Kernel& kernel) {
  const Tensor x = dense(input);
  Tensor y = empty_strided(x.sizes(), x.strides(), dtype);
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  parallel_ranges(x.numel(), kSerialElements,
                  [&](int64_t begin, int64_t end) { kernel(from + begin, end - begin, to + begin); });
  return y;
}

Tensor clamp_bytes(const Tensor& input, int32_t lowest, int32_t highest) {
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  const bool is_signed = input.scalar_type() == ScalarType::Char;
  return map_bytes(input, input.scalar_type(), [&](const uint8_t* q, int64_t n, uint8_t* y) {
    kernels.clamp(q, n, lowest, highest, is_signed, y);
  });
}

Tensor relu_cpu(const Tensor& input, int64_t zero_point) {
  const Storage storage = storage_of_bytes(check_input("relu", input));
  return clamp_bytes(input, check_zero_point("relu", "zero_point", zero_point, storage),
                     static_cast<int32_t>(range_of(storage).highest));
}

Tensor clamp_cpu(const Tensor& input, int64_t lowest, int64_t highest) {
  const Storage storage = storage_of_bytes(check_input("clamp", input));
  const int32_t low = check_zero_point("clamp", "lowest", lowest, storage);
  const int32_t high = check_zero_point("clamp", "highest", highest, storage);
  TORCHQ_CHECK(low <= high, "torchq::clamp: lowest must not exceed highest, got ", lowest, " and ", highest);
  return clamp_bytes(input, low, high);
}

// The table by the value of the byte instead of by its rank in the dtype's range.
struct Table {
  uint8_t bytes[256];
};
Table by_byte(const uint8_t* table, bool signed_input) {
  Table result;
  for (int i = 0; i < 256; ++i) result.bytes[i] = table[signed_input ? (i + 128) & 255 : i];
  return result;
}

Tensor lookup_cpu(const Tensor& input, const Tensor& table) {
  constexpr const char* op = "lookup";
  const Storage storage = storage_of_bytes(check_input(op, input));
  check_cpu(op, "table", table);
  check_bytes(op, "table", table.scalar_type());
  TORCHQ_CHECK(table.dim() == 1 && table.numel() == 256 && table.is_contiguous(), "torchq::", op,
               ": table must be contiguous of shape [256], got ", shape_text(table.sizes()));
  const Table bytes = by_byte(data_of<uint8_t>(table), storage == Storage::s8);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  return map_bytes(input, table.scalar_type(),
                   [&](const uint8_t* q, int64_t n, uint8_t* y) { kernels.lookup(q, n, bytes.bytes, y); });
}

Tensor prelu_cpu(const Tensor& input, double input_scale, int64_t input_zero_point, const Tensor& weight,
                 double output_scale, int64_t output_zero_point) {
  constexpr const char* op = "prelu";
  const Storage storage = storage_of_bytes(check_input(op, input));
  TORCHQ_CHECK(input.dim() >= 2, "torchq::", op, ": input must be [N, C, *], got ", input.dim(), " dimensions");
  check_cpu(op, "weight", weight);
  check_dtype(op, "weight", weight, ScalarType::Float);
  const int64_t channels = input.size(1);
  TORCHQ_CHECK(weight.dim() == 1 && (weight.numel() == 1 || weight.numel() == channels) && weight.is_contiguous(),
               "torchq::", op, ": weight must be contiguous of shape [1] or [", channels, "], got ",
               shape_text(weight.sizes()));
  Operand q = operand(op, "input_scale", input_scale, "input_zero_point", input_zero_point, storage);
  const ByteOutput output = byte_output(op, output_scale, output_zero_point, false, storage);
  std::vector<float> negative_scale(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c)
    negative_scale[c] = q.scale * data_of<float>(weight)[weight.numel() == 1 ? 0 : c];
  const Tensor x = channels_last(input);
  Tensor y = empty_channels_last(x.sizes(), x.scalar_type());
  const auto* from = data_of<uint8_t>(x);
  auto* to = output_of<uint8_t>(y);
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  const int64_t pixels = channels == 0 ? 0 : x.numel() / channels;
  parallel_ranges(pixels, kSerialElements / std::max<int64_t>(1, channels) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      Operand row = q;
      row.q = from + pixel * channels;
      kernels.prelu(row, channels, negative_scale.data(), output, to + pixel * channels);
    }
  });
  return y;
}

// What quantizing the dequantized value gives, for each byte.
Table requantized(float scale, int32_t zero_point, float output_scale, int32_t output_zero_point, Storage storage) {
  const Range range = range_of(storage);
  const float inverse = 1.0f / output_scale;
  Table table;
  for (int64_t q = range.lowest; q <= range.highest; ++q) {
    const float value = static_cast<float>(q - zero_point) * scale;
    const int64_t rounded = round_to_int32(std::fma(value, inverse, static_cast<float>(output_zero_point)));
    table.bytes[q & 255] = static_cast<uint8_t>(std::clamp(rounded, range.lowest, range.highest));
  }
  return table;
}

// Rows of `length` bytes that lie one behind the other, to rows `stride` apart.
void copy_rows(const uint8_t* from, int64_t length, int64_t rows, uint8_t* to, int64_t stride) {
  // A short row is copied without a call, but for its last bytes.
  const int64_t sixteens = length <= 256 ? length / 16 * 16 : 0;
  for (int64_t row = 0; row < rows; ++row, from += length, to += stride) {
    for (int64_t i = 0; i < sixteens; i += 16) std::memcpy(to + i, from + i, 16);
    if (sixteens < length) std::memcpy(to + sixteens, from + sixteens, static_cast<size_t>(length - sixteens));
  }
}

// What a tensor is of each row of the result.
struct Part {
  Tensor x;
  const uint8_t* bytes;  // of x
  int64_t length, at;    // in bytes
  bool copied;           // else looked up
  Table table;
};

// A few rows of all tensors at a time: those of one tensor may be parts of a cache line, and of a vector.
void join_rows(const std::vector<Part>& parts, int64_t row_bytes, int64_t rows, uint8_t* to) {
  const ElementwiseKernels& kernels = elementwise_kernels(current_isa());
  if (row_bytes == 0) return;
  parallel_ranges(rows, std::max<int64_t>(1, kSerialElements / row_bytes), [&](int64_t begin, int64_t end) {
    uint8_t buffer[4096];
    const int64_t most = std::max<int64_t>(1, static_cast<int64_t>(sizeof buffer) / row_bytes);
    for (int64_t j = begin, together; j < end; j += together) {
      together = std::min(most, end - j);
      for (const Part& part : parts) {
        const uint8_t* from = part.bytes + j * part.length;
        uint8_t* place = to + j * row_bytes + part.at;
        if (part.copied) {
          copy_rows(from, part.length, together, place, row_bytes);
        } else if (together == 1) {
          kernels.lookup(from, part.length, part.table.bytes, place);
        } else {
          kernels.lookup(from, together * part.length, part.table.bytes, buffer);
          copy_rows(buffer, part.length, together, place, row_bytes);
        }
      }
    }
  });
}

Tensor cat_cpu(const std::vector<Tensor>& tensors, const std::vector<double>& scales,
               const std::vector<int64_t>& zero_points, int64_t dim, double output_scale, int64_t output_zero_point) {
  constexpr const char* op = "cat";
  TORCHQ_CHECK(!tensors.empty(), "torchq::cat: tensors must not be empty");
  TORCHQ_CHECK(scales.size() == tensors.size() && zero_points.size() == tensors.size(),
               "torchq::cat: there must be a scale and a zero point for each of ", tensors.size(), " tensors, got ",
               scales.size(), " and ", zero_points.size());
  const Tensor& first = tensors[0];
  const Storage storage = storage_of_bytes(check_bytes(op, "tensors", first.scalar_type()));
  const int64_t dims = first.dim();
  TORCHQ_CHECK(dims >= 1 && dim >= -dims && dim < dims, "torchq::cat: dim must lie in [", -dims, ", ", dims - 1,
               "] for tensors of ", dims, " dimensions, got ", dim);
  if (dim < 0) dim += dims;
  const float scale = check_scale(op, "output_scale", output_scale);
  const int32_t zero = check_zero_point(op, "output_zero_point", output_zero_point, storage);
  const Sizes sizes = first.sizes();
  std::vector<int64_t> size(sizes.begin(), sizes.end());
  size[dim] = 0;
  for (const Tensor& tensor : tensors) {
    check_cpu(op, "tensors", tensor);
    check_dtype(op, "tensors", tensor, first.scalar_type());
    TORCHQ_CHECK(tensor.dim() == dims, "torchq::cat: all tensors must have ", dims, " dimensions, got ", tensor.dim());
    for (int64_t d = 0; d < dims; ++d)
      TORCHQ_CHECK(d == dim || tensor.size(d) == first.size(d),
                   "torchq::cat: the tensors must agree in all dimensions ", "but dim ", dim, ", got ",
                   shape_text(first.sizes()), " and ", shape_text(tensor.sizes()));
    size[dim] += tensor.size(dim);
  }
  // Images whose channels are innermost stay so.
  const bool as_pixels = dims >= 3 && is_channels_last(first);
  Tensor y = as_pixels ? empty_channels_last(Sizes(size.data(), size.size()), first.scalar_type())
                       : empty_contiguous(Sizes(size.data(), size.size()), first.scalar_type());
  std::vector<int64_t> order;  // of the dimensions in memory
  for (int64_t d = 0; d < dims; ++d)
    if (!as_pixels || d != 1) order.push_back(d);
  if (as_pixels) order.push_back(1);
  int64_t inner = 1, outer = 1;
  bool inside = false;
  for (const int64_t d : order) {
    if (d == dim) {
      inside = true;
    } else {
      (inside ? inner : outer) *= size[d];
    }
  }
  std::vector<Part> parts;
  int64_t row_bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const float input_scale = check_scale(op, "each of scales", scales[i]);
    const int32_t input_zero = check_zero_point(op, "each of zero_points", zero_points[i], storage);
    const int64_t length = tensors[i].size(dim) * inner;
    const Tensor x = as_pixels ? channels_last(tensors[i]) : torch::stable::contiguous(tensors[i]);
    const bool copied = input_scale == scale && input_zero == zero;
    parts.push_back({x, data_of<uint8_t>(x), length, row_bytes, copied,
                     copied ? Table{} : requantized(input_scale, input_zero, scale, zero, storage)});
    row_bytes += length;
  }
  join_rows(parts, row_bytes, outer, output_of<uint8_t>(y));
  return y;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("add", TORCH_BOX(&torchq::add_cpu));
  m.impl("mul", TORCH_BOX(&torchq::mul_cpu));
  m.impl("relu", TORCH_BOX(&torchq::relu_cpu));
  m.impl("clamp", TORCH_BOX(&torchq::clamp_cpu));
  m.impl("lookup", TORCH_BOX(&torchq::lookup_cpu));
  m.impl("prelu", TORCH_BOX(&torchq::prelu_cpu));
  m.impl("cat", TORCH_BOX(&torchq::cat_cpu));
}
