// Parameters between their logical form (Caffe's shape, f32, as files and JavaScript hold them) and the flat
// physical arena of layout.h, where rows and columns are padded to blocks and grouped weights are block-diagonal.
#pragma once
#include <cstdint>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

/** Padding and off-diagonal blocks of the arena must already be 0. */
void store_parameter(const Graph& graph, const Layout& layout, int parameter, const float* logical, float* arena);
void fetch_parameter(const Graph& graph, const Layout& layout, int parameter, const float* arena, float* logical);

/** Fills `logical` as the parameter's filler says: a pure function of seed, parameter index and element. */
void fill_parameter(const Graph& graph, int parameter, uint64_t seed, float* logical);

}  // namespace googlenet
