// Photometric distortion: Howard (arXiv 1312.5402), each factor as PIL's ImageEnhance applies it, in random order, then
// the PCA lighting noise of Krizhevsky et al. 2012. The paper found both useful.
#pragma once
#include <array>

#include "image/augment.h"

namespace googlenet {

/** Changes dst (3, size, size), B G R of 0..255, in place; every step clips to 0..255. Returns what lighting adds to
 *  B, G and R, which is not clipped and which the caller folds into the mean. */
std::array<float, 3> distort(const AugmentPolicy& policy, const SampleKey& key, float* dst);

}  // namespace googlenet
