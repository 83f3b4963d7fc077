#include "conv_rows.h"

#include <cstring>

namespace torchq {
namespace {

// Fewer rows are not multiplied much faster than these.
constexpr int64_t kLeastLines = 4;

}  // namespace

void Bands::list(int64_t row, const ConvPhase::Run& run, bool in_part, std::vector<Band>& bands) const {
  Band band = whole(row, run.count);
  if (in_part) {
    list_before(row, bands);
    const ConvAxis::TapRange seen = phase_.outer_taps_of(run);
    const int64_t each = taps_ / phase_.outer().kernel;
    band.first_tap = seen.first * each;
    band.taps = (seen.end - seen.first) * each;
    band.parameters = parameters(phase_.outer().set_of_taps(seen));
  }
  if (!bands.empty() && bands.back().row_step == 1 && bands.back().parameters == band.parameters &&
      bands.back().output_row + bands.back().rows == row) {
    bands.back().rows += band.rows;
  } else {
    bands.push_back(band);
  }
}

PixelRows::PixelRows(const Bands& bands, const Image& image, const uint8_t* padding_pixel, int64_t tap_bytes,
                     bool by_columns)
    : bands_(bands), phase_(bands.phase()), image_(image), padding_pixel_(padding_pixel) {
  const ConvAxis& line = phase_.along_line();
  split_ = bands.wanted() && by_columns && line.most_unseen() > 0 && width() * kLeastLines <= kChunkRows &&
           phase_.lines_together() >= kLeastLines;
  if (!split_) return;
  for (int64_t set = 1; set < line.tap_sets(); ++set) {
    const ConvAxis::TapRange range = line.taps_of_set(set);
    const size_t end = static_cast<size_t>(set * bands.taps());
    for (const ConvPhase::Tap& tap : phase_.taps())
      if (const int64_t column = tap.index % line.kernel; column >= range.first && column < range.end)
        tap_offsets_.push_back(tap.index * tap_bytes * kPanelColumns);
    tap_offsets_.resize(end);
  }
}

void PixelRows::point(int64_t line, int64_t first, int64_t count, Chunk& chunk) const {
  const ConvAxis::TapRange all{0, phase_.along_line().kernel};
  if (!split_) {
    phase_.for_each_run(line, first, count, [&](int64_t row, const Run& run) {
      bands_.add(row, run, chunk.bands);
      point_at(row, run, all, chunk);
    });
    return;
  }
  std::vector<Run> lines;
  int64_t first_row = 0;
  phase_.for_each_run(line, first, count, [&](int64_t row, const Run& run) {
    if (phase_.sees_all_outer(run) && run.count == width()) {
      if (lines.empty()) first_row = row;
      lines.push_back(run);
      return;
    }
    point_lines(first_row, lines, chunk);
    lines.clear();
    bands_.add(row, run, chunk.bands);
    point_at(row, run, all, chunk);
  });
  point_lines(first_row, lines, chunk);
}

void PixelRows::point_at(int64_t row, const Run& run, const ConvAxis::TapRange& taps, Chunk& chunk) const {
  const int64_t step = phase_.input_step() * image_.pixel_bytes, columns = phase_.along_line().kernel;
  const uint8_t** pointers = chunk.pointers.data() + row;
  const auto fill_pointers = gemm_kernels(current_isa()).fill_pointers;
  int64_t left = bands_.taps();
  for (const ConvPhase::Tap& tap : phase_.taps()) {
    if (taps.end - taps.first < columns) {
      const int64_t column = tap.index % columns;
      if (column < taps.first || column >= taps.end) continue;
    }
    const auto [begin, end] = tap.seen_in(run);
    const uint8_t* pixel = image_.data + (run.input_pixel + tap.input_pixels) * image_.pixel_bytes;
    for (int64_t i = 0; i < begin; ++i) pointers[i] = padding_pixel_;
    fill_pointers(pixel + begin * step, step, end - begin, pointers + begin);
    for (int64_t i = end; i < run.count; ++i) pointers[i] = padding_pixel_;
    pointers += kChunkRows;
    --left;
  }
  for (; left > 0; --left, pointers += kChunkRows) std::fill_n(pointers, run.count, padding_pixel_);
}

void PixelRows::point_lines(int64_t row, const std::vector<Run>& lines, Chunk& chunk) const {
  const ConvAxis::TapRange all{0, phase_.along_line().kernel};
  const auto count = static_cast<int64_t>(lines.size());
  if (count < kLeastLines) {
    for (int64_t i = 0; i < count; ++i) {
      bands_.add(row + i * width(), lines[i], chunk.bands);
      point_at(row + i * width(), lines[i], all, chunk);
    }
    return;
  }
  bands_.list_before(row, chunk.bands);
  // An inside of one pixel is a column too.
  auto [begin, end] = phase_.inside_line();
  if (end - begin == 1) begin = end;
  int64_t at = row;  // of the rows as they are multiplied
  for (int64_t x = 0; x < begin; ++x, at += count) point_column(at, x, row, lines, chunk);
  for (int64_t x = end; x < width(); ++x, at += count) point_column(at, x, row, lines, chunk);
  for (int64_t i = 0; begin < end && i < count; ++i, at += end - begin) {
    chunk.bands.push_back(bands_.whole(row + i * width() + begin, end - begin));
    point_at(at, phase_.part_of(lines[i], begin, end), all, chunk);
  }
}

void PixelRows::point_column(int64_t row, int64_t x, int64_t first_row, const std::vector<Run>& lines,
                             Chunk& chunk) const {
  const ConvAxis& line = phase_.along_line();
  const ConvAxis::TapRange seen = phase_.line_taps_at(x);
  const int64_t set = line.set_of_taps(seen);
  Band band = bands_.whole(first_row + x, static_cast<int64_t>(lines.size()));
  band.row_step = width();
  if (set > 0) {
    band.taps = bands_.taps() / line.kernel * (seen.end - seen.first);
    band.tap_offsets = tap_offsets_.data() + (set - 1) * bands_.taps();
    band.parameters = bands_.parameters(phase_.outer().tap_sets() - 1 + set);
  }
  chunk.bands.push_back(band);
  for (size_t i = 0; i < lines.size(); ++i) point_at(row + i, phase_.part_of(lines[i], x, x + 1), seen, chunk);
}

KernelRows::KernelRows(const Bands& bands, const PackedHeader& header, const Image& image, uint8_t padding)
    : bands_(bands), phase_(bands.phase()), header_(header), image_(image), padding_(padding) {
  contiguous_ = header.kernel[2] == 1 || (phase_.taps_are_neighbours() && image.pixel_bytes == image.k);
}

void KernelRows::point(int64_t line, int64_t first, int64_t count, Chunk& chunk) const {
  chunk.bytes.resize(static_cast<size_t>(kChunkRows * header_.depth()));
  phase_.for_each_run(line, first, count, [&](int64_t row, const Run& run) {
    bands_.add(row, run, chunk.bands);
    point_at(row, run, chunk);
  });
}

// Points at windows inside the image, and copies the others. A row is read up to the next multiple of 4 bytes: what
// is too much meets weights of 0, but has to be within the input.
void KernelRows::point_at(int64_t first_row, const Run& run, Chunk& chunk) const {
  const auto [begin, inside_end] = phase_.inside(run);
  const int64_t end = contiguous_ ? std::clamp(readable(run), begin, inside_end) : begin;
  const int64_t step = phase_.input_step() * image_.pixel_bytes;
  const uint8_t** pointers = chunk.pointers.data() + first_row;
  const auto fill_pointers = gemm_kernels(current_isa()).fill_pointers;
  for (int64_t row = 0; row < header_.kernel_rows(); ++row, pointers += kChunkRows) {
    const uint8_t* pixel = pixel_of(run, row * header_.kernel[2]);
    fill_pointers(pixel + begin * step, step, end - begin, pointers + begin);
  }
  for (int64_t i = 0; i < begin; ++i) copy(first_row, run, i, chunk);
  for (int64_t i = end; i < run.count; ++i) copy(first_row, run, i, chunk);
}

// How many windows of a run end before the input does. The last kernel row is the furthest one, or the first, where a
// transposed convolution sees them in reverse.
int64_t KernelRows::readable(const Run& run) const {
  const uint8_t* furthest = std::max(pixel_of(run, 0), pixel_of(run, (header_.kernel_rows() - 1) * header_.kernel[2]));
  const int64_t room = image_.end - header_.row_depth() - furthest;
  return room < 0 ? 0 : room / (phase_.input_step() * image_.pixel_bytes) + 1;
}

void KernelRows::copy(int64_t first_row, const Run& run, int64_t i, Chunk& chunk) const {
  uint8_t* to = chunk.bytes.data() + (first_row + i) * header_.depth();
  const int64_t width = header_.kernel[2];
  const int64_t step = i * phase_.input_step() * image_.pixel_bytes;
  // Of neighbouring taps a window sees the same ones in every kernel row, if it sees the row.
  int64_t first = 0, end = width;
  if (contiguous_) {
    while (first < end && !phase_.taps()[first].sees_along_line(run, i)) ++first;
    while (first < end && !phase_.taps()[end - 1].sees_along_line(run, i)) --end;
  }
  for (int64_t row = 0; row < header_.kernel_rows(); ++row, to += header_.row_depth()) {
    chunk.pointers[row * kChunkRows + first_row + i] = to;
    std::memset(to, padding_, static_cast<size_t>(header_.row_depth()));
    for (int64_t tap = first, taps; tap < end; tap += taps) {
      taps = contiguous_ ? end - first : 1;
      if (!phase_.taps()[row * width + tap].sees(run, i)) continue;
      const size_t bytes = static_cast<size_t>(taps * image_.k);
      std::memcpy(to + tap * image_.k, pixel_of(run, row * width + tap) + step, bytes);
    }
  }
}

}  // namespace torchq
