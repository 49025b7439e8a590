// int8 inference: which values are bytes. A convolution whose ReLU's output was calibrated writes u8, each of its values
// in steps of range / 255, and so what only pools it; it must be a convolution of stride 1 over blocked channels, and
// all readers of the buffer must be such convolutions or pools. The first layers and what LRN or a classifier reads
// stay as they are.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

/** Of one blob: what 255 stands for, and the mean of each of its channels over the images calibrated on (may be empty). */
struct Calibration {
  float range = 0;
  std::vector<float> means;
};

/** Makes those buffers of the layout u8 that can be, with the scales and means of their channels. Throws INVALID_ARGUMENT
 *  and INVALID_SHAPE naming the blob whose calibration does not fit. */
void quantize(const Graph& graph, const std::map<std::string, Calibration>& calibrations, Layout& layout);

}  // namespace googlenet
