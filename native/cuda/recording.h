// gn_recorder as CUDA graphs: what a stream is asked for between begin and end becomes a graph, and a replay is one
// launch.
#pragma once
#include <cuda_runtime_api.h>

#include "backend/backend.h"

namespace googlenet::cuda {

void begin_recording(cudaStream_t stream);
/** Null, and nothing thrown, unless `keep`. Throws OUT_OF_MEMORY when the device has no room for the graph. */
gn_recording* end_recording(cudaStream_t stream, bool keep);
void replay(cudaStream_t stream, const gn_recording& recording);
void destroy(gn_recording* recording);

}  // namespace googlenet::cuda
