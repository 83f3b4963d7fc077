// Floor 1. The packed weight: one layout for every CPU.
//
// Packing puts four consecutive k of one column side by side, where a dot-product instruction wants them, and
// sixteen columns in a row, one vector. It is done once, when a module is made; the bytes can be saved,
// mapped and used on any machine. One buffer holds everything that a kernel needs to know about a weight:
//
//   PackedHeader                                                          64 bytes
//   panels       [groups][ceil(columns/16)][depth/4][16][4]               int8, zero-padded
//   column_sums  [groups][columns rounded up to 16]                       int32, sum of a column's weights
//   zero_points  the same shape                                           int32, only if some are not 0
//
// A linear weight [N, K] has one group, one tap and k = K. A convolution weight [O, I/groups, *kernel] has
// columns = O/groups per group, k = I/groups, and a tap per kernel position; its depth runs over kernel rows, which are
// padded to four bytes, and within a row over taps, then k: as pixels lie in memory. A depthwise weight [O, 1, KH, KW]
// is one group of O columns; three-wide kernel rows take four bytes each, others follow each other. Groups of 4, 8 or
// 16 channels to as many lie side by side in a panel.
#pragma once

#include <cstdint>

namespace torchq {

constexpr int64_t kPanelColumns = 16;

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct PackedHeader {
  uint32_t magic;
  uint32_t version;
  int32_t groups;
  int32_t columns;    // per group
  int32_t k;          // per group and tap
  int32_t kernel[3];  // depth, height, width; 1 where the weight has fewer dimensions
  int32_t has_zero_points;
  int32_t reserved[7];

  int64_t taps() const { return int64_t{kernel[0]} * kernel[1] * kernel[2]; }
  // One input and one output channel per group, in 2-d: the channels are then the columns of a single group.
  bool depthwise() const { return groups > 1 && columns == 1 && k == 1 && kernel[0] == 1; }
  // Narrow groups: a panel holds the columns of several, each multiplied by its own channels.
  bool side_by_side() const { return groups > 1 && columns == k && (k == 4 || k == 8 || k == 16); }
  // Depthwise kernel rows of three take a quad each; other depthwise taps go in order.
  bool row_quads() const { return depthwise() && kernel[2] == 3; }
  // Whether a product reads the channels of one tap at a time, or a kernel row, whose bytes are padded to whole quads.
  bool taps_in_place() const { return k % 4 == 0; }
  int64_t kernel_rows() const { return int64_t{kernel[0]} * kernel[1]; }
  int64_t row_depth() const { return round_up(int64_t{kernel[2]} * k, 4); }
  int64_t depth() const { return depthwise() && !row_quads() ? round_up(taps(), 4) : kernel_rows() * row_depth(); }
  // Where a weight's byte is in the depth.
  int64_t depth_of(int64_t tap, int64_t channel) const {
    if (depthwise() && !row_quads()) return tap;
    return tap / kernel[2] * row_depth() + tap % kernel[2] * k + channel;
  }
  // How the columns lie in panels: in groups, or all as one.
  bool joined() const { return depthwise() || side_by_side(); }
  int64_t panel_groups() const { return joined() ? 1 : groups; }
  int64_t group_columns() const { return joined() ? int64_t{groups} * columns : columns; }
  int64_t group_panels() const { return round_up(group_columns(), kPanelColumns) / kPanelColumns; }
  int64_t panel_bytes() const { return depth() * kPanelColumns; }
  int64_t total_panels() const { return panel_groups() * group_panels(); }
  int64_t total_columns() const { return total_panels() * kPanelColumns; }
  int64_t panels_bytes() const { return total_panels() * panel_bytes(); }
  int64_t total_bytes() const {
    return static_cast<int64_t>(sizeof(PackedHeader)) + panels_bytes() +
           total_columns() * 4 * (has_zero_points ? 2 : 1);
  }
};
static_assert(sizeof(PackedHeader) == 64, "the panels start on a cache line");

// Fills in magic and version.
PackedHeader packed_header(int64_t groups, int64_t columns, int64_t k, const int64_t (&kernel)[3], bool zero_points);

// A view of a packed buffer. Sections are those of one group.
class PackedWeight {
 public:
  // `error` is set to a sentence, and the view is not to be used, if the buffer is none.
  PackedWeight(const uint8_t* data, int64_t bytes, const char** error);

  const PackedHeader& header() const { return header_; }
  const int8_t* panels(int64_t group) const;
  const int32_t* column_sums(int64_t group) const;
  const int32_t* zero_points(int64_t group) const;  // null if all are 0

 private:
  PackedHeader header_;
  const uint8_t* data_;
};

// weight: [groups * columns, k, *kernel] contiguous; zero_points: [groups * columns] or null; packed: total_bytes().
void pack_weight(const PackedHeader& header, const int8_t* weight, const int32_t* zero_points, uint8_t* packed);
void unpack_weight(const PackedWeight& packed, int8_t* weight);

}  // namespace torchq
