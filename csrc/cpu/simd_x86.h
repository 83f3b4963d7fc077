// Floor 1. What the x86 levels have in common, whatever registers they take. Included by their simd_*.h, inside the
// target regions and after load_pixel, load_pixel_halves and pair_of; simd_scalar.h says what each function
// means.

TORCHQ_INLINE PixelPair load_pair(const uint8_t* a, const uint8_t* b, int64_t n, bool flip) {
  return pair_of(load_pixel(a, n), load_pixel(b, n), flip);
}
TORCHQ_INLINE PixelPair load_pair_halves(const uint8_t* a, const uint8_t* b, int64_t step, bool flip) {
  return pair_of(load_pixel_halves(a, step), load_pixel_halves(b, step), flip);
}

// Byte j of vector v of pixels belongs to plane (16 v + j) % 3: which of its 16 bytes, or -1 for another plane's.
struct PixelPlaces {
  int8_t byte[3][3][16];
};
constexpr PixelPlaces pixel_places() {
  PixelPlaces places{};
  for (int v = 0; v < 3; ++v)
    for (int plane = 0; plane < 3; ++plane)
      for (int j = 0; j < 16; ++j)
        places.byte[v][plane][j] = static_cast<int8_t>((16 * v + j) % 3 == plane ? (16 * v + j) / 3 : -1);
  return places;
}
constexpr PixelPlaces kPixelPlaces = pixel_places();

constexpr int kPixels = 16;
TORCHQ_INLINE void store_pixels(uint8_t* p, const uint8_t* a, const uint8_t* b, const uint8_t* c) {
  const __m128i planes[3] = {_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)),
                             _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)),
                             _mm_loadu_si128(reinterpret_cast<const __m128i*>(c))};
#pragma GCC unroll 3
  for (int v = 0; v < 3; ++v) {
    __m128i bytes = _mm_setzero_si128();
#pragma GCC unroll 3
    for (int plane = 0; plane < 3; ++plane) {
      const auto* places = reinterpret_cast<const __m128i*>(kPixelPlaces.byte[v][plane]);
      bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(planes[plane], _mm_loadu_si128(places)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p) + v, bytes);
  }
}
