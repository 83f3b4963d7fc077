// Floor 1. What the x86 levels have in common, whatever registers they take. Included by their simd_*.h, inside the
// target regions and after load_pixel, load_pixel_halves and interleave_pixels; simd_scalar.h says what each function
// means.

TORCHQ_INLINE void load_quads(const uint8_t* const* pixels, int64_t channel, int64_t n, bool flip,
                              I32 (&x)[kQuadVectors]) {
  interleave_pixels(load_pixel(pixels[0] + channel, n), load_pixel(pixels[1] + channel, n),
                    load_pixel(pixels[2] + channel, n), load_pixel(pixels[3] + channel, n), flip, x);
}
TORCHQ_INLINE void load_quad_halves(const uint8_t* const* pixels, int64_t channel, int64_t step, bool flip,
                                    I32 (&x)[kQuadVectors]) {
  interleave_pixels(load_pixel_halves(pixels[0] + channel, step), load_pixel_halves(pixels[1] + channel, step),
                    load_pixel_halves(pixels[2] + channel, step), load_pixel_halves(pixels[3] + channel, step), flip,
                    x);
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
