// Floor 2. How a chunk of a convolution's outputs becomes rows of a product: pointers at what their windows see, and
// bands of those that see the same taps (ConvWindow::tap_sets).
#pragma once

#include "conv_phase.h"
#include "gemm_driver.h"

namespace torchq {

// One group's channels of the input in memory.
struct Image {
  const uint8_t* data;
  const uint8_t* end;  // of the whole input
  int64_t pixel_bytes;
  int64_t k;  // channels of the group
};

// Lists bands in the order of a chunk's rows. As long as all see every tap there are none.
class Bands {
 public:
  // `taps` is what a whole product has. Its parameters for the next set of taps are `set_parameters` further on; 0 if
  // there are none laid out, and so no bands.
  Bands(const ConvPhase& phase, int64_t taps, int64_t set_parameters)
      : phase_(phase), taps_(taps), set_parameters_(set_parameters) {}

  const ConvPhase& phase() const { return phase_; }
  bool wanted() const { return set_parameters_ > 0; }
  int64_t taps() const { return taps_; }
  int64_t parameters(int64_t set) const { return set * set_parameters_; }
  Band whole(int64_t row, int64_t rows) const { return {rows, 0, taps_, nullptr, 0, row, 1}; }

  // Before a band of other taps: the rows until then, if they are not listed yet.
  void list_before(int64_t row, std::vector<Band>& bands) const {
    if (bands.empty() && row > 0) bands.push_back(whole(0, row));
  }
  // Rows `row` on, outputs of a run that lie as they come: with those before them, or as a band of their own.
  void add(int64_t row, const ConvPhase::Run& run, std::vector<Band>& bands) const {
    const bool in_part = wanted() && phase_.in_parts() && !phase_.sees_all_outer(run);
    if (in_part || !bands.empty()) list(row, run, in_part, bands);
  }

 private:
  void list(int64_t row, const ConvPhase::Run& run, bool in_part, std::vector<Band>& bands) const;

  const ConvPhase& phase_;
  int64_t taps_, set_parameters_;
};

// Where whole groups of 4 channels can be read in place: a pointer per pixel and tap.
//
// Of several short lines in a chunk, the outputs at the ends, which see padding beside the image, are bands too: one
// for each column of pixels. Only where rows take long, or it would be more work than it saves.
class PixelRows {
 public:
  // `tap_bytes` is what a tap takes of a weight's depth; `by_columns` is LayerHeader's.
  PixelRows(const Bands& bands, const Image& image, const uint8_t* padding_pixel, int64_t tap_bytes, bool by_columns);

  // Of a chunk: whole lines, where their ends are bands.
  int64_t most_rows() const { return split_ ? kChunkRows / width() * width() : kChunkRows; }
  void point(int64_t line, int64_t first, int64_t count, Chunk& chunk) const;

 private:
  using Run = ConvPhase::Run;
  int64_t width() const { return phase_.line_length(); }
  // Row `row` on, pointers at what a run sees through the kernel columns `taps`; at padding in place of the others.
  void point_at(int64_t row, const Run& run, const ConvAxis::TapRange& taps, Chunk& chunk) const;
  // Neighbouring lines that see all kernel rows, the first of which begins with row `row`.
  void point_lines(int64_t row, const std::vector<Run>& lines, Chunk& chunk) const;
  void point_column(int64_t row, int64_t x, int64_t first_row, const std::vector<Run>& lines, Chunk& chunk) const;

  const Bands& bands_;
  const ConvPhase& phase_;
  const Image& image_;
  const uint8_t* padding_pixel_;
  bool split_;
  std::vector<int64_t> tap_offsets_;  // [sets of kernel columns][taps]
};

// Where the channels of a pixel are no multiple of 4 (a first layer of 3), kernel rows are read in one piece each.
class KernelRows {
 public:
  KernelRows(const Bands& bands, const PackedHeader& header, const Image& image, uint8_t padding);
  void point(int64_t line, int64_t first, int64_t count, Chunk& chunk) const;

 private:
  using Run = ConvPhase::Run;
  void point_at(int64_t first_row, const Run& run, Chunk& chunk) const;
  void copy(int64_t first_row, const Run& run, int64_t i, Chunk& chunk) const;
  int64_t readable(const Run& run) const;
  const uint8_t* pixel_of(const Run& run, int64_t tap) const {
    return image_.data + (run.input_pixel + phase_.taps()[tap].input_pixels) * image_.pixel_bytes;
  }

  const Bands& bands_;
  const ConvPhase& phase_;
  const PackedHeader& header_;
  const Image& image_;
  uint8_t padding_;
  bool contiguous_;  // the bytes of a kernel row, in the image
};

}  // namespace torchq
