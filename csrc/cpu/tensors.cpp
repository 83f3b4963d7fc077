#include "tensors.h"

#include <algorithm>
#include <numeric>

#include "elementwise/elementwise.h"

namespace torchq {

std::vector<int64_t> dense_order(const Tensor& tensor) {
  const Sizes sizes = tensor.sizes();
  const Sizes strides = tensor.strides();
  std::vector<int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::make_pair(strides[a], sizes[a]) > std::make_pair(strides[b], sizes[b]);
  });
  int64_t expected = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const int64_t dim = order[i];
    if (sizes[dim] == 1) continue;
    if (strides[dim] != expected) return {};
    expected *= sizes[dim];
  }
  return order;
}

Tensor dense(const Tensor& tensor) {
  if (tensor.is_contiguous() || !dense_order(tensor).empty()) return tensor;
  return torch::stable::clone(tensor);
}

namespace {

std::vector<int64_t> channels_last_strides(Sizes sizes) {
  std::vector<int64_t> strides(sizes.size());
  strides[1] = 1;
  int64_t stride = sizes[1];
  for (size_t i = sizes.size(); i-- > 2; stride *= sizes[i]) strides[i] = stride;
  strides[0] = stride;
  return strides;
}

}  // namespace

bool is_channels_last(const Tensor& tensor) {
  const Sizes sizes = tensor.sizes();
  const Sizes strides = tensor.strides();
  bool matches = sizes[1] == 1 || strides[1] == 1;
  int64_t stride = sizes[1];
  for (size_t i = sizes.size(); i-- > 2; stride *= sizes[i]) matches &= sizes[i] == 1 || strides[i] == stride;
  return matches && (sizes[0] == 1 || strides[0] == stride);
}

Tensor channels_last(const Tensor& tensor) {
  if (tensor.numel() == 0 || is_channels_last(tensor)) return tensor;
  Tensor copy = empty_channels_last(tensor.sizes(), tensor.scalar_type());
  // What a photograph has: ATen's copy of so few planes takes several times as long.
  if (tensor.element_size() == 1 && tensor.is_contiguous() && tensor.size(1) == 3) {
    const int64_t size = tensor.numel() / tensor.size(0) / 3;
    for (int64_t n = 0; n < tensor.size(0); ++n) {
      const auto* planes = data_of<uint8_t>(tensor) + n * 3 * size;
      auto* pixels = output_of<uint8_t>(copy) + n * 3 * size;
      parallel_ranges(size, kSerialElements, [&](int64_t begin, int64_t end) {
        elementwise_kernels(current_isa()).interleave(planes + begin, size, end - begin, pixels + 3 * begin);
      });
    }
  } else {
    torch::stable::copy_(copy, tensor);
  }
  return copy;
}

Tensor empty_channels_last(Sizes sizes, ScalarType dtype) {
  const std::vector<int64_t> strides = channels_last_strides(sizes);
  return empty_strided(sizes, Sizes(strides.data(), strides.size()), dtype);
}

}  // namespace torchq
