#include "cuda/recording.h"

#include "cuda/memory.h"

struct gn_recording {
  cudaGraphExec_t graph;
};

namespace googlenet::cuda {

// Other threads go on allocating and waiting for streams of their own: the capture is this thread's alone.
void begin_recording(cudaStream_t stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "beginning to record a step");
}

gn_recording* end_recording(cudaStream_t stream, bool keep) {
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
  if (!keep) {
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    return nullptr;
  }
  check(ended, "recording a step");
  cudaGraphExec_t made = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&made, graph, 0);
  cudaGraphDestroy(graph);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Failure(
        Code::OUT_OF_MEMORY,
        "the device has no memory left to record the step; use a smaller batch, or the option capture: false");
  }
  check(error, "making a graph of a step");
  return new gn_recording{made};
}

void replay(cudaStream_t stream, const gn_recording& recording) {
  check(cudaGraphLaunch(recording.graph, stream), "replaying a step");
}

void destroy(gn_recording* recording) {
  cudaGraphExecDestroy(recording->graph);
  delete recording;
}

}  // namespace googlenet::cuda
