#include "pack.h"

#include <cstring>
#include <initializer_list>
#include <limits>

#include "../../numerics.h"

namespace torchq {
namespace {

constexpr uint32_t kMagic = 0x31575154;  // "TQW1"
constexpr uint32_t kVersion = 3;

// Calls visit(weight index, packed offset) for every weight of one output channel.
template <typename Visit>
void for_each_weight(const PackedHeader& header, int64_t channel, Visit visit) {
  const int64_t taps = header.taps();
  const int64_t row = channel * header.k * taps;
  const int64_t column = channel % header.group_columns();
  const int64_t group = channel / header.group_columns();
  const int64_t panel = (group * header.group_panels() + column / kPanelColumns) * header.panel_bytes();
  for (int64_t k = 0; k < header.k; ++k) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t depth = header.depth_of(tap, k);
      visit(row + k * taps + tap, panel + (depth / 4 * kPanelColumns + column % kPanelColumns) * 4 + depth % 4);
    }
  }
}

// Where a channel's sum and zero point are.
int64_t column_index(const PackedHeader& header, int64_t channel) {
  const int64_t columns = header.group_columns();
  return channel / columns * header.group_panels() * kPanelColumns + channel % columns;
}

// Whether the sizes are those of a weight that can be packed, so that no arithmetic on them overflows.
bool has_possible_sizes(const PackedHeader& header) {
  for (const int32_t size :
       {header.groups, header.columns, header.k, header.kernel[0], header.kernel[1], header.kernel[2]})
    if (size < 1) return false;
  for (const int32_t size : header.kernel)
    if (size > kMaxReduction) return false;
  return header.k <= kMaxReduction && header.taps() <= kMaxReduction && header.taps() * header.k <= kMaxReduction &&
         int64_t{header.groups} * header.columns <= std::numeric_limits<int32_t>::max();
}

}  // namespace

PackedHeader packed_header(int64_t groups, int64_t columns, int64_t k, const int64_t (&kernel)[3], bool zero_points) {
  PackedHeader header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.groups = static_cast<int32_t>(groups);
  header.columns = static_cast<int32_t>(columns);
  header.k = static_cast<int32_t>(k);
  for (int i = 0; i < 3; ++i) header.kernel[i] = static_cast<int32_t>(kernel[i]);
  header.has_zero_points = zero_points ? 1 : 0;
  return header;
}

PackedWeight::PackedWeight(const uint8_t* data, int64_t bytes, const char** error) : header_{}, data_(data) {
  *error = nullptr;
  if (reinterpret_cast<uintptr_t>(data) % alignof(int32_t) != 0) {
    *error = "its address is no multiple of 4";
    return;
  }
  if (bytes < static_cast<int64_t>(sizeof(PackedHeader))) {
    *error = "it is shorter than a packed weight's header";
    return;
  }
  std::memcpy(&header_, data, sizeof(PackedHeader));
  if (header_.magic != kMagic) {
    *error = "it was not made by pack_weight";
  } else if (header_.version != kVersion) {
    *error = "it was made by another version of torchq";
  } else if (!has_possible_sizes(header_) || header_.total_bytes() != bytes) {
    *error = "it is cut short or too long";
  }
}

const int8_t* PackedWeight::panels(int64_t group) const {
  return reinterpret_cast<const int8_t*>(data_ + sizeof(PackedHeader)) +
         group * header_.group_panels() * header_.panel_bytes();
}

const int32_t* PackedWeight::column_sums(int64_t group) const {
  return reinterpret_cast<const int32_t*>(data_ + sizeof(PackedHeader) + header_.panels_bytes()) +
         group * header_.group_panels() * kPanelColumns;
}

const int32_t* PackedWeight::zero_points(int64_t group) const {
  return header_.has_zero_points ? column_sums(group) + header_.total_columns() : nullptr;
}

void pack_weight(const PackedHeader& header, const int8_t* weight, const int32_t* zero_points, uint8_t* packed) {
  std::memset(packed, 0, static_cast<size_t>(header.total_bytes()));
  std::memcpy(packed, &header, sizeof(header));
  const char* error;
  const PackedWeight view(packed, header.total_bytes(), &error);
  auto* panels = reinterpret_cast<int8_t*>(packed + sizeof(PackedHeader));
  auto* sums = const_cast<int32_t*>(view.column_sums(0));
  auto* zeros = const_cast<int32_t*>(view.zero_points(0));
  for (int64_t channel = 0; channel < int64_t{header.groups} * header.columns; ++channel) {
    const int64_t column = column_index(header, channel);
    for_each_weight(header, channel, [&](int64_t from, int64_t to) {
      panels[to] = weight[from];
      sums[column] += weight[from];
    });
    if (zeros != nullptr) zeros[column] = zero_points[channel];
  }
}

void unpack_weight(const PackedWeight& packed, int8_t* weight) {
  const PackedHeader& header = packed.header();
  for (int64_t channel = 0; channel < int64_t{header.groups} * header.columns; ++channel)
    for_each_weight(header, channel, [&](int64_t to, int64_t from) { weight[to] = packed.panels(0)[from]; });
}

}  // namespace torchq
