// From a decoded photo and what was drawn for it to the network's input, on the processor.
#pragma once
#include <vector>

#include "image/taps.h"

namespace googlenet {

/** Working memory, one per thread. */
struct RenderScratch {
  Taps across, down;
  std::vector<float> row, planes;
};

/** dst: (3, size, size), B G R: whole grey levels by the taps in `scratch`, plus `add`. */
void resample(const Pixels& src, int size, const float add[3], RenderScratch& scratch, float* dst);

/** Resamples `src` (the photo shrunk by `denominator`, or its needed part) and changes its colours.
 *  dst: (3, size, size), B G R, mean subtracted. */
void render(const Drawn& drawn, int size, const Pixels& src, int denominator, RenderScratch& scratch, float* dst);

}  // namespace googlenet
