// Floor 2. Two tensors of one shape walked together, in runs that are contiguous in both.
#pragma once

#include <algorithm>
#include <vector>

#include "tensors.h"

namespace torchq {

// Calls visit(other data, offset in lead, length) for runs that cover `lead`, a dense tensor of bytes. `other` may have
// any strides: it is read where it lies as far as its innermost run allows, as an operand expanded over the pixels of
// an image does, and copied otherwise. A short run that serves neighbours too is visited for several of them at once.
template <typename Visit>
void for_each_common_run(const Tensor& lead, const Tensor& other, const Visit& visit) {
  struct Dim {
    int64_t size, stride;
  };
  std::vector<Dim> dims;  // innermost first, neighbours joined where other allows
  const std::vector<int64_t> order = dense_order(lead);
  for (size_t i = order.size(); i-- > 0;) {
    const Dim dim{lead.size(order[i]), other.stride(order[i])};
    if (dim.size == 1) continue;
    if (!dims.empty() && dims.back().stride * dims.back().size == dim.stride) {
      dims.back().size *= dim.size;
    } else {
      dims.push_back(dim);
    }
  }
  if (!dims.empty() && dims[0].stride != 1) {
    Tensor copy = empty_strided(lead.sizes(), lead.strides(), other.scalar_type());
    torch::stable::copy_(copy, other);
    return for_each_common_run(lead, copy, visit);
  }
  const auto* data = data_of<uint8_t>(other);
  const int64_t length = dims.empty() ? 1 : dims[0].size;
  if (lead.numel() == 0) return;
  if (dims.size() <= 1) {
    parallel_ranges(length, kSerialElements,
                    [&](int64_t begin, int64_t end) { visit(data + begin, begin, end - begin); });
    return;
  }
  // As a gate does all pixels of an image: it is read from several copies in a row, so that kernels get more at a time.
  constexpr int64_t kCopiedBytes = 4096;
  const int64_t shared = dims[1].stride == 0 ? dims[1].size : 1;
  const int64_t copies = std::clamp<int64_t>(kCopiedBytes / length, 1, shared);
  parallel_ranges(lead.numel() / length, std::max<int64_t>(1, kSerialElements / length),
                  [&](int64_t begin, int64_t end) {
                    std::vector<uint8_t> copied;
                    const uint8_t* source = nullptr;
                    for (int64_t run = begin, runs; run < end; run += runs) {
                      const uint8_t* at = data;
                      int64_t rest = run;
                      for (size_t d = 1; d < dims.size(); ++d) {
                        at += rest % dims[d].size * dims[d].stride;
                        rest /= dims[d].size;
                      }
                      runs = std::min({copies, shared - run % shared, end - run});
                      if (runs > 1 && at != source) {
                        copied.clear();
                        for (int64_t i = 0; i < copies; ++i) copied.insert(copied.end(), at, at + length);
                        source = at;
                      }
                      visit(runs > 1 ? copied.data() : at, run * length, runs * length);
                    }
                  });
}

}  // namespace torchq
