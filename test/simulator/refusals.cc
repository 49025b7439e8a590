// What the simulated runtime refuses while a stream is captured, as the real one does, and that a graph replays what was
// asked for with the arguments it had then. Prints what is wrong, or nothing.
#include <cstdio>
#include <functional>
#include <thread>

#include "cuda_runtime_api.h"

namespace googlenet::cuda {
void simulated_launch(cudaStream_t stream, std::function<void()> work);
}

static void expect(bool right, const char* what) {
  if (!right) std::printf("%s\n", what);
}

int main() {
  using googlenet::cuda::simulated_launch;
  cudaStream_t stream, other;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
  int* memory = nullptr;
  expect(cudaMalloc(reinterpret_cast<void**>(&memory), 64) == cudaSuccess, "memory");
  int pageable = 7;
  cudaGraph_t graph = nullptr;

  const auto captured = [&](const char* what, cudaStreamCaptureMode mode, bool right, const std::function<void()>& body) {
    cudaStreamBeginCapture(stream, mode);
    body();
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    expect((ended == cudaSuccess) == right && (graph != nullptr) == right, what);
    if (graph) cudaGraphDestroy(graph);
  };
  const auto local = cudaStreamCaptureModeThreadLocal, global = cudaStreamCaptureModeGlobal;
  void* more = nullptr;
  captured("nothing", local, true, [] {});
  captured("waiting for the stream", local, false, [&] { cudaStreamSynchronize(stream); });
  captured("waiting for another stream", local, true, [&] { cudaStreamSynchronize(other); });
  captured("allocating", local, false, [&] { expect(cudaMalloc(&more, 64) != cudaSuccess, "it allocated"); });
  captured("freeing", local, false, [&] { expect(cudaFree(memory) != cudaSuccess, "it freed"); });
  captured("pinning", local, false, [&] { cudaHostAlloc(&more, 64, cudaHostAllocDefault); });
  captured("copying pageable memory", local, false,
           [&] { cudaMemcpyAsync(memory, &pageable, 4, cudaMemcpyHostToDevice, stream); });
  captured("allocating elsewhere", local, true, [&] {
    std::thread([] {
      void* mine = nullptr;
      cudaMalloc(&mine, 64), cudaFree(mine);
    }).join();
  });
  captured("allocating elsewhere, for all", global, false, [&] {
    std::thread([] {
      void* mine = nullptr;
      cudaMalloc(&mine, 64);
    }).join();
  });
  expect(cudaStreamBeginCapture(nullptr, local) != cudaSuccess, "the legacy stream was captured");

  int sum = 0, addend = 1;
  cudaStreamBeginCapture(stream, local);
  simulated_launch(stream, [&sum, addend] { sum += addend; });
  addend = 100;
  cudaStreamEndCapture(stream, &graph);
  cudaStreamSynchronize(stream);
  expect(sum == 0, "a capture ran");
  cudaGraphExec_t exec = nullptr;
  cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  for (int i = 0; i < 3; i++) cudaGraphLaunch(exec, stream);
  expect(sum == 0, "a launch did not wait for its stream");
  cudaStreamSynchronize(stream);
  expect(sum == 3, "a graph did not replay its launches with their arguments");
  expect(cudaGraphLaunch(exec, nullptr) != cudaSuccess, "a graph ran on the legacy stream");

  cudaEvent_t event;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  simulated_launch(stream, [&sum] { sum = 10; });
  cudaEventRecord(event, stream);
  simulated_launch(stream, [&sum] { sum = 20; });
  cudaStreamWaitEvent(other, event, 0);
  cudaStreamSynchronize(other);
  expect(sum == 10, "a stream did not wait for an event, or for more");
}
