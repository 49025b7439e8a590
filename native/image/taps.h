// Which source pixels make an output pixel, axis by axis. Bilinear with half-pixel centres; when shrinking, the triangle
// grows with the factor as PIL's BILINEAR does.
#pragma once
#include <vector>

#include "image/augment.h"

namespace googlenet {

/** Output pixel i of an axis is the weighted sum of `count` source pixels from first[i] on. */
struct Taps {
  int count = 0;
  std::vector<int> first;      // (size)
  std::vector<float> weights;  // (size, count), each row sums to 1
  /** What is read: the source pixels [low, high). */
  int low = 0, high = 0;
};

/** Of both axes, mirrored where the placement says so; in pixels of the photo shrunk by `denominator`. */
void choose_taps(const Placement& placement, int size, int denominator, Taps& across, Taps& down);

}  // namespace googlenet
