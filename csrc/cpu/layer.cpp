#include "layer.h"

#include <cstring>
#include <optional>

#include "depthwise_driver.h"

namespace torchq {
namespace {

constexpr uint32_t kMagic = 0x314c5154;  // "TQL1"

int64_t panel_lines(int64_t panels) { return panels * static_cast<int64_t>(sizeof(PanelParameters) / sizeof(Line)); }

// The taps of the kernel that a phase of the outputs sees, in order.
std::vector<int64_t> taps_of_phase(const LayerHeader& header, int64_t phase) {
  const ConvWindow window(header.window, header.spatial_dims, header.transposed != 0);
  int64_t index[3];
  for (int i = 3; i-- > 0; phase /= window.axes[i].phases()) index[i] = phase % window.axes[i].phases();
  std::vector<int64_t> taps;
  for (int64_t tap = 0; tap < header.packed.taps(); ++tap) {
    const int64_t width = window.axes[2].kernel, height = window.axes[1].kernel;
    const int64_t at[3] = {tap / width / height, tap / width % height, tap % width};
    bool sees = true;
    for (int i = 0; i < 3; ++i) sees &= window.axes[i].sees(index[i], at[i]);
    if (sees) taps.push_back(tap);
  }
  return taps;
}

// Leaves the product the weights of one set of taps, and their sums.
class TapSet {
 public:
  TapSet(const LayerHeader& header, int64_t set) : header_(header) {
    const PackedHeader& packed = header.packed;
    if (header.transposed != 0) {
      for (const int64_t tap : taps_of_phase(header, set)) add(tap);
      return;
    }
    const ConvWindow window(header.window, header.spatial_dims, false);
    const ConvAxis& outer = window.outer();
    if (set < outer.tap_sets()) {
      range_ = outer.taps_of_set(set);
      each_ = packed.depth() / outer.kernel;
      return;
    }
    range_ = window.axes[2].taps_of_set(set - outer.tap_sets() + 1);
    for (int64_t row = 0; row < packed.kernel_rows(); ++row)
      for (int64_t column = range_.first; column < range_.end; ++column) add(row * packed.kernel[2] + column);
  }

  void apply(const GemmKernels& kernels, GemmArgs& args) {
    if (each_ == 0) {
      args.taps = static_cast<int64_t>(offsets_.size());
      args.tap_bytes = header_.packed.k;
      args.tap_offsets = offsets_.data();
    } else {
      args.panels += range_.first * each_ * kPanelColumns;
      args.tap_bytes = (range_.end - range_.first) * each_;
    }
    column_sums_.resize(static_cast<size_t>(args.columns));
    kernels.sum_columns(args, column_sums_.data());
    args.column_sums = column_sums_.data();
  }

 private:
  void add(int64_t tap) { offsets_.push_back(tap * header_.packed.k * kPanelColumns); }

  const LayerHeader& header_;
  std::vector<int64_t> offsets_;
  ConvAxis::TapRange range_;
  int64_t each_ = 0;  // bytes of the depth at one position of the outer axis; 0 where taps have offsets
  std::vector<int32_t> column_sums_;
};

// Whether the window is one of the packed weight, wherever the header comes from.
bool has_window(const LayerHeader& header) {
  const int64_t dims = header.spatial_dims;
  for (int64_t d = 0; d < dims; ++d) {
    const int64_t *kernel = header.window + d, *stride = kernel + dims, *padding = stride + dims;
    const int64_t* dilation = padding + dims;
    if (*kernel != header.packed.kernel[3 - dims + d] || *stride < 1 || *padding < 0 || *dilation < 1) return false;
  }
  return true;
}

bool prepare_columns(const LayerHeader& header, const Weight& weight, Line* to) {
  const GemmKernels& kernels = gemm_kernels(static_cast<Isa>(header.level));
  bool bounded = true;
  for (int64_t set = 0; set < header.column_sets(); ++set) {
    std::optional<TapSet> taps;
    if (set > 0 || (header.transposed != 0 && header.column_sets() > 1)) taps.emplace(header, set);
    for (int64_t group = 0; group < header.packed.panel_groups(); ++group) {
      GemmArgs args = gemm_args(header, weight.packed, group);
      args.weight_scales = weight.scales + group * args.columns;
      if (weight.bias != nullptr) args.bias = weight.bias + group * args.columns;
      if (taps.has_value()) taps->apply(kernels, args);
      auto* parameters = reinterpret_cast<PanelParameters*>(to);
      bounded &= (header.to_float != 0 ? kernels.prepare_float : kernels.prepare_bytes)(args, parameters);
      to += panel_lines(header.packed.group_panels());
    }
  }
  return bounded;
}

}  // namespace

int64_t LayerHeader::column_sets() const {
  if (spatial_dims == 0) return 1;
  const ConvWindow parsed(window, spatial_dims, transposed != 0);
  if (transposed == 0) return borders != 0 ? parsed.tap_sets(by_columns()) : 1;
  return packed.taps_in_place() ? parsed.axes[0].phases() * parsed.axes[1].phases() * parsed.axes[2].phases() : 1;
}

bool LayerHeader::by_columns() const {
  constexpr int64_t kProducts = 80'000;  // of a row
  if (!packed.taps_in_place() || packed.joined()) return false;
  return packed.group_columns() * packed.depth() >= kProducts;
}

int64_t LayerHeader::padding_lines() const {
  if (spatial_dims == 0) return 0;
  return static_cast<int64_t>(lines_of(int64_t{packed.groups} * packed.k / packed.panel_groups()));
}

int64_t LayerHeader::total_lines() const {
  const int64_t first = static_cast<int64_t>(lines_of(sizeof(LayerHeader)));
  if (packed.depthwise()) return first + depthwise_lines(*this);
  return first + padding_lines() + column_sets() * packed.panel_groups() * panel_lines(packed.group_panels());
}

LayerHeader layer_header(const LayerArgs& args, const PackedHeader& packed, const std::vector<int64_t>& window,
                         bool transposed) {
  LayerHeader header{};
  header.magic = kMagic;
  header.level = static_cast<int32_t>(current_isa());
  header.packed = packed;
  if (window.empty()) {
    TORCHQ_CHECK(packed.groups == 1 && packed.taps() == 1, "torchq::", args.op,
                 ": packed_weight holds a convolution's weight");
  } else {
    header.spatial_dims = static_cast<int32_t>(check_window(args.op, packed, window, transposed));
    std::copy(window.begin(), window.end(), header.window);
  }
  header.transposed = transposed ? 1 : 0;
  header.borders = 1;
  header.signed_input = args.signed_input ? 1 : 0;
  header.to_float = args.to_float ? 1 : 0;
  header.relu = args.relu ? 1 : 0;
  header.input_scale = check_scale(args.op, "input_scale", args.input_scale);
  header.input_zero_point =
      check_zero_point(args.op, "input_zero_point", args.input_zero_point, storage_of_bytes(args.signed_input));
  header.output_scale = 1.0f;
  if (args.to_float) return header;
  header.signed_output = check_bytes(args.op, "output_dtype", args.output_dtype) ? 1 : 0;
  header.output_scale = check_scale(args.op, "output_scale", args.output_scale);
  header.output_zero_point = check_zero_point(args.op, "output_zero_point", args.output_zero_point,
                                              storage_of_bytes(header.signed_output != 0));
  return header;
}

void prepare_layer(const LayerHeader& header, const Weight& weight, Line* lines) {
  Line* to = lines + lines_of(sizeof(header));
  LayerHeader laid_out = header;
  if (header.packed.depthwise()) {
    laid_out.bounded = prepare_depthwise(header, weight, to);
  } else {
    std::memset(to, header.input_zero_point, static_cast<size_t>(header.padding_lines()) * sizeof(Line));
    laid_out.bounded = prepare_columns(header, weight, to + header.padding_lines());
  }
  std::memcpy(lines, &laid_out, sizeof(laid_out));
}

bool Layer::fits(const PackedWeight& packed, int64_t bytes) const {
  return header().magic == kMagic && std::memcmp(&header().packed, &packed.header(), sizeof(PackedHeader)) == 0 &&
         header().spatial_dims >= 0 && header().spatial_dims <= 3 && has_window(header()) &&
         header().total_lines() * static_cast<int64_t>(sizeof(Line)) == bytes;
}

const PanelParameters* Layer::parameters(int64_t set, int64_t group) const {
  const PackedHeader& packed = header().packed;
  if (header().column_sets() == 1) set = 0;
  return reinterpret_cast<const PanelParameters*>(first() + header().padding_lines()) +
         (set * packed.panel_groups() + group) * packed.group_panels();
}

GemmArgs gemm_args(const LayerHeader& header, const PackedWeight& packed, int64_t group) {
  GemmArgs args{};
  args.columns = header.packed.group_columns();
  args.group_width = header.packed.side_by_side() ? header.packed.k : 0;
  args.taps = 1;
  args.tap_bytes = header.packed.depth();
  args.panels = packed.panels(group);
  args.panel_bytes = header.packed.panel_bytes();
  args.column_sums = packed.column_sums(group);
  args.weight_zero_points = packed.zero_points(group);
  args.bounded = header.bounded != 0;
  args.input_scale = header.input_scale;
  args.input_zero_point = header.input_zero_point;
  args.signed_input = header.signed_input != 0;
  args.output_scale = header.output_scale;
  args.output_zero_point = header.output_zero_point;
  args.signed_output = header.signed_output != 0;
  args.relu = header.relu != 0;
  return args;
}

ScalarType output_dtype(const LayerHeader& header) {
  if (header.to_float != 0) return ScalarType::Float;
  return header.signed_output != 0 ? ScalarType::Char : ScalarType::Byte;
}

Layer prepare_once(const LayerHeader& header, const Weight& weight) {
  std::vector<Line>& lines = Chunk::of_this_thread().layer;
  lines.resize(static_cast<size_t>(header.total_lines()));
  prepare_layer(header, weight, lines.data());
  return Layer(lines.data());
}

Tensor run_once(const LayerHeader& header, const char* op, const Weight& weight, const Tensor& input,
                const Residual& residual) {
  if (header.spatial_dims == 0) return run_linear(op, prepare_once(header, weight), weight.packed, input);
  // To sum up the weights for a column set takes as long as some pixels do.
  const int64_t pixels = 25 * header.column_sets();
  LayerHeader once = header;
  once.borders = input.numel() >= pixels * header.packed.groups * header.packed.k ? 1 : 0;
  return run_convolution(op, prepare_once(once, weight), weight.packed, input, residual);
}

}  // namespace torchq
