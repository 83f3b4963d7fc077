// Floor 1. Sixteen lanes in plain C++: what every simd_*.h provides, and what it means.
//
//   F32, I32            sixteen float32 or int32 lanes; int32 arithmetic wraps
//   load, load_part     from float, int32, or bytes that are widened; a part reads n <= 16 elements, the rest is 0
//   store_part          the first n <= 16 lanes; to bytes: the low byte of each lane
//   min, max            a < b ? a : b and a > b ? a : b, so that b is taken where a is NaN
//   round_to_i32        numerics.h's round_to_int32
//   power_of_two        2^n for n in [-126, 127]
//   select_less         a < b ? x : y
//   below_ceiling       what store_bytes takes: y below 2^31 as it is, anything else, NaN too, as kInt32Ceiling
//   store_bytes         the first n of 16 * kVectors lanes: max(sat(rne(y) + offset), lowest)
//   store_two           the first n lanes of a as store_bytes does, and the first m of b
//   fill_pointers_in_eights  to[i] = first + i * step for as many i below n as whole vectors of the level hold
//   Dot                 acc[j] += sum of 4 activation bytes times weight bytes 4j .. 4j + 3
//   kTilePanels         the register tile of the GEMM body: panels of 16 columns
//   tile_rows           and up to how many rows, with that many panels
//   pipelined_rows      the rows of a tile with that many panels whose sums fit twice, where Dot also loads activations
//                       that need no flip; or 0
//   kMaxDoubled         up to how many accumulators of a tile are worth a second set, and fit
//
// Quads, the bytes of four pixels interleaved per channel, are depthwise convolution's:
//
//   load_pair           16 * kQuadVectors channels of two pixels, n of them there, the rest anything, as u8
//   quads_of            vector kVector of the quads of two pairs: lane l holds the four bytes of channel
//                       quad_channel(kVector, l), which runs in fours
//   kQuadGroups         how many groups of pixels are worth computing at a time, and fit
//   kCarriedQuads       for how many quads pairs are worth keeping from one group to the next, and fit; or 0
//   quad_part           part kQuadParts of four weights, which multiply_add_quads takes them in
//   multiply_add_quads  acc[l] += sum of 4 u8 times 4 s8, exact for every value
//   store_quads         store_bytes of lanes in that order, n channels
//   kQuadHalves         whether these are there: half as many channels, all of them, of a pair and, in the upper half,
//                       of the pair `step` bytes further on; they are stored at p and, before that, at q
//   store_four          lanes first .. first + 3, n of them at most
//   Group...            the columns of a panel in kGroupParts parts, which joined_parts joins
//   load_channels       n <= 16 channels of a pixel, the rest 0, as u8
//   multiply_add_group  acc[i] += quad kQuad of the group of kWidth (4, 8 or 16) channels that channel i is in, times
//                       w[i], for the columns i of part kPart
//   lane_rows           the rows of a tile with groups of so many channels in lanes (gemm_group_lanes.h); or 0, and then
//                       what follows is not there
//   regroup_columns     sixteen dwords of each of four panels, `stride` bytes apart, in the order of columns_of_lanes, to
//                       four vectors `step` bytes apart
//   regroup_weights     a tap's weights of four panels: vector j holds what meets load_lanes in column j of each group
//   load_lanes          64 channels as they lie, as u8
//   columns_of_lanes    the sums of the four panels' columns
//   store_lanes         store_bytes of values in that order
//
//   Bytes               kBytes lanes of uint8; a part reads or writes n of them, the rest is 0
//   store_pixels        kPixels bytes of three planes, beside each other
//   lookup_bytes        y[i] = table[q[i]] of kTableBytes bytes

struct F32 {
  float v[16];
};
struct I32 {
  int32_t v[16];
};

TORCHQ_INLINE int32_t wrap_add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
TORCHQ_INLINE int32_t wrap_sub(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
}
TORCHQ_INLINE int32_t wrap_mul(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
}

#define TORCHQ_EACH_LANE(Type, expression)            \
  Type out;                                           \
  for (int i = 0; i < 16; ++i) out.v[i] = expression; \
  return out

TORCHQ_INLINE F32 set(float x) { TORCHQ_EACH_LANE(F32, x); }
TORCHQ_INLINE I32 set(int32_t x) { TORCHQ_EACH_LANE(I32, x); }

TORCHQ_INLINE F32 load_part(const float* p, int64_t n) { TORCHQ_EACH_LANE(F32, i < n ? p[i] : 0.0f); }
template <typename T>
TORCHQ_INLINE I32 load_part(const T* p, int64_t n) {
  TORCHQ_EACH_LANE(I32, i < n ? p[i] : 0);
}
TORCHQ_INLINE F32 load(const float* p) { return load_part(p, 16); }
template <typename T>
TORCHQ_INLINE I32 load(const T* p) {
  return load_part(p, 16);
}

TORCHQ_INLINE void store_part(float* p, const F32& x, int64_t n) {
  for (int64_t i = 0; i < n && i < 16; ++i) p[i] = x.v[i];
}
template <typename T>
TORCHQ_INLINE void store_part(T* p, const I32& x, int64_t n) {
  for (int64_t i = 0; i < n && i < 16; ++i) p[i] = static_cast<T>(x.v[i]);
}

TORCHQ_INLINE F32 operator+(const F32& a, const F32& b) { TORCHQ_EACH_LANE(F32, a.v[i] + b.v[i]); }
TORCHQ_INLINE F32 operator*(const F32& a, const F32& b) { TORCHQ_EACH_LANE(F32, a.v[i] * b.v[i]); }
TORCHQ_INLINE F32 operator/(const F32& a, const F32& b) { TORCHQ_EACH_LANE(F32, a.v[i] / b.v[i]); }
TORCHQ_INLINE I32 operator+(const I32& a, const I32& b) { TORCHQ_EACH_LANE(I32, wrap_add(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 operator-(const I32& a, const I32& b) { TORCHQ_EACH_LANE(I32, wrap_sub(a.v[i], b.v[i])); }
TORCHQ_INLINE I32 operator*(const I32& a, const I32& b) { TORCHQ_EACH_LANE(I32, wrap_mul(a.v[i], b.v[i])); }
TORCHQ_INLINE F32 fma(const F32& a, const F32& b, const F32& c) {
  TORCHQ_EACH_LANE(F32, __builtin_fmaf(a.v[i], b.v[i], c.v[i]));
}
TORCHQ_INLINE F32 min(const F32& a, const F32& b) { TORCHQ_EACH_LANE(F32, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE F32 max(const F32& a, const F32& b) { TORCHQ_EACH_LANE(F32, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE I32 min(const I32& a, const I32& b) { TORCHQ_EACH_LANE(I32, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE I32 max(const I32& a, const I32& b) { TORCHQ_EACH_LANE(I32, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE float reduce_min(const F32& a) {
  float least = a.v[0];
  for (int i = 1; i < 16; ++i) least = a.v[i] < least ? a.v[i] : least;
  return least;
}
TORCHQ_INLINE float reduce_max(const F32& a) {
  float most = a.v[0];
  for (int i = 1; i < 16; ++i) most = a.v[i] > most ? a.v[i] : most;
  return most;
}
TORCHQ_INLINE bool any_nan(const F32& a) {
  bool found = false;
  for (int i = 0; i < 16; ++i) found |= a.v[i] != a.v[i];
  return found;
}

TORCHQ_INLINE F32 to_f32(const I32& a) { TORCHQ_EACH_LANE(F32, static_cast<float>(a.v[i])); }
TORCHQ_INLINE I32 round_to_i32(const F32& a) { TORCHQ_EACH_LANE(I32, round_to_int32(a.v[i])); }

TORCHQ_INLINE F32 power_of_two(const I32& n) {
  I32 bits;
  for (int i = 0; i < 16; ++i) bits.v[i] = static_cast<int32_t>((static_cast<uint32_t>(n.v[i]) + 127) << 23);
  F32 out;
  __builtin_memcpy(out.v, bits.v, sizeof(out.v));
  return out;
}
TORCHQ_INLINE F32 select_less(const F32& a, const F32& b, const F32& x, const F32& y) {
  TORCHQ_EACH_LANE(F32, a.v[i] < b.v[i] ? x.v[i] : y.v[i]);
}

struct ByteRange {
  int32_t offset, lowest, highest;
};
TORCHQ_INLINE ByteRange byte_range(int32_t offset, int32_t lowest, bool is_signed) {
  return {offset, lowest, is_signed ? 127 : 255};
}
TORCHQ_INLINE F32 below_ceiling(const F32& y) { return y; }  // store_bytes saturates
template <int kVectors>
TORCHQ_INLINE void store_bytes(uint8_t* p, const F32 (&y)[kVectors], const ByteRange& range, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t moved = static_cast<int64_t>(round_to_int32(y[i / 16].v[i % 16])) + range.offset;
    const int64_t capped = moved < range.highest ? moved : range.highest;
    p[i] = static_cast<uint8_t>(capped > range.lowest ? capped : range.lowest);
  }
}
TORCHQ_INLINE void store_two(uint8_t* p, uint8_t* q, F32 a, F32 b, const ByteRange& range, int64_t n, int64_t m) {
  const F32 first[1] = {a}, second[1] = {b};
  store_bytes(p, first, range, n);
  store_bytes(q, second, range, m);
}

TORCHQ_INLINE int64_t fill_pointers_in_eights(const uint8_t*, int64_t, int64_t, const uint8_t**) { return 0; }

struct Dot {
  static constexpr bool kSignedActivations = false;
  struct Activation {
    int32_t byte[4];
  };
  struct Weight {
    const int8_t* bytes;
  };
  static TORCHQ_INLINE Activation load_activation(const uint8_t* p, const I32& flip) {
    const int32_t mask = flip.v[0] & 0xff;
    return {{p[0] ^ mask, p[1] ^ mask, p[2] ^ mask, p[3] ^ mask}};
  }
  static TORCHQ_INLINE Weight load_weight(const int8_t* p) { return {p}; }
  static TORCHQ_INLINE void multiply_add(I32& acc, const Activation& a, Weight w) {
    for (int j = 0; j < 16; ++j) {
      const int8_t* b = w.bytes + 4 * j;
      acc.v[j] = wrap_add(acc.v[j], a.byte[0] * b[0] + a.byte[1] * b[1] + a.byte[2] * b[2] + a.byte[3] * b[3]);
    }
  }
};

constexpr int tile_rows(int) { return 1; }
constexpr int pipelined_rows(int) { return 0; }
constexpr int lane_rows(int) { return 0; }
constexpr int kTilePanels = 1;
constexpr int kMaxDoubled = 0;

constexpr int kQuadVectors = 1;
constexpr int kQuadGroups = 1;
constexpr int kCarriedQuads = 0;
constexpr int quad_channel(int, int lane) { return lane; }
struct PixelPair {
  uint8_t v[16][2];
};
TORCHQ_INLINE PixelPair load_pair(const uint8_t* a, const uint8_t* b, int64_t n, bool flip) {
  PixelPair pair = {};
  const uint8_t mask = flip ? 0x80 : 0;
  for (int64_t i = 0; i < 16 && i < n; ++i) {
    pair.v[i][0] = a[i] ^ mask;
    pair.v[i][1] = b[i] ^ mask;
  }
  return pair;
}
template <int>
TORCHQ_INLINE I32 quads_of(const PixelPair& a, const PixelPair& b) {
  TORCHQ_EACH_LANE(
      I32, static_cast<int32_t>(a.v[i][0] | a.v[i][1] << 8 | b.v[i][0] << 16 | static_cast<uint32_t>(b.v[i][1]) << 24));
}
constexpr int kQuadParts = 1;
struct QuadWeights {
  I32 part[kQuadParts];
};
TORCHQ_INLINE int32_t quad_part(uint32_t four, int) { return static_cast<int32_t>(four); }
TORCHQ_INLINE void multiply_add_quads(I32& acc, const I32& x, const QuadWeights& w) {
  for (int i = 0; i < 16; ++i) {
    for (int tap = 0; tap < 4; ++tap) {
      const auto byte = static_cast<uint8_t>(static_cast<uint32_t>(x.v[i]) >> (8 * tap));
      const auto weight = static_cast<int8_t>(static_cast<uint32_t>(w.part[0].v[i]) >> (8 * tap));
      acc.v[i] = wrap_add(acc.v[i], byte * weight);
    }
  }
}
TORCHQ_INLINE void store_quads(uint8_t* p, const F32 (&y)[kQuadVectors], const ByteRange& range, int64_t n) {
  store_bytes(p, y, range, n < 16 ? n : 16);
}
constexpr bool kQuadHalves = false;
TORCHQ_INLINE PixelPair load_pair_halves(const uint8_t* a, const uint8_t* b, int64_t, bool flip) {
  return load_pair(a, b, 16, flip);
}
TORCHQ_INLINE void store_quad_halves(uint8_t*, uint8_t*, const F32 (&)[kQuadVectors], const ByteRange&) {}
TORCHQ_INLINE void store_four(float* p, const F32& x, int first, int64_t n) {
  for (int64_t i = 0; i < 4 && i < n; ++i) p[i] = x.v[first + i];
}

// Grouped convolution's: a panel's columns at once.
constexpr int kGroupParts = 1;
using GroupWeights = I32;
using GroupSums = I32;
TORCHQ_INLINE I32 joined_parts(const GroupSums (&sums)[1]) { return sums[0]; }
TORCHQ_INLINE GroupWeights ones_of_groups() { return set(int32_t{0x01010101}); }
TORCHQ_INLINE GroupWeights load_group_weights(const int8_t* p, int) {
  I32 w;
  __builtin_memcpy(w.v, p, 64);
  return w;
}
struct Channels {
  uint8_t v[16];
};
TORCHQ_INLINE Channels load_channels(const uint8_t* p, int64_t n, bool flip) {
  TORCHQ_EACH_LANE(Channels, i < n ? static_cast<uint8_t>(p[i] ^ (flip ? 0x80 : 0)) : uint8_t{0});
}
template <int kWidth, int kQuad, int kPart>
TORCHQ_INLINE void multiply_add_group(GroupSums& acc, const Channels& x, const GroupWeights& w) {
  I32 quads;
  for (int i = 0; i < 16; ++i) __builtin_memcpy(&quads.v[i], x.v + i / kWidth * kWidth + 4 * kQuad, 4);
  multiply_add_quads(acc, quads, {{w}});
}
constexpr int kGroupedRows = 1;

constexpr int kBytes = 16;
struct Bytes {
  uint8_t v[kBytes];
};
TORCHQ_INLINE Bytes set_bytes(uint8_t x) { TORCHQ_EACH_LANE(Bytes, x); }
TORCHQ_INLINE Bytes load_block(const uint8_t* p, int64_t n) { TORCHQ_EACH_LANE(Bytes, i < n ? p[i] : uint8_t{0}); }
TORCHQ_INLINE void store_block(uint8_t* p, const Bytes& x, int64_t n) {
  for (int64_t i = 0; i < n && i < kBytes; ++i) p[i] = x.v[i];
}
TORCHQ_INLINE Bytes max(const Bytes& a, const Bytes& b) { TORCHQ_EACH_LANE(Bytes, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE Bytes min(const Bytes& a, const Bytes& b) { TORCHQ_EACH_LANE(Bytes, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
TORCHQ_INLINE Bytes operator^(const Bytes& a, const Bytes& b) {
  TORCHQ_EACH_LANE(Bytes, static_cast<uint8_t>(a.v[i] ^ b.v[i]));
}

constexpr int kPixels = 1;
TORCHQ_INLINE void store_pixels(uint8_t* p, const uint8_t* a, const uint8_t* b, const uint8_t* c) {
  p[0] = *a, p[1] = *b, p[2] = *c;
}

constexpr int kTableBytes = 1;
struct ByteTable {
  const uint8_t* bytes;
};
TORCHQ_INLINE ByteTable load_table(const uint8_t* p) { return {p}; }
TORCHQ_INLINE void lookup_bytes(const ByteTable& table, const uint8_t* q, uint8_t* y) { *y = table.bytes[*q]; }
