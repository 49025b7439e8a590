// Photometric distortion: Howard (arXiv 1312.5402), each factor as PIL's ImageEnhance applies it, in random order, then
// the PCA lighting noise of Krizhevsky et al. 2012. The paper found both useful.
#pragma once
#include "backend/photos.h"
#include "image/augment.h"

namespace googlenet {

/** Draws what happens to the sample's colours. */
gn_colours draw_colours(const AugmentPolicy& policy, const SampleKey& key);

/** Makes the changes on dst (3, n), B G R of 0..255, in place; every step clips to 0..255. `add` is the caller's. */
void distort(const gn_colours& colours, int n, float* dst);

}  // namespace googlenet
