// Floor 2. What the operators share: checks with messages, allocation, memory layout, threads.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "quantize/quantize.h"

namespace torchq {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Sizes = torch::headeronly::IntHeaderOnlyArrayRef;

// Products, or elements, up to which a second thread is not worth its start of about a microsecond.
constexpr int64_t kSerialMacs = 5'000'000;
constexpr int64_t kSerialElements = 65'536;

// Throws a RuntimeError whose message is the parts after the condition, put together.
#define TORCHQ_CHECK(condition, ...)               \
  do {                                             \
    if (!(condition)) ::torchq::fail(__VA_ARGS__); \
  } while (false)

template <typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw std::runtime_error(message.str());
}

inline const char* dtype_name(ScalarType dtype) {
  switch (dtype) {
    case ScalarType::Byte:
      return "uint8";
    case ScalarType::Char:
      return "int8";
    case ScalarType::Int:
      return "int32";
    case ScalarType::Long:
      return "int64";
    case ScalarType::Float:
      return "float32";
    case ScalarType::Double:
      return "float64";
    case ScalarType::Half:
      return "float16";
    case ScalarType::BFloat16:
      return "bfloat16";
    case ScalarType::Bool:
      return "bool";
    default:
      return torch::headeronly::toString(dtype);
  }
}

inline void check_cpu(const char* op, const char* name, const Tensor& tensor) {
  TORCHQ_CHECK(tensor.is_cpu(), "torchq::", op, ": ", name, " must be on the CPU like the input");
}

inline void check_dtype(const char* op, const char* name, const Tensor& tensor, ScalarType expected) {
  TORCHQ_CHECK(tensor.scalar_type() == expected, "torchq::", op, ": ", name, " must be ", dtype_name(expected),
               ", got ", dtype_name(tensor.scalar_type()));
}

// Returns whether the tensor holds int8; refuses what is neither uint8 nor int8.
inline bool check_bytes(const char* op, const char* name, ScalarType dtype) {
  TORCHQ_CHECK(dtype == ScalarType::Byte || dtype == ScalarType::Char, "torchq::", op, ": ", name,
               " must be uint8 or int8, got ", dtype_name(dtype));
  return dtype == ScalarType::Char;
}

// The same of an input on the CPU.
inline bool check_input(const char* op, const Tensor& input) {
  check_cpu(op, "input", input);
  return check_bytes(op, "input", input.scalar_type());
}

inline Storage check_storage(const char* op, const char* name, ScalarType dtype) {
  if (dtype == ScalarType::Int) return Storage::s32;
  TORCHQ_CHECK(dtype == ScalarType::Byte || dtype == ScalarType::Char, "torchq::", op, ": ", name,
               " must be uint8, int8 or int32, got ", dtype_name(dtype));
  return dtype == ScalarType::Char ? Storage::s8 : Storage::u8;
}

// Windows and sizes given as arguments stay below this, so that no arithmetic on them overflows.
constexpr int64_t kMaxExtent = INT32_MAX;

struct Range {
  int64_t lowest, highest;
};
inline Range range_of(Storage storage) {
  if (storage == Storage::u8) return {0, 255};
  if (storage == Storage::s8) return {-128, 127};
  return {INT32_MIN, INT32_MAX};
}

// The scale as float32, which must be finite, above 0, and have a finite reciprocal.
inline float check_scale(const char* op, const char* name, double scale) {
  const float value = static_cast<float>(scale);
  TORCHQ_CHECK(value > 0.0f && std::isfinite(value) && std::isfinite(1.0f / value), "torchq::", op, ": ", name,
               " must be a finite float32 above 0 with a finite reciprocal, got ", scale);
  return value;
}

inline int32_t check_zero_point(const char* op, const char* name, int64_t zero_point, Storage storage) {
  const Range range = range_of(storage);
  TORCHQ_CHECK(zero_point >= range.lowest && zero_point <= range.highest, "torchq::", op, ": ", name, " must lie in [",
               range.lowest, ", ", range.highest, "], got ", zero_point);
  return static_cast<int32_t>(zero_point);
}

inline Storage storage_of_bytes(bool is_signed) { return is_signed ? Storage::s8 : Storage::u8; }

// "[2, 3]".
inline std::string shape_text(Sizes sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(sizes[i]);
  return text + "]";
}

inline bool same(Sizes a, Sizes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

inline Tensor empty_strided(Sizes sizes, Sizes strides, ScalarType dtype) {
  const int32_t code = torch::stable::detail::to<int32_t>(torch::stable::detail::from(dtype));
  AtenTensorHandle handle = nullptr;
  const AOTITorchError error = aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), sizes.data(),
                                                        strides.data(), code, aoti_torch_device_type_cpu(), 0, &handle);
  TORCHQ_CHECK(error == AOTI_TORCH_SUCCESS, "torchq: a result of shape ", shape_text(sizes), " cannot be allocated");
  return Tensor(handle);
}

inline std::vector<int64_t> contiguous_strides(Sizes sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i] > 0 ? sizes[i] : 1) strides[i] = stride;
  return strides;
}

// The dimensions from the outermost in memory to the innermost, if the tensor fills its memory without gaps
// or overlaps; empty if it does not, and for a scalar.
std::vector<int64_t> dense_order(const Tensor& tensor);

// The tensor; if its memory has gaps or overlaps a copy without them, dimensions in the same order.
Tensor dense(const Tensor& tensor);

inline Tensor empty_contiguous(Sizes sizes, ScalarType dtype) {
  const std::vector<int64_t> strides = contiguous_strides(sizes);
  return empty_strided(sizes, Sizes(strides.data(), strides.size()), dtype);
}

// Whether a tensor [N, C, *spatial] has its channels innermost in memory, and no gaps.
bool is_channels_last(const Tensor& tensor);
// The tensor, copied if it has not.
Tensor channels_last(const Tensor& tensor);
Tensor empty_channels_last(Sizes sizes, ScalarType dtype);

// 64 bytes of working memory, aligned as vectors like it.
struct alignas(64) Line {
  uint8_t bytes[64];
};
inline size_t lines_of(int64_t bytes) { return static_cast<size_t>((bytes + 63) / 64); }

template <typename T>
const T* data_of(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}
template <typename T>
T* output_of(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

// f(begin, end) over [0, n), on one thread if it is not more than `serial`.
template <typename F>
void parallel_ranges(int64_t n, int64_t serial, const F& f) {
  if (n <= serial) {
    if (n > 0) f(int64_t{0}, n);
  } else {
    torch::stable::parallel_for(0, n, serial, f);
  }
}

}  // namespace torchq
