// Floor 2. Splits a matrix product over chunks of rows and ranges of columns, and those over threads.
//
// A chunk of rows is prepared (pointers, quantized or padded copies, row sums) by the thread that multiplies
// it, and stays in its cache while the weights stream past.
#pragma once

#include <algorithm>
#include <vector>

#include "gemm/gemm.h"
#include "gemm/pack.h"
#include "tensors.h"

namespace torchq {

constexpr int64_t kWideTileRows = 6;  // of a tile of kSplitColumns
constexpr int64_t kChunkRows = 16 * kWideTileRows;
constexpr int64_t kSplitColumns = 64;  // 4 panels

// Neighbouring rows of a chunk whose products run over the same part of the taps.
struct Band {
  int64_t rows;
  int64_t first_tap, taps;       // in the chunk's pointers and, without tap_offsets, in the weights
  const int64_t* tap_offsets;    // GemmArgs::tap_offsets, or null
  int64_t parameters;            // which of the product's, counted from those of the whole
  int64_t output_row, row_step;  // the first row's place in the output, in rows of the chunk, and the way to the next
};

// A thread's working memory, kept between calls.
struct Chunk {
  std::vector<const uint8_t*> pointers;  // [taps][kChunkRows]
  std::vector<uint8_t> bytes;            // [kChunkRows][row bytes], where rows are copied
  std::vector<int32_t> row_sums;
  std::vector<float> row_scales;
  std::vector<int32_t> row_zero_points;
  std::vector<Band> bands;         // of all rows, where there are several
  std::vector<GemmArgs> products;  // theirs
  std::vector<Line> scratch;       // the kernel's
  std::vector<Line> layer;         // what an operator lays out for one call (layer.h)

  static Chunk& of_this_thread() {
    static thread_local Chunk chunk;
    return chunk;
  }
};

// The rows of a product: `count` lines of `length` rows. Rows of a line lie output_stride apart, and a chunk never holds
// rows of two lines, nor more than `chunk`.
struct Lines {
  int64_t count, length;
  int64_t chunk = kChunkRows;
};

// row_sums[m] = sum_k (A[m, k] - zero_point[m]) over the `depth` bytes of a row that are no padding.
void sum_rows(const GemmKernels& kernels, const GemmArgs& args, int64_t depth, Chunk& chunk);

// The products of a chunk's bands as one, in chunk.products.
const GemmArgs& joined_bands(const GemmArgs& whole, bool to_float, Chunk& chunk);

// `args` describes all columns of one group, prepared; prepare(line, first, count, chunk) fills in chunk.pointers, and
// for float results row_scales and row_zero_points, of rows first .. first + count of a line, and returns the element
// of the output (and of the residual) where the first of them begins. It may fill in chunk.bands.
template <typename Prepare>
void run_gemm(GemmArgs args, const Lines& lines, int64_t depth, bool to_float, const Prepare& prepare) {
  const GemmKernels& kernels = gemm_kernels(current_isa());
  const bool grouped = args.group_width != 0;
  const auto kernel = to_float ? (grouped ? kernels.grouped_to_float : kernels.to_float)
                               : (grouped ? kernels.grouped_to_bytes : kernels.to_bytes);
  const int64_t line_chunks = (lines.length + lines.chunk - 1) / lines.chunk;
  const int64_t chunks = lines.count * line_chunks;
  const bool serial = lines.count * lines.length * args.columns * args.taps * args.tap_bytes <= kSerialMacs;
  const int64_t threads = serial ? 1 : torch::stable::get_num_threads();
  const int64_t column_blocks = (args.columns + kSplitColumns - 1) / kSplitColumns;
  // Enough pieces for every thread to have two, but no more than needed: each piece prepares its rows anew.
  const int64_t splits =
      threads == 1 || chunks == 0 ? 1 : std::min(column_blocks, std::max<int64_t>(1, 2 * threads / chunks));

  args.row_pitch = kChunkRows;

  const auto run = [&](int64_t begin, int64_t end) {
    Chunk& chunk = Chunk::of_this_thread();
    chunk.pointers.resize(static_cast<size_t>(args.taps * kChunkRows));
    chunk.scratch.resize(lines_of(kernels.scratch_bytes(args.taps, args.tap_bytes, args.group_width)));
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first_row = piece / splits % line_chunks * lines.chunk;
      const int64_t split = piece % splits;
      const int64_t first_panel = column_blocks * split / splits * (kSplitColumns / kPanelColumns);
      const int64_t first_column = first_panel * kPanelColumns;
      const int64_t last_column = std::min(args.columns, column_blocks * (split + 1) / splits * kSplitColumns);
      GemmArgs part = args;
      part.rows = std::min(lines.chunk, lines.length - first_row);
      part.columns = last_column - first_column;
      part.first_column = first_column;
      chunk.bands.clear();
      const int64_t element = prepare(piece / splits / line_chunks, first_row, part.rows, chunk) + first_column;
      part.row_pointers = chunk.pointers.data();
      part.scratch = chunk.scratch.data();
      if (to_float) {
        part.row_scales = chunk.row_scales.data();
        part.row_zero_points = chunk.row_zero_points.data();
      }
      if (args.weight_zero_points != nullptr && !grouped) {
        sum_rows(kernels, part, depth, chunk);
        part.row_sums = chunk.row_sums.data();
      }
      part.panels += first_panel * args.panel_bytes;
      part.parameters += first_panel;
      part.output = static_cast<uint8_t*>(args.output) + element * (to_float ? 4 : 1);
      if (args.residual != nullptr) part.residual += element;
      kernel(chunk.bands.empty() ? part : joined_bands(part, to_float, chunk));
    }
  };
  const int64_t pieces = chunks * splits;
  if (threads == 1) {
    run(0, pieces);
  } else {
    torch::stable::parallel_for(0, pieces, 1, run);
  }
}

// The weight of a linear or conv op with its scales and bias, checked.
struct Weight {
  PackedWeight packed;
  const float* scales;
  const float* bias;
};
PackedWeight check_packed(const char* op, const Tensor& packed_weight);
Weight check_weight(const char* op, const Tensor& packed_weight, const Tensor& weight_scales,
                    const std::optional<Tensor>& bias);

// Points at rows of k bytes, `stride` apart; where k is no multiple of 4 they are copied, for the kernels read whole
// groups of 4.
void point_at_rows(const uint8_t* input, int64_t k, int64_t stride, int64_t first, int64_t count, Chunk& chunk);

// Rows of one scale and zero point, for float results.
void fill_rows(float scale, int32_t zero_point, Chunk& chunk);

}  // namespace torchq
