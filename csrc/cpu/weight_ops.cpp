// Floor 2. pack_weight and unpack_weight.
#include "../numerics.h"
#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {
namespace {

constexpr const char* kPack = "pack_weight";
constexpr const char* kUnpack = "unpack_weight";

Tensor pack_weight_cpu(const Tensor& weight, const std::optional<Tensor>& zero_points, int64_t groups) {
  check_cpu(kPack, "weight", weight);
  check_dtype(kPack, "weight", weight, ScalarType::Char);
  const int64_t dims = weight.dim();
  TORCHQ_CHECK(dims >= 2 && dims <= 5,
               "torchq::pack_weight: weight must have 2 to 5 dimensions [O, I/groups, "
               "*kernel], got ",
               dims);
  TORCHQ_CHECK(weight.numel() > 0, "torchq::pack_weight: weight must not be empty");
  const int64_t channels = weight.size(0);
  TORCHQ_CHECK(groups >= 1 && channels % groups == 0, "torchq::pack_weight: groups must divide the ", channels,
               " output channels, got ", groups);
  int64_t kernel[3] = {1, 1, 1};
  for (int64_t dim = 2; dim < dims; ++dim) kernel[3 - dims + dim] = weight.size(dim);
  const int64_t depth = weight.size(1) * kernel[0] * kernel[1] * kernel[2];
  const int64_t limit = zero_points.has_value() ? kMaxAsymmetricReduction : kMaxReduction;
  TORCHQ_CHECK(depth <= limit, "torchq::pack_weight: an output must sum over at most ", limit, " products",
               zero_points.has_value() ? ", with zero points of the weight," : "", " to be exact in int32, got ",
               depth);
  std::vector<int32_t> zeros;
  if (zero_points.has_value()) {
    check_cpu(kPack, "zero_points", *zero_points);
    check_dtype(kPack, "zero_points", *zero_points, ScalarType::Long);
    TORCHQ_CHECK(zero_points->dim() == 1 && zero_points->numel() == channels,
                 "torchq::pack_weight: zero_points must have shape [", channels, "], got ", zero_points->numel(),
                 " elements in ", zero_points->dim(), " dimensions");
    const Tensor values = torch::stable::contiguous(*zero_points);
    for (int64_t c = 0; c < channels; ++c)
      zeros.push_back(check_zero_point(kPack, "each of zero_points", data_of<int64_t>(values)[c], Storage::s8));
  }
  const PackedHeader header = packed_header(groups, channels / groups, weight.size(1), kernel, zero_points.has_value());
  const int64_t size[] = {header.total_bytes()};
  const int64_t stride[] = {1};
  Tensor packed = empty_strided(Sizes(size, 1), Sizes(stride, 1), ScalarType::Byte);
  const Tensor plain = torch::stable::contiguous(weight);
  pack_weight(header, data_of<int8_t>(plain), zero_points.has_value() ? zeros.data() : nullptr,
              output_of<uint8_t>(packed));
  return packed;
}

Tensor unpack_weight_cpu(const Tensor& packed_weight, const std::vector<int64_t>& size) {
  check_cpu(kUnpack, "packed_weight", packed_weight);
  check_dtype(kUnpack, "packed_weight", packed_weight, ScalarType::Byte);
  TORCHQ_CHECK(packed_weight.is_contiguous(), "torchq::unpack_weight: packed_weight must be contiguous");
  const char* error;
  const PackedWeight packed(data_of<uint8_t>(packed_weight), packed_weight.numel(), &error);
  TORCHQ_CHECK(error == nullptr, "torchq::unpack_weight: packed_weight cannot be used: ", error);
  const PackedHeader& header = packed.header();
  const int64_t dims = static_cast<int64_t>(size.size());
  bool fits = dims >= 2 && dims <= 5 && size[0] == int64_t{header.groups} * header.columns && size[1] == header.k;
  for (int64_t dim = 2; fits && dim < dims; ++dim) fits = size[dim] == header.kernel[3 - dims + dim];
  for (int64_t dim = 0; fits && dim < 5 - dims; ++dim) fits = header.kernel[dim] == 1;
  TORCHQ_CHECK(fits, "torchq::unpack_weight: size does not fit the packed weight, which has ",
               int64_t{header.groups} * header.columns, " output channels, ", header.k,
               " input channels per group and a kernel of ", header.kernel[0], " x ", header.kernel[1], " x ",
               header.kernel[2]);
  Tensor weight = empty_contiguous(Sizes(size.data(), size.size()), ScalarType::Char);
  unpack_weight(packed, output_of<int8_t>(weight));
  return weight;
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("pack_weight", TORCH_BOX(&torchq::pack_weight_cpu));
  m.impl("unpack_weight", TORCH_BOX(&torchq::unpack_weight_cpu));
}
