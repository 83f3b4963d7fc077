// Floor 2. max_pool, avg_pool, adaptive_avg_pool over [N, *spatial, C], in one to three spatial dimensions.
#include <algorithm>

#include "pool/pool.h"
#include "tensors.h"

namespace torchq {
namespace {

// One spatial dimension of a pool.
struct Axis {
  int64_t input = 1, kernel = 1, stride = 1, padding = 0, dilation = 1, output = 1;
};

// The input coordinates under one output coordinate, clipped to the input, and the extent that average
// pooling divides by when it counts padding: clipped to the padded input only.
struct Span {
  int64_t begin, end, step;
  int64_t padded_extent;
};

void find_output(const char* op, bool ceil_mode, Axis& axis) {
  const int64_t extent = axis.dilation * (axis.kernel - 1) + 1;
  TORCHQ_CHECK(axis.input >= 1, "torchq::", op, ": input must not be empty in a spatial dimension, got ", axis.input);
  TORCHQ_CHECK(axis.kernel >= 1 && axis.stride >= 1 && axis.dilation >= 1, "torchq::", op,
               ": kernel_size, stride and dilation must be at least 1, got ", axis.kernel, ", ", axis.stride, " and ",
               axis.dilation);
  TORCHQ_CHECK(axis.padding >= 0 && 2 * axis.padding <= axis.kernel, "torchq::", op,
               ": padding must lie in [0, kernel_size / 2], got ", axis.padding, " for a kernel of ", axis.kernel);
  const int64_t room = axis.input + 2 * axis.padding - extent;
  TORCHQ_CHECK(room >= 0, "torchq::", op, ": a kernel of ", extent, " with its dilation does not fit an input of ",
               axis.input, " padded by ", axis.padding);
  axis.output = (room + (ceil_mode ? axis.stride - 1 : 0)) / axis.stride + 1;
  // No window may start in the right padding.
  if (ceil_mode && (axis.output - 1) * axis.stride >= axis.input + axis.padding) --axis.output;
}

Span span_of(const Axis& axis, int64_t position) {
  int64_t begin = position * axis.stride - axis.padding;
  const int64_t full = begin + axis.dilation * (axis.kernel - 1) + 1;
  const int64_t padded_end = std::min(full, axis.input + axis.padding);
  const int64_t extent = padded_end - begin;
  while (begin < 0) begin += axis.dilation;
  return {begin, std::min(full, axis.input), axis.dilation, extent};
}

Span adaptive_span(const Axis& axis, int64_t position) {
  const int64_t begin = position * axis.input / axis.output;
  const int64_t end = ((position + 1) * axis.input + axis.output - 1) / axis.output;
  return {begin, end, 1, end - begin};
}

// A pool's input and its windows, the axes counted from the last: leading ones are of one pixel.
struct Pool {
  Tensor input;  // channels innermost
  Axis axes[3];
  int64_t dims;
  Storage storage;
};

void check_extents(const char* op, const char* name, const std::vector<int64_t>& values, int64_t dims) {
  TORCHQ_CHECK(static_cast<int64_t>(values.size()) == dims, "torchq::", op, ": ", name, " must hold ", dims,
               " numbers, one per spatial dimension, got ", values.size());
  for (const int64_t value : values)
    TORCHQ_CHECK(value <= kMaxExtent, "torchq::", op, ": ", name, " must be at most ", kMaxExtent, ", got ", value);
}

Pool check_pool(const char* op, const Tensor& input) {
  const Storage storage = storage_of_bytes(check_input(op, input));
  const int64_t dims = input.dim() - 2;
  TORCHQ_CHECK(dims >= 1 && dims <= 3, "torchq::", op,
               ": input must be [N, C, *spatial] with 1 to 3 spatial dimensions, ", "got ", input.dim(), " dimensions");
  Pool pool{channels_last(input), {}, dims, storage};
  for (int64_t d = 0; d < dims; ++d) pool.axes[3 - dims + d].input = input.size(2 + d);
  return pool;
}

Tensor empty_output(const Pool& pool) {
  std::vector<int64_t> size{pool.input.size(0), pool.input.size(1)};
  for (int64_t i = 3 - pool.dims; i < 3; ++i) size.push_back(pool.axes[i].output);
  return empty_channels_last(Sizes(size.data(), size.size()), pool.input.scalar_type());
}

struct Spans {
  Span along[3];
};

// Neighbouring windows along a line that are alike but for where they lie.
struct Walk {
  int64_t first, windows;
  Span columns;  // of the first one
  int64_t step;  // in pixels

  bool goes_on_at(const Span& next) const {
    return next.end - next.begin == columns.end - columns.begin && next.padded_extent == columns.padded_extent &&
           (windows == 1 || next.begin == columns.begin + windows * step);
  }
};

template <typename SpanOf>
std::vector<Walk> walks(const Axis& axis, const SpanOf& span) {
  std::vector<Walk> found;
  for (int64_t x = 0; x < axis.output; ++x) {
    const Span columns = span(axis, x);
    if (found.empty() || !found.back().goes_on_at(columns)) {
      found.push_back({x, 1, columns, 0});
    } else {
      Walk& last = found.back();
      if (last.windows++ == 1) last.step = columns.begin - last.columns.begin;
    }
  }
  return found;
}

// Calls finish(windows, spans, y) for all windows, several along a line at a time; spans are those of the first.
template <typename SpanOf, typename Finish>
Tensor for_each_window(const Pool& pool, const SpanOf& span, const Finish& finish) {
  Tensor output = empty_output(pool);
  const Axis(&axes)[3] = pool.axes;
  const int64_t channels = pool.input.size(1);
  const auto* from = data_of<uint8_t>(pool.input);
  auto* to = output_of<uint8_t>(output);
  const int64_t lines = output.size(0) * axes[0].output * axes[1].output;
  const int64_t work = std::max<int64_t>(1, pool.input.numel() / std::max<int64_t>(1, lines));
  if (lines == 0) return output;
  const std::vector<Walk> along = walks(axes[2], span);
  parallel_ranges(lines, std::max<int64_t>(1, kSerialElements / work), [&](int64_t begin, int64_t end) {
    std::vector<const uint8_t*> pixels;
    for (int64_t line = begin; line < end; ++line) {
      const int64_t image = line / axes[1].output / axes[0].output;
      const uint8_t* corner = from + image * axes[0].input * axes[1].input * axes[2].input * channels;
      Spans spans;
      spans.along[0] = span(axes[0], line / axes[1].output % axes[0].output);
      spans.along[1] = span(axes[1], line % axes[1].output);
      const auto [planes, rows, unused] = spans.along;
      for (const Walk& walk : along) {
        const Span columns = spans.along[2] = walk.columns;
        pixels.clear();
        for (int64_t i = planes.begin; i < planes.end; i += planes.step)
          for (int64_t j = rows.begin; j < rows.end; j += rows.step)
            for (int64_t k = columns.begin; k < columns.end; k += columns.step)
              pixels.push_back(corner + ((i * axes[1].input + j) * axes[2].input + k) * channels);
        const Windows windows{pixels.data(), static_cast<int64_t>(pixels.size()),
                              channels,      pool.storage == Storage::s8,
                              walk.windows,  walk.step * channels};
        finish(windows, spans, to + (line * axes[2].output + walk.first) * channels);
      }
    }
  });
  return output;
}

// The sum of a window is an exact int32.
void check_window(const char* op, int64_t pixels) {
  constexpr int64_t kMaxPixels = INT32_MAX / 255;
  TORCHQ_CHECK(pixels <= kMaxPixels, "torchq::", op, ": a window must hold at most ", kMaxPixels, " pixels, got ",
               pixels);
}

// The largest of a window is that of its columns: those of a whole line of windows are found first, and serve all of
// them.
Tensor max_of_lines(const Pool& pool) {
  Tensor output = empty_output(pool);
  const Axis(&axes)[3] = pool.axes;
  const int64_t channels = pool.input.size(1), line_bytes = axes[2].input * channels;
  const bool is_signed = pool.storage == Storage::s8;
  const auto* from = data_of<uint8_t>(pool.input);
  auto* to = output_of<uint8_t>(output);
  const PoolKernels& kernels = pool_kernels(current_isa());
  const int64_t lines = output.size(0) * axes[0].output * axes[1].output;
  const int64_t work = std::max<int64_t>(1, pool.input.numel() / std::max<int64_t>(1, lines));
  if (lines == 0) return output;
  const std::vector<Walk> along = walks(axes[2], span_of);
  parallel_ranges(lines, std::max<int64_t>(1, kSerialElements / work), [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> columns(static_cast<size_t>(line_bytes));
    std::vector<const uint8_t*> rows, pixels;
    for (const Walk& walk : along)
      for (int64_t k = walk.columns.begin; k < walk.columns.end; k += walk.columns.step)
        pixels.push_back(columns.data() + k * channels);
    for (int64_t line = begin; line < end; ++line) {
      const Span planes = span_of(axes[0], line / axes[1].output % axes[0].output);
      const Span heights = span_of(axes[1], line % axes[1].output);
      const int64_t first = line / axes[1].output / axes[0].output * axes[0].input;
      rows.clear();
      for (int64_t i = planes.begin; i < planes.end; i += planes.step)
        for (int64_t j = heights.begin; j < heights.end; j += heights.step)
          rows.push_back(from + ((first + i) * axes[1].input + j) * line_bytes);
      const int64_t count = static_cast<int64_t>(rows.size());
      kernels.max_pool({rows.data(), count, line_bytes, is_signed, 1, 0}, columns.data());
      const uint8_t* const* first_pixel = pixels.data();
      for (const Walk& walk : along) {
        const int64_t width = (walk.columns.end - walk.columns.begin + walk.columns.step - 1) / walk.columns.step;
        kernels.max_pool({first_pixel, width, channels, is_signed, walk.windows, walk.step * channels},
                         to + (line * axes[2].output + walk.first) * channels);
        first_pixel += width;
      }
    }
  });
  return output;
}

Tensor max_pool_cpu(const Tensor& input, const std::vector<int64_t>& kernel_size, const std::vector<int64_t>& stride,
                    const std::vector<int64_t>& padding, const std::vector<int64_t>& dilation, bool ceil_mode) {
  constexpr const char* op = "max_pool";
  Pool pool = check_pool(op, input);
  check_extents(op, "kernel_size", kernel_size, pool.dims);
  check_extents(op, "stride", stride, pool.dims);
  check_extents(op, "padding", padding, pool.dims);
  check_extents(op, "dilation", dilation, pool.dims);
  for (int64_t d = 0; d < pool.dims; ++d) {
    Axis& axis = pool.axes[3 - pool.dims + d];
    axis = {axis.input, kernel_size[d], stride[d], padding[d], dilation[d], 0};
    find_output(op, ceil_mode, axis);
  }
  return max_of_lines(pool);
}

Tensor avg_pool_cpu(const Tensor& input, int64_t zero_point, const std::vector<int64_t>& kernel_size,
                    const std::vector<int64_t>& stride, const std::vector<int64_t>& padding, bool ceil_mode,
                    bool count_include_pad, std::optional<int64_t> divisor_override) {
  constexpr const char* op = "avg_pool";
  Pool pool = check_pool(op, input);
  check_extents(op, "kernel_size", kernel_size, pool.dims);
  check_extents(op, "stride", stride, pool.dims);
  check_extents(op, "padding", padding, pool.dims);
  TORCHQ_CHECK(!divisor_override.has_value() || *divisor_override > 0, "torchq::", op,
               ": divisor_override must be above 0, got ", divisor_override.value_or(0));
  const int32_t zero = check_zero_point(op, "zero_point", zero_point, pool.storage);
  int64_t pixels = 1;
  for (int64_t d = 0; d < pool.dims; ++d) {
    Axis& axis = pool.axes[3 - pool.dims + d];
    axis = {axis.input, kernel_size[d], stride[d], padding[d], 1, 0};
    find_output(op, ceil_mode, axis);
    pixels *= std::min(axis.kernel, axis.input);
  }
  check_window(op, pixels);
  const PoolKernels& kernels = pool_kernels(current_isa());
  return for_each_window(pool, span_of, [&](const Windows& windows, const Spans& spans, uint8_t* to) {
    int64_t counted = windows.count;
    if (count_include_pad) {
      counted = 1;
      for (const Span& span : spans.along) counted *= span.padded_extent;
    }
    const float divisor = static_cast<float>(divisor_override.value_or(counted));
    kernels.avg_pool(windows, {1.0f / divisor, zero, false}, to);
  });
}

Tensor adaptive_avg_pool_cpu(const Tensor& input, int64_t zero_point, const std::vector<int64_t>& output_size) {
  constexpr const char* op = "adaptive_avg_pool";
  Pool pool = check_pool(op, input);
  check_extents(op, "output_size", output_size, pool.dims);
  const int32_t zero = check_zero_point(op, "zero_point", zero_point, pool.storage);
  int64_t pixels = 1;
  for (int64_t d = 0; d < pool.dims; ++d) {
    Axis& axis = pool.axes[3 - pool.dims + d];
    TORCHQ_CHECK(output_size[d] >= 1, "torchq::", op, ": output_size must be at least 1, got ", output_size[d]);
    TORCHQ_CHECK(axis.input >= 1, "torchq::", op, ": input must not be empty in a spatial dimension, got ", axis.input);
    axis.output = output_size[d];
    // A window is at most one pixel more than the input's share of it, on either side.
    pixels *= std::min(axis.input, axis.input / axis.output + 2);
  }
  check_window(op, pixels);
  const PoolKernels& kernels = pool_kernels(current_isa());
  return for_each_window(pool, adaptive_span, [&](const Windows& windows, const Spans&, uint8_t* to) {
    kernels.avg_pool(windows, {1.0f / static_cast<float>(windows.count), zero, true}, to);
  });
}

}  // namespace
}  // namespace torchq

STABLE_TORCH_LIBRARY_IMPL(torchq, CPU, m) {
  m.impl("max_pool", TORCH_BOX(&torchq::max_pool_cpu));
  m.impl("avg_pool", TORCH_BOX(&torchq::avg_pool_cpu));
  m.impl("adaptive_avg_pool", TORCH_BOX(&torchq::adaptive_avg_pool_cpu));
}
