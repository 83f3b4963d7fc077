// Floor 1. Sixteen lanes in four q registers. Included inside the neon_dot target region; simd_scalar.h says
// what each function means.

struct F32 {
  float32x4_t v[4];
};
struct I32 {
  int32x4_t v[4];
};

#define TORCHQ_EACH_QUARTER(Type, expression)                                \
  Type out;                                                                  \
  _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) out.v[i] = expression; \
  return out

TORCHQ_INLINE F32 set(float x) { TORCHQ_EACH_QUARTER(F32, vdupq_n_f32(x)); }
TORCHQ_INLINE I32 set(int32_t x) { TORCHQ_EACH_QUARTER(I32, vdupq_n_s32(x)); }

TORCHQ_INLINE F32 load(const float* p) { TORCHQ_EACH_QUARTER(F32, vld1q_f32(p + 4 * i)); }
TORCHQ_INLINE I32 load(const int32_t* p) { TORCHQ_EACH_QUARTER(I32, vld1q_s32(p + 4 * i)); }
TORCHQ_INLINE I32 load(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  return {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_high_u16(low)),
           vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), vreinterpretq_s32_u32(vmovl_high_u16(high))}};
}
TORCHQ_INLINE I32 load(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return {{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)}};
}

// NEON has no masks: a part goes through a buffer.
template <typename T>
TORCHQ_INLINE auto load_part(const T* p, int64_t n) {
  if (n >= 16) return load(p);
  T buffer[16] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}

TORCHQ_INLINE void store(float* p, F32 x) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
}
TORCHQ_INLINE void store(int32_t* p, I32 x) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, x.v[i]);
}
TORCHQ_INLINE void store(uint8_t* p, I32 x) {
  const int16x8_t low = vmovn_high_s32(vmovn_s32(x.v[0]), x.v[1]);
  const int16x8_t high = vmovn_high_s32(vmovn_s32(x.v[2]), x.v[3]);
  vst1q_u8(p, vreinterpretq_u8_s8(vmovn_high_s16(vmovn_s16(low), high)));
}
template <typename T, typename V>
TORCHQ_INLINE void store_part(T* p, V x, int64_t n) {
  if (n >= 16) return store(p, x);
  T buffer[16];
  store(buffer, x);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

// vminq_f32 gives NaN where either is NaN; here b is wanted.
TORCHQ_INLINE float32x4_t lesser(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
TORCHQ_INLINE float32x4_t greater(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

TORCHQ_INLINE F32 operator+(F32 a, F32 b) { TORCHQ_EACH_QUARTER(F32, vaddq_f32(a.v[i], b.v[i])); }
TORCHQ_INLINE F32 operator*(F32 a, F32 b) { TORCHQ_EACH_QUARTER(F32, vmulq_f32(a.v[i], b.v[i])); }
TORCHQ_INLINE F32 operator/(F32 a, F32 b) { TORCHQ_EACH_QUARTER(F32, vdivq_f32(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 operator+(I32 a, I32 b) { TORCHQ_EACH_QUARTER(I32, vaddq_s32(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 operator-(I32 a, I32 b) { TORCHQ_EACH_QUARTER(I32, vsubq_s32(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 operator*(I32 a, I32 b) { TORCHQ_EACH_QUARTER(I32, vmulq_s32(a.v[i], b.v[i])); }
TORCHQ_INLINE F32 fma(F32 a, F32 b, F32 c) { TORCHQ_EACH_QUARTER(F32, vfmaq_f32(c.v[i], a.v[i], b.v[i])); }
TORCHQ_INLINE F32 min(F32 a, F32 b) { TORCHQ_EACH_QUARTER(F32, lesser(a.v[i], b.v[i])); }
TORCHQ_INLINE F32 max(F32 a, F32 b) { TORCHQ_EACH_QUARTER(F32, greater(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 min(I32 a, I32 b) { TORCHQ_EACH_QUARTER(I32, vminq_s32(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 max(I32 a, I32 b) { TORCHQ_EACH_QUARTER(I32, vmaxq_s32(a.v[i], b.v[i])); }
TORCHQ_INLINE float reduce_min(F32 a) {
  float lane[16];
  store(lane, a);
  for (int i = 1; i < 16; ++i) lane[0] = lane[i] < lane[0] ? lane[i] : lane[0];
  return lane[0];
}
TORCHQ_INLINE float reduce_max(F32 a) {
  float lane[16];
  store(lane, a);
  for (int i = 1; i < 16; ++i) lane[0] = lane[i] > lane[0] ? lane[i] : lane[0];
  return lane[0];
}
TORCHQ_INLINE bool any_nan(F32 a) {
  uint32x4_t ordered = vceqq_f32(a.v[0], a.v[0]);
#pragma GCC unroll 4
  for (int i = 1; i < 4; ++i) ordered = vandq_u32(ordered, vceqq_f32(a.v[i], a.v[i]));
  return vminvq_u32(ordered) == 0;
}

// vcvtnq rounds half to even whatever the thread's mode and saturates, but makes 0 of NaN.
TORCHQ_INLINE int32x4_t round_half_saturated(float32x4_t a) {
  return vbslq_s32(vceqq_f32(a, a), vcvtnq_s32_f32(a), vdupq_n_s32(INT32_MAX));
}
TORCHQ_INLINE F32 to_f32(I32 a) { TORCHQ_EACH_QUARTER(F32, vcvtq_f32_s32(a.v[i])); }
TORCHQ_INLINE I32 round_to_i32(F32 a) { TORCHQ_EACH_QUARTER(I32, round_half_saturated(a.v[i])); }

TORCHQ_INLINE F32 power_of_two(I32 n) {
  TORCHQ_EACH_QUARTER(F32, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n.v[i], vdupq_n_s32(127)), 23)));
}
TORCHQ_INLINE F32 select_less(F32 a, F32 b, F32 x, F32 y) {
  TORCHQ_EACH_QUARTER(F32, vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]));
}

struct ByteRange {
  int16x8_t offset;
  uint8x16_t lowest, flip;
};
TORCHQ_INLINE ByteRange byte_range(int32_t offset, int32_t lowest, bool is_signed) {
  return {vdupq_n_s16(static_cast<int16_t>(is_signed ? offset + 128 : offset)),
          vdupq_n_u8(static_cast<uint8_t>(is_signed ? lowest + 128 : lowest)),
          vdupq_n_u8(static_cast<uint8_t>(is_signed ? 0x80 : 0))};
}
TORCHQ_INLINE F32 below_ceiling(F32 y) { return y; }  // store_bytes saturates
TORCHQ_INLINE int16x8_t round_to_words(float32x4_t low, float32x4_t high, int16x8_t offset) {
  const int16x4_t words = vqmovn_s32(round_half_saturated(low));
  return vqaddq_s16(vqmovn_high_s32(words, round_half_saturated(high)), offset);
}
TORCHQ_INLINE uint8x16_t narrow(F32 y, const ByteRange& range) {
  const int16x8_t low = round_to_words(y.v[0], y.v[1], range.offset);
  const int16x8_t high = round_to_words(y.v[2], y.v[3], range.offset);
  const uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(low), high);
  return veorq_u8(vmaxq_u8(bytes, range.lowest), range.flip);
}
template <int kVectors>
TORCHQ_INLINE void store_bytes(uint8_t* p, const F32 (&y)[kVectors], const ByteRange& range, int64_t n) {
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i, p += 16, n -= 16) {
    const uint8x16_t bytes = narrow(y[i], range);
    if (n >= 16) {
      vst1q_u8(p, bytes);
    } else {
      uint8_t buffer[16];
      vst1q_u8(buffer, bytes);
      for (int64_t j = 0; j < n; ++j) p[j] = buffer[j];
    }
  }
}
TORCHQ_INLINE void store_two(uint8_t* p, uint8_t* q, F32 a, F32 b, const ByteRange& range, int64_t n, int64_t m) {
  const F32 first[1] = {a}, second[1] = {b};
  store_bytes(p, first, range, n);
  store_bytes(q, second, range, m);
}

TORCHQ_INLINE int64_t fill_pointers_in_eights(const uint8_t*, int64_t, int64_t, const uint8_t**) { return 0; }

// sdot multiplies s8 by s8 and adds four products to an int32: exact for every value, -128 times -128 too.
struct Dot {
  static constexpr bool kSignedActivations = true;
  using Activation = int8x8_t;  // in the first four lanes: sdot takes one quad for all columns
  struct Weight {
    int8x16_t v[4];
  };
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p, const I32& flip) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    int32x2_t bytes = {four, 0};
    // Loaded where it is used: GCC 12 would flip it in a general register and move it over.
    __asm__("" : "+w"(bytes));
    return vreinterpret_s8_s32(veor_s32(bytes, vget_low_s32(flip.v[0])));
  }
  static TORCHQ_INLINE Weight load_weight(const int8_t* p) { TORCHQ_EACH_QUARTER(Weight, vld1q_s8(p + 16 * i)); }
  static TORCHQ_INLINE void multiply_add(I32& acc, Activation a, const Weight& w) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) acc.v[i] = vdotq_lane_s32(acc.v[i], w.v[i], a, 0);
  }
};

// Sums take 20 of 32 registers, weights 4, activations 5, the flip 1. With a sixth row GCC 12 spills.
constexpr int tile_rows(int) { return 5; }
constexpr int pipelined_rows(int) { return 0; }
constexpr int lane_rows(int) { return 0; }
constexpr int kTilePanels = 1;
constexpr int kMaxDoubled = 2;

// Quads (depthwise): 16 channels of four pixels.
constexpr int kQuadVectors = 1;
constexpr int kQuadGroups = 1;
constexpr int kCarriedQuads = 0;
constexpr int quad_channel(int, int lane) { return lane; }
TORCHQ_INLINE uint8x16_t load_pixel(const uint8_t* p, int64_t n) {
  if (n >= 16) return vld1q_u8(p);
  uint8_t buffer[16] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return vld1q_u8(buffer);
}
struct PixelPair {
  uint16x8_t low, high;
};
TORCHQ_INLINE PixelPair load_pair(const uint8_t* p, const uint8_t* q, int64_t n, bool flip) {
  const uint8x16_t a = load_pixel(p, n), b = load_pixel(q, n), mask = vdupq_n_u8(flip ? 0x80 : 0);
  return {vreinterpretq_u16_u8(veorq_u8(vzip1q_u8(a, b), mask)), vreinterpretq_u16_u8(veorq_u8(vzip2q_u8(a, b), mask))};
}
template <int>
TORCHQ_INLINE I32 quads_of(const PixelPair& first, const PixelPair& second) {
  return {{vreinterpretq_s32_u16(vzip1q_u16(first.low, second.low)),
           vreinterpretq_s32_u16(vzip2q_u16(first.low, second.low)),
           vreinterpretq_s32_u16(vzip1q_u16(first.high, second.high)),
           vreinterpretq_s32_u16(vzip2q_u16(first.high, second.high))}};
}
constexpr int kQuadParts = 1;
struct QuadWeights {
  I32 part[kQuadParts];
};
TORCHQ_INLINE int32_t quad_part(uint32_t four, int) { return static_cast<int32_t>(four); }
// u8 times s8 by an instruction for s8: x = (x - 128) + 64 + 64.
TORCHQ_INLINE void multiply_add_quads(I32& acc, I32 x, const QuadWeights& w) {
  const int8x16_t half = vdupq_n_s8(64), flip = vdupq_n_s8(-128);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const int8x16_t weight = vreinterpretq_s8_s32(w.part[0].v[i]);
    acc.v[i] = vdotq_s32(acc.v[i], veorq_s8(vreinterpretq_s8_s32(x.v[i]), flip), weight);
    acc.v[i] = vdotq_s32(vdotq_s32(acc.v[i], half, weight), half, weight);
  }
}
TORCHQ_INLINE void store_quads(uint8_t* p, const F32 (&y)[kQuadVectors], const ByteRange& range, int64_t n) {
  store_bytes(p, y, range, n);
}
constexpr bool kQuadHalves = false;
TORCHQ_INLINE PixelPair load_pair_halves(const uint8_t* a, const uint8_t* b, int64_t, bool flip) {
  return load_pair(a, b, 16, flip);
}
TORCHQ_INLINE void store_quad_halves(uint8_t*, uint8_t*, const F32 (&)[kQuadVectors], const ByteRange&) {}
TORCHQ_INLINE void store_four(float* p, F32 x, int first, int64_t n) {
  float lane[16];
  store(lane, x);
  for (int64_t i = 0; i < 4 && i < n; ++i) p[i] = lane[first + i];
}

// Grouped convolution's: a panel's columns at once.
constexpr int kGroupParts = 1;
using GroupWeights = I32;
using GroupSums = I32;
TORCHQ_INLINE I32 joined_parts(const GroupSums (&sums)[1]) { return sums[0]; }
TORCHQ_INLINE GroupWeights ones_of_groups() { return set(int32_t{0x01010101}); }
TORCHQ_INLINE GroupWeights load_group_weights(const int8_t* p, int) {
  TORCHQ_EACH_QUARTER(I32, vreinterpretq_s32_s8(vld1q_s8(p + 16 * i)));
}
struct Channels {
  int32x4_t v;
};
TORCHQ_INLINE Channels load_channels(const uint8_t* p, int64_t n, bool flip) {
  return {vreinterpretq_s32_u8(veorq_u8(load_pixel(p, n), vdupq_n_u8(flip ? 0x80 : 0)))};
}
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE void multiply_add_group(GroupSums& acc, Channels x, GroupWeights w) {
  const int32x4_t first = vdupq_laneq_s32(x.v, kQuad);
  if (kWidth == 4) {
    multiply_add_quads(acc, {{first, vdupq_laneq_s32(x.v, 1), vdupq_laneq_s32(x.v, 2), vdupq_laneq_s32(x.v, 3)}},
                       {{w}});
  } else {
    const int32x4_t last = vdupq_laneq_s32(x.v, kWidth == 8 ? (kQuad + 2) % 4 : kQuad);
    multiply_add_quads(acc, {{first, first, last, last}}, {{w}});
  }
}
constexpr int kGroupedRows = 4;

constexpr int kBytes = 16;
struct Bytes {
  uint8x16_t v;
};
TORCHQ_INLINE Bytes set_bytes(uint8_t x) { return {vdupq_n_u8(x)}; }
TORCHQ_INLINE Bytes load_block(const uint8_t* p, int64_t n) { return {load_pixel(p, n)}; }
TORCHQ_INLINE void store_block(uint8_t* p, Bytes x, int64_t n) {
  if (n >= 16) return vst1q_u8(p, x.v);
  uint8_t buffer[16];
  vst1q_u8(buffer, x.v);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}
TORCHQ_INLINE Bytes max(Bytes a, Bytes b) { return {vmaxq_u8(a.v, b.v)}; }
TORCHQ_INLINE Bytes min(Bytes a, Bytes b) { return {vminq_u8(a.v, b.v)}; }
TORCHQ_INLINE Bytes operator^(Bytes a, Bytes b) { return {veorq_u8(a.v, b.v)}; }

// A lookup of 64 entries; vqtbx leaves bytes whose index is beyond them.
constexpr int kPixels = 16;
TORCHQ_INLINE void store_pixels(uint8_t* p, const uint8_t* a, const uint8_t* b, const uint8_t* c) {
  vst3q_u8(p, {{vld1q_u8(a), vld1q_u8(b), vld1q_u8(c)}});
}

constexpr int kTableBytes = 16;
struct ByteTable {
  uint8x16x4_t part[4];
};
TORCHQ_INLINE ByteTable load_table(const uint8_t* p) {
  ByteTable table;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    table.part[i] = {
        {vld1q_u8(p + 64 * i), vld1q_u8(p + 64 * i + 16), vld1q_u8(p + 64 * i + 32), vld1q_u8(p + 64 * i + 48)}};
  return table;
}
TORCHQ_INLINE void lookup_bytes(const ByteTable& table, const uint8_t* q, uint8_t* y) {
  uint8x16_t index = vld1q_u8(q), found = vdupq_n_u8(0);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i, index = vsubq_u8(index, vdupq_n_u8(64))) found = vqtbx4q_u8(found, table.part[i], index);
  vst1q_u8(y, found);
}
