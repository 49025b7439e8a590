// The formulas of one pixel, for the processor's loops and for kernels alike: constexpr, which nvcc compiles for both.
#pragma once
#include "backend/photos.h"

namespace googlenet {

/** Nearest whole number for 0..255: adding 1.5 * 2^23 leaves no room for a fraction. */
constexpr float grey_level(float v) { return (v + 12582912.0f) - 12582912.0f; }

constexpr float clip(float v) {
  v = v > 0.0f ? v : 0.0f;
  return v < 255.0f ? v : 255.0f;
}

/** ITU-R 601, as PIL's convert('L'). */
constexpr float luma(float b, float g, float r) { return 0.299f * r + 0.587f * g + 0.114f * b; }

/** What every colour change does: each value is moved away from a base, or towards it. */
constexpr float pull(float v, float base, float factor) { return clip(base + factor * (v - base)); }

/** Changes [first, last) of a pixel. mean_luma: of the image before its contrast is changed. */
constexpr void change_colours(const gn_colours& colours, int first, int last, float mean_luma, float (&bgr)[3]) {
  for (int i = first; i < last; i++) {
    const float base = colours.change[i] == GN_BRIGHTNESS ? 0.0f
                       : colours.change[i] == GN_CONTRAST ? mean_luma
                                                          : luma(bgr[0], bgr[1], bgr[2]);
    for (float& v : bgr) v = pull(v, base, colours.factor[i]);
  }
}

}  // namespace googlenet
