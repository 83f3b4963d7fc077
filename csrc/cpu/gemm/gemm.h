// Floor 1. C = requantize(A * W^T): the one matrix product behind linear and convolution.
//
//   acc[m, n] = sum_k (A[m, k] - input_zero_point[m]) * (W[n, k] - weight_zero_point[n])        exact int32
//
//   to_bytes    C[m, n] = max(sat(rne((float(acc) + bias[n] / s) * (s / output_scale) + r) + output_zero_point), lowest)
//               with s = input_scale * weight_scales[n] rounded to float32; lowest is output_zero_point with relu.
//               r = fma(t, float(residual[m, n]), -(residual_zero_point * t)) with t = residual_scale / output_scale;
//               without a residual nothing is added
//   to_float    C[m, n] = fma(float(acc), s, bias[n])   with s = row_scales[m] * weight_scales[n]
//
// A comes as row pointers, one per row and tap: a plain matrix has one tap, a convolution one per kernel position or,
// where channels are no multiple of 4, per kernel row, and no im2col copy is made. W comes packed (pack.h). The
// register tile holds all of K, so that no int32 goes through memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../select.h"

namespace torchq {

// What the kernels read of 16 columns, laid out by `prepare_bytes` or `prepare_float` once for a whole product.
struct alignas(64) PanelParameters {
  int32_t start[16];  // to_bytes: what an accumulator starts from; to_float: the columns' sums
  int32_t zero_point[16];
  float bias[16];
  float scale[16];
};

struct GemmArgs {
  int64_t rows;     // M
  int64_t columns;  // N

  const uint8_t* const* row_pointers;  // tap t of row m is tap_bytes readable bytes at [t * row_pitch + m]
  int64_t row_pitch;
  int64_t taps;
  int64_t tap_bytes;  // a multiple of 4
  bool signed_input;  // A holds int8, else uint8
  // Grouped products: 4, 8 or 16, the channels of a group and its columns. Column n sees only the channels of its
  // group, those from n / group_width * group_width on, and the pointers are to rows of channels for all columns.
  // 0: every column sees the same bytes.
  int64_t group_width;
  int64_t first_column;  // grouped: the channel of the row pointers' rows that column 0 begins with

  const int8_t* panels;        // [ceil(N/16)], each panel_bytes after the one before it
  int64_t panel_bytes;         // at least taps * tap_bytes * 16
  const int64_t* tap_offsets;  // [taps], where in a panel a tap's weights begin; null if one follows the other

  const int32_t* column_sums;         // [N], sum_k W[n, k]
  const int32_t* weight_zero_points;  // [N], null if all are 0
  const float* weight_scales;         // [N]
  const float* bias;                  // [N] or null
  const PanelParameters* parameters;  // [ceil(N/16)], prepared from the four arrays above and the scales below
  // [M], sum_k (A[m, k] - input_zero_point[m]); null where weight_zero_points is
  const int32_t* row_sums;

  // to_bytes
  bool bounded;  // what prepare_bytes returned for all columns
  float input_scale;
  int32_t input_zero_point;
  float output_scale;
  int32_t output_zero_point;
  bool signed_output;
  const uint8_t* residual;  // laid out as the output, and of its dtype; or null
  float residual_scale;
  int32_t residual_zero_point;

  // to_float
  const float* row_scales;         // [M]
  const int32_t* row_zero_points;  // [M]

  // Another product of the same columns, whose weights are in the cache when this one's are; or null. It differs in
  // rows, taps and what belongs to them. Both have rows.
  const GemmArgs* next;
  // Tiles of those before it that ask for weights: each tile does for a panel, until all of the next block are on their
  // way.
  int64_t tiles_before;

  bool relu;
  // Whether columns are computed from the last to the first. A caller that repeats a product finds the weights that it
  // read last still in the cache.
  bool backwards;
  void* output;           // row m starts at element m * output_stride
  int64_t output_stride;  // elements
  void* scratch;          // scratch_bytes of them, on a cache line, for this call alone
};

// Rows first .. first + count of a product with elements of `element_bytes`.
inline GemmArgs rows_of(const GemmArgs& args, int64_t first, int64_t count, int64_t element_bytes) {
  GemmArgs part = args;
  part.rows = count;
  part.row_pointers += first;
  if (args.row_sums != nullptr) part.row_sums += first;
  if (args.row_scales != nullptr) part.row_scales += first;
  if (args.row_zero_points != nullptr) part.row_zero_points += first;
  if (args.residual != nullptr) part.residual += first * args.output_stride;
  part.output = static_cast<uint8_t*>(args.output) + first * args.output_stride * element_bytes;
  part.next = nullptr;
  return part;
}

struct GemmKernels {
  // All columns. Reads what `parameters` names, and input_scale, input_zero_point, signed_input and output_scale.
  // Returns whether no result but for a residual can come near 2^31 before it is rounded; floats are not.
  bool (*prepare_bytes)(const GemmArgs& args, PanelParameters* parameters);
  bool (*prepare_float)(const GemmArgs& args, PanelParameters* parameters);
  void (*to_bytes)(const GemmArgs& args);
  void (*to_float)(const GemmArgs& args);
  void (*grouped_to_bytes)(const GemmArgs& args);
  void (*grouped_to_float)(const GemmArgs& args);
  int64_t (*scratch_bytes)(int64_t taps, int64_t tap_bytes, int64_t group_width);
  // pointers[i] = first + i * step
  void (*fill_pointers)(const uint8_t* first, int64_t step, int64_t n, const uint8_t** pointers);
  // The sum of n bytes, uint8 or int8.
  int32_t (*sum_bytes)(const uint8_t* bytes, int64_t n, bool is_signed);
  // column_sums[n] = sum_k W[n, k] over args' taps alone
  void (*sum_columns)(const GemmArgs& args, int32_t* column_sums);
};

#define KERNELS(isa) TORCHQ_DECLARE_KERNELS(GemmKernels, gemm, isa)
#include "kernels.inc"
#undef KERNELS

inline const GemmKernels& gemm_kernels(Isa current) {
#define KERNELS(isa) TORCHQ_SELECT_KERNELS(gemm, isa)
#include "kernels.inc"
#undef KERNELS
  return gemm__scalar;
}

}  // namespace torchq
