// int8 inference: which values are bytes. A convolution whose ReLU's output was calibrated writes u8, each of its values
// in steps of range / 255, and so what only pools it; it must be a convolution of stride 1 over blocked channels, and
// all readers of the buffer must be such convolutions or pools. The first layers and what LRN or a classifier reads
// stay as they are.
#pragma once
#include <optional>
#include <vector>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

/** Of one blob: what 255 stands for, and the mean of each of its channels over the images calibrated on (may be empty). */
struct Calibration {
  float range = 0;
  std::vector<float> means;
};

/** By node of the graph: which were calibrated. */
using Calibrations = std::vector<std::optional<Calibration>>;

/** Makes those buffers of the layout that can be u8, with the scales and means of their channels. */
void quantize(const Graph& graph, const Calibrations& calibrations, Layout& layout);

}  // namespace googlenet
