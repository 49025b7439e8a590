// Parameters between their logical form (Caffe's shape, f32, as files and JavaScript hold them) and the physical one
// of layout.h, where rows and columns are padded to blocks and grouped weights are block-diagonal. `physical` is host
// memory: the parameter's own range of an arena, from its first float.
#pragma once
#include <cstdint>

#include "core/graph.h"
#include "core/layout.h"

namespace googlenet {

/** Padding and off-diagonal blocks must already be 0. */
void store_parameter(const Graph& graph, const Layout& layout, int parameter, const float* logical, float* physical);
void fetch_parameter(const Graph& graph, const Layout& layout, int parameter, const float* physical, float* logical);

/** Fills `logical` as the parameter's filler says: a pure function of seed, parameter index and element. */
void fill_parameter(const Graph& graph, int parameter, uint64_t seed, float* logical);

}  // namespace googlenet
