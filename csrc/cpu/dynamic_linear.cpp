#include "dynamic_linear.h"

#include "../numerics.h"

namespace torchq {
namespace {

struct Extremes {
  float least = 0.0f, most = 0.0f;
};

Extremes extremes_of(const QuantizeKernels& kernels, const float* x, int64_t n) {
  Extremes result;
  kernels.min_max(x, n, &result.least, &result.most);
  return result;
}

// Of many numbers, on several threads. NaN, which stands for what is not finite, stays.
Extremes extremes_of_all(const QuantizeKernels& kernels, const float* x, int64_t n) {
  const int64_t pieces = n / kSerialElements;
  if (pieces < 2) return extremes_of(kernels, x, n);
  std::vector<Extremes> found(static_cast<size_t>(pieces));
  torch::stable::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = n * i / pieces;
      found[static_cast<size_t>(i)] = extremes_of(kernels, x + first, n * (i + 1) / pieces - first);
    }
  });
  Extremes all = found[0];
  for (const Extremes& part : found) {
    all.least = part.least < all.least || part.least != part.least ? part.least : all.least;
    all.most = part.most > all.most || part.most != part.most ? part.most : all.most;
  }
  return all;
}

QParams qparams_of(const Extremes& extremes, int32_t qmax) {
  return choose_qparams(extremes.least, extremes.most, 0, qmax);
}

// Quantizes rows to uint8, each with the given qparams or, where there are none, with its own. The integers
// saturate at 255 whatever range the qparams were chosen for.
void quantize_rows(const float* input, int64_t k, int64_t first, int64_t count, const QParams* shared, int32_t qmax,
                   Chunk& chunk) {
  const QuantizeKernels& kernels = quantize_kernels(current_isa());
  const int64_t padded = round_up(k, 4);
  chunk.bytes.resize(static_cast<size_t>(kChunkRows * padded));
  chunk.row_scales.resize(kChunkRows);
  chunk.row_zero_points.resize(kChunkRows);
  for (int64_t row = 0; row < count; ++row) {
    const float* x = input + (first + row) * k;
    uint8_t* q = chunk.bytes.data() + row * padded;
    const QParams qparams = shared != nullptr ? *shared : qparams_of(extremes_of(kernels, x, k), qmax);
    const float inverse = 1.0f / qparams.scale;
    const float zero_point = static_cast<float>(qparams.zero_point);
    kernels.quantize(x, k, &inverse, &zero_point, false, true, Storage::u8, q);
    chunk.pointers[row] = q;
    chunk.row_scales[row] = qparams.scale;
    chunk.row_zero_points[row] = qparams.zero_point;
  }
}

}  // namespace

DynamicLinear::DynamicLinear(const char* op, const Weight& weight, bool per_token, bool reduce_range, bool relu)
    : packed_(weight.packed), per_token_(per_token), qmax_(reduce_range ? 127 : 255) {
  const LayerHeader header =
      layer_header({op, 1.0, 0, false, true, 1.0, 0, ScalarType::Float, relu}, packed_.header(), {}, false);
  lines_.resize(static_cast<size_t>(header.total_lines()));
  prepare_layer(header, weight, lines_.data());
}

void DynamicLinear::run(const float* x, int64_t rows, float* y, bool backwards) const {
  const int64_t k = header().packed.k;
  GemmArgs args = gemm_args(header(), packed_, 0);
  args.parameters = Layer(lines_.data()).parameters(0, 0);
  args.output = y;
  args.backwards = backwards;
  args.output_stride = args.columns;
  QParams whole{};
  if (!per_token_) whole = qparams_of(extremes_of_all(quantize_kernels(current_isa()), x, rows * k), qmax_);
  run_gemm(args, {1, rows}, k, true, [&](int64_t, int64_t first, int64_t count, Chunk& chunk) {
    quantize_rows(x, k, first, count, per_token_ ? nullptr : &whole, qmax_, chunk);
    return first * args.output_stride;
  });
}

}  // namespace torchq
