// The kernels without torch, on inputs of everyday size, to be timed one by one.
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../../csrc/cpu/depthwise/depthwise.h"
#include "../../csrc/cpu/elementwise/elementwise.h"
#include "../../csrc/cpu/embedding/embedding.h"
#include "../../csrc/cpu/gemm/gemm.h"
#include "../../csrc/cpu/gemm/pack.h"
#include "../../csrc/cpu/interpolate/interpolate.h"
#include "../../csrc/cpu/normalize/normalize.h"
#include "../../csrc/cpu/pool/pool.h"
#include "../../csrc/cpu/quantize/quantize.h"
#include "../../csrc/cpu/recurrent/recurrent.h"
#include "../../csrc/cpu/softmax/softmax.h"
#include "../../tests/csrc/kernel_test/inputs.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace torchq;
using kernel_test::Random;

// One call of one kernel.
struct Case {
  std::string family, name;
  double multiplies;  // useful ones; 0 for kernels that only pass over bytes
  double bytes;       // read and written
  std::vector<uint8_t> output;
  std::function<void(Isa, Case&)> run;
};

std::vector<uint8_t> any_bytes(int64_t n, uint8_t highest = 255) {
  Random random(static_cast<uint64_t>(n));
  std::vector<uint8_t> bytes(static_cast<size_t>(n));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits()) & highest;
  return bytes;
}

std::vector<float> any_floats(int64_t n, float low, float high) {
  Random random(static_cast<uint64_t>(n));
  std::vector<float> floats(static_cast<size_t>(n));
  for (float& value : floats) value = random.real(low, high);
  return floats;
}

// Memory on cache lines.
template <typename T>
class Lines {
 public:
  explicit Lines(int64_t n) : memory_(static_cast<size_t>(n) * sizeof(T) + 64) {}
  T* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return reinterpret_cast<T*>(memory_.data() + (64 - address % 64) % 64);
  }

 private:
  std::vector<uint8_t> memory_;
};

// What GemmArgs points at, and the level that it was prepared for.
struct Gemm {
  GemmArgs args{};
  std::vector<uint8_t> a, packed;
  std::vector<const uint8_t*> pointers;
  std::vector<float> scales, bias, row_scales;
  std::vector<int32_t> row_zero_points;
  Lines<PanelParameters> parameters{0};
  Lines<uint8_t> scratch{0};
  int prepared_for = -1;  // the level
};

// A product of [rows, taps * k] to [columns], or of `groups` such products side by side.
Case gemm(const char* name, int64_t rows, int64_t columns, int64_t taps, int64_t k, bool to_float = false,
          bool seven_bits = false, int64_t groups = 1) {
  const auto g = std::make_shared<Gemm>();
  const int64_t kernel[3] = {1, 1, taps};
  const PackedHeader header = packed_header(groups, columns / groups, k, kernel, false);
  g->a = any_bytes(rows * taps * k * groups, seven_bits ? 127 : 255);
  const std::vector<uint8_t> weight = any_bytes(columns * k * taps);
  g->packed.resize(static_cast<size_t>(header.total_bytes()));
  pack_weight(header, reinterpret_cast<const int8_t*>(weight.data()), nullptr, g->packed.data());
  const char* error;
  const PackedWeight view(g->packed.data(), header.total_bytes(), &error);
  for (int64_t i = 0; i < taps * rows; ++i) g->pointers.push_back(g->a.data() + i * k * groups);
  g->scales = any_floats(columns, 0.001f, 0.01f);
  g->bias = any_floats(columns, -1.0f, 1.0f);
  g->row_scales.assign(static_cast<size_t>(rows), 0.02f);
  g->row_zero_points.assign(static_cast<size_t>(rows), 113);
  GemmArgs& args = g->args;
  args.rows = rows;
  args.columns = columns;
  args.row_pointers = g->pointers.data();
  args.row_pitch = rows;
  args.taps = taps;
  args.tap_bytes = k;
  args.group_width = groups > 1 ? k : 0;
  args.panels = view.panels(0);
  args.panel_bytes = header.panel_bytes();
  args.column_sums = view.column_sums(0);
  args.weight_scales = g->scales.data();
  args.bias = g->bias.data();
  if (to_float) {
    args.row_scales = g->row_scales.data();
    args.row_zero_points = g->row_zero_points.data();
  }
  args.input_scale = 0.02f;
  args.input_zero_point = 113;
  args.output_scale = 0.01f * static_cast<float>(taps * k) / 16.0f;
  args.output_zero_point = 101;
  args.output_stride = columns;
  const double multiplies = static_cast<double>(rows * columns) * static_cast<double>(taps * k);
  Case result{"gemm", name, multiplies, static_cast<double>(header.panels_bytes()), {}, {}};
  result.output.resize(static_cast<size_t>(rows * columns * (to_float ? 4 : 1)));
  result.run = [g, to_float](Isa level, Case& self) {
    const GemmKernels& kernels = gemm_kernels(level);
    if (g->prepared_for != static_cast<int>(level)) {
      g->parameters = Lines<PanelParameters>(round_up(g->args.columns, 16) / 16);
      g->args.bounded = (to_float ? kernels.prepare_float : kernels.prepare_bytes)(g->args, g->parameters.data());
      g->args.parameters = g->parameters.data();
      g->scratch = Lines<uint8_t>(kernels.scratch_bytes(g->args.taps, g->args.tap_bytes, g->args.group_width));
      g->args.scratch = g->scratch.data();
      g->prepared_for = static_cast<int>(level);
    }
    g->args.output = self.output.data();
    if (g->args.group_width > 0)
      (to_float ? kernels.grouped_to_float : kernels.grouped_to_bytes)(g->args);
    else
      (to_float ? kernels.to_float : kernels.to_bytes)(g->args);
  };
  return result;
}

struct Depthwise {
  DepthwiseArgs args{};
  std::vector<uint8_t> image, packed;
  std::vector<const uint8_t*> pixels;
  std::vector<float> scales, bias;
  Lines<uint8_t> prepared{0};
  int prepared_for = -1;
};

// A row of 28 output pixels of `channels`, in pairs.
Case depthwise(const char* name, int64_t channels, int64_t size, int64_t stride) {
  const auto d = std::make_shared<Depthwise>();
  const int64_t kernel[3] = {1, size, size}, taps = size * size, outputs = 28, width = outputs * stride + size;
  const PackedHeader header = packed_header(channels, 1, 1, kernel, false);
  const std::vector<uint8_t> weight = any_bytes(channels * taps);
  d->packed.resize(static_cast<size_t>(header.total_bytes()));
  pack_weight(header, reinterpret_cast<const int8_t*>(weight.data()), nullptr, d->packed.data());
  const char* error;
  const PackedWeight view(d->packed.data(), header.total_bytes(), &error);
  d->scales = any_floats(channels, 0.001f, 0.01f);
  d->bias = any_floats(channels, -1.0f, 1.0f);
  DepthwiseArgs& args = d->args;
  args.channels = channels;
  args.kernel_rows = args.kernel_width = size;
  args.panel_row = header.depth_of(size, 0);
  args.pair_step = stride;
  args.panels = view.panels(0);
  args.column_sums = view.column_sums(0);
  args.weight_scales = d->scales.data();
  args.bias = d->bias.data();
  args.input_scale = 0.02f;
  args.input_zero_point = 113;
  args.output_scale = 0.02f;
  args.output_zero_point = 101;
  d->image = any_bytes((width * size + size) * channels);
  for (int64_t i = 0; i < args.quads() * 4; ++i) {
    const int64_t row = i / args.row_slots() % size, column = i % args.row_slots();
    d->pixels.push_back(d->image.data() + (row * width + column) * channels);
  }
  const double outputs_of_all = static_cast<double>(outputs * channels);
  Case result{"depthwise", name, outputs_of_all * static_cast<double>(taps), outputs_of_all * 2, {}, {}};
  result.output.resize(static_cast<size_t>(outputs * channels));
  result.run = [d, stride](Isa level, Case& self) {
    const DepthwiseKernels& kernels = depthwise_kernels(level);
    if (d->prepared_for != static_cast<int>(level)) {
      d->prepared = Lines<uint8_t>(64 * kernels.prepared_lines(d->args));
      d->args.bounded = kernels.prepare(d->args, d->prepared.data());
      d->prepared_for = static_cast<int>(level);
    }
    const DepthwisePixels pixels = {outputs / 2, true, 1, d->pixels.data(), 2 * stride * d->args.channels};
    kernels.run(d->args, d->prepared.data(), pixels, self.output.data());
  };
  return result;
}

// A kernel that passes over bytes: run(level, output).
template <typename Run>
Case pass(const char* family, const char* name, int64_t read, int64_t written, const Run& run) {
  Case result{family, name, 0, static_cast<double>(read + written), {}, {}};
  result.output.resize(static_cast<size_t>(written));
  result.run = [run](Isa level, Case& self) { run(level, self.output.data()); };
  return result;
}

constexpr int64_t kBytes = 16384;

std::vector<Case> make_cases() {
  std::vector<Case> cases = {
      gemm("96 x 1024 x 256", 96, 256, 1, 1024),
      gemm("96 x 512 x 256", 96, 256, 1, 512),
      gemm("96 x 256 x 256", 96, 256, 1, 256),
      gemm("96 x 128 x 256", 96, 256, 1, 128),
      gemm("96 x 64 x 256", 96, 256, 1, 64),
      gemm("96 x 1024 x 256, 7 bits", 96, 256, 1, 1024, false, true),
      gemm("96 x 64 x 256, 7 bits", 96, 256, 1, 64, false, true),
      gemm("96 x 1024 x 256 to float", 96, 256, 1, 1024, true),
      gemm("96 x 9 x 64 x 64", 96, 64, 9, 64),
      gemm("1 x 1024 x 256", 1, 256, 1, 1024),
      gemm("2 x 1024 x 256", 2, 256, 1, 1024),
      gemm("3 x 1024 x 256", 3, 256, 1, 1024),
      gemm("4 x 1024 x 256", 4, 256, 1, 1024),
      gemm("5 x 1024 x 256", 5, 256, 1, 1024),
      gemm("96 x 9 x 4, 32 groups", 96, 128, 9, 4, false, false, 32),
      gemm("96 x 9 x 8, 32 groups", 96, 256, 9, 8, false, false, 32),
      gemm("96 x 9 x 16, 16 groups", 96, 256, 9, 16, false, false, 16),
      depthwise("3 x 3, stride 1, 144 channels", 144, 3, 1),
      depthwise("3 x 3, stride 2, 144 channels", 144, 3, 2),
      depthwise("5 x 5, 144 channels", 144, 5, 1),
  };
  const auto bytes = std::make_shared<std::vector<uint8_t>>(any_bytes(kBytes));
  const auto floats = std::make_shared<std::vector<float>>(any_floats(kBytes, -3.0f, 3.0f));
  const auto ones = std::make_shared<std::vector<float>>(static_cast<size_t>(kBytes), 1.0f);
  const ByteOutput output{10.0f, 101, 0, false};
  static const float inverse = 40.0f, zero_point = 113.0f;
  cases.push_back(pass("quantize", "quantize", kBytes * 4, kBytes, [=](Isa level, uint8_t* y) {
    quantize_kernels(level).quantize(floats->data(), kBytes, &inverse, &zero_point, false, true, Storage::u8, y);
  }));
  cases.push_back(pass("quantize", "dequantize", kBytes, kBytes * 4, [=](Isa level, uint8_t* y) {
    quantize_kernels(level).dequantize(bytes->data(), kBytes, 0.1f, 113, Storage::u8, reinterpret_cast<float*>(y));
  }));
  cases.push_back(pass("quantize", "min_max", kBytes * 4, 8, [=](Isa level, uint8_t* y) {
    auto* range = reinterpret_cast<float*>(y);
    range[0] = range[1] = 0.0f;
    quantize_kernels(level).min_max(floats->data(), kBytes, range, range + 1);
  }));
  const auto operand = [bytes](float scale) { return Operand{bytes->data(), scale, 113.0f}; };
  cases.push_back(pass("elementwise", "add", kBytes * 2, kBytes, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).add(operand(0.1f), operand(0.07f), kBytes, output, y);
  }));
  cases.push_back(pass("elementwise", "mul", kBytes * 2, kBytes, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).mul(operand(0.1f), operand(0.07f), kBytes, 0.01f, output, y);
  }));
  cases.push_back(pass("elementwise", "clamp", kBytes, kBytes, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).clamp(bytes->data(), kBytes, 113, 200, false, y);
  }));
  cases.push_back(pass("elementwise", "lookup", kBytes, kBytes, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).lookup(bytes->data(), kBytes, bytes->data() + 1000, y);
  }));
  cases.push_back(pass("elementwise", "prelu", kBytes, kBytes, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).prelu(operand(0.1f), kBytes, floats->data(), output, y);
  }));
  cases.push_back(pass("elementwise", "interleave", kBytes, kBytes / 3 * 3, [=](Isa level, uint8_t* y) {
    elementwise_kernels(level).interleave(bytes->data(), kBytes / 3, kBytes / 3, y);
  }));
  const auto pixels = std::make_shared<std::vector<const uint8_t*>>();
  for (int64_t i = 0; i < 9; ++i) pixels->push_back(bytes->data() + i * 256);
  const auto windows = [pixels] { return Windows{pixels->data(), 9, 256, false, 1, 0}; };
  cases.push_back(pass("pool", "max_pool 3 x 3, 256 channels", 9 * 256, 256,
                       [=](Isa level, uint8_t* y) { pool_kernels(level).max_pool(windows(), y); }));
  cases.push_back(pass("pool", "avg_pool 3 x 3, 256 channels", 9 * 256, 256, [=](Isa level, uint8_t* y) {
    pool_kernels(level).avg_pool(windows(), {1.0f / 9.0f, 113, true}, y);
  }));
  cases.push_back(pass("normalize", "moments", kBytes, 16, [=](Isa level, uint8_t* y) {
    std::memset(y, 0, 16);
    auto* sums = reinterpret_cast<int64_t*>(y);
    normalize_kernels(level).moments(bytes->data(), kBytes, false, sums, sums + 1);
  }));
  cases.push_back(pass("normalize", "affine", kBytes, kBytes, [=](Isa level, uint8_t* y) {
    static const float offset = -113.0f;
    const AffineArgs args{&offset, false, ones->data(), floats->data(), 0.02f, 20.0f, 113, 0, false};
    normalize_kernels(level).affine(bytes->data(), kBytes, args, y);
  }));
  const auto weights = std::make_shared<SoftmaxWeights>();
  for (int d = 0; d < 256; ++d) weights->below[255 - d] = (1 << 24) >> d / 16;
  cases.push_back(pass("softmax", "softmax of 128", 128, 128, [=](Isa level, uint8_t* y) {
    softmax_kernels(level).softmax(bytes->data(), 128, *weights, 1.0f / 256.0f, 0, false, y);
  }));
  cases.push_back(pass("interpolate", "bilinear, 256 channels", 4 * 256, 256, [=](Isa level, uint8_t* y) {
    const Corners corners{{(*pixels)[0], (*pixels)[1], (*pixels)[2], (*pixels)[3]}, 0.25f, 0.75f, 0.4f, 0.6f};
    interpolate_kernels(level).bilinear(corners, 256, false, y);
  }));
  const auto row = [=](Isa level, uint8_t* y, bool halves) {
    std::memset(y, 0, 4096);
    const EmbeddingKernels& kernels = embedding_kernels(level);
    (halves ? kernels.add_halves : kernels.add_bytes)(bytes->data(), 1024, 0.1f, -3.0f, 1.0f,
                                                      reinterpret_cast<float*>(y));
  };
  cases.push_back(pass("embedding", "add_bytes, 1024 wide", 1024 + 4096, 4096,
                       [=](Isa level, uint8_t* y) { row(level, y, false); }));
  cases.push_back(pass("embedding", "add_halves, 1024 wide", 512 + 4096, 4096,
                       [=](Isa level, uint8_t* y) { row(level, y, true); }));
  cases.push_back(pass("recurrent", "lstm, 512 wide", 512 * 36, 512 * 8, [=](Isa level, uint8_t* y) {
    auto* cell = reinterpret_cast<float*>(y);
    std::memcpy(cell, floats->data(), 512 * 4);
    recurrent_kernels(level).lstm(floats->data(), floats->data() + 2048, 512, cell, cell + 512);
  }));
  cases.push_back(pass("recurrent", "gru, 512 wide", 512 * 28, 512 * 4, [=](Isa level, uint8_t* y) {
    recurrent_kernels(level).gru(floats->data(), floats->data() + 2048, 512, ones->data(), reinterpret_cast<float*>(y));
  }));
  return cases;
}

std::vector<Case>& cases() {
  static std::vector<Case> all = make_cases();
  return all;
}

}  // namespace

EXPORT int64_t kernels_count() { return static_cast<int64_t>(cases().size()); }
EXPORT const char* kernels_family(int64_t i) { return cases()[static_cast<size_t>(i)].family.c_str(); }
EXPORT const char* kernels_name(int64_t i) { return cases()[static_cast<size_t>(i)].name.c_str(); }
EXPORT double kernels_multiplies(int64_t i) { return cases()[static_cast<size_t>(i)].multiplies; }
EXPORT double kernels_bytes(int64_t i) { return cases()[static_cast<size_t>(i)].bytes; }

EXPORT void kernels_run(int64_t i, int level, int64_t times) {
  Case& chosen = cases()[static_cast<size_t>(i)];
  for (int64_t n = 0; n < times; ++n) chosen.run(static_cast<Isa>(level), chosen);
}

// Whether a level's result is the scalar level's, to the bit.
EXPORT int kernels_agree(int64_t i, int level) {
  Case& chosen = cases()[static_cast<size_t>(i)];
  kernels_run(i, 0, 1);
  const std::vector<uint8_t> expected = chosen.output;
  std::memset(chosen.output.data(), 0xa5, chosen.output.size());
  kernels_run(i, level, 1);
  return chosen.output == expected ? 1 : 0;
}
