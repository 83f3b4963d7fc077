#include "tensors.h"

#include <algorithm>
#include <numeric>

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

Tensor channels_last(const char* op, const Tensor& tensor) {
  TORCHQ_CHECK(tensor.dim() == 4, "torchq::", op, ": input must be 4-d [N, C, H, W], got ", tensor.dim(),
               " dimensions");
  const Sizes sizes = tensor.sizes();
  const Sizes strides = tensor.strides();
  int64_t expected = 1;
  bool matches = true;
  for (const int dim : {1, 3, 2, 0}) {
    matches &= sizes[dim] == 1 || strides[dim] == expected;
    expected *= sizes[dim];
  }
  if (matches) return tensor;
  return torch::stable::contiguous(tensor, torch::headeronly::MemoryFormat::ChannelsLast);
}

Tensor empty_channels_last(int64_t n, int64_t c, int64_t h, int64_t w, ScalarType dtype) {
  const int64_t sizes[] = {n, c, h, w};
  const int64_t strides[] = {h * w * c, 1, w * c, c};
  return empty_strided(Sizes(sizes, 4), Sizes(strides, 4), dtype);
}

}  // namespace torchq
