// Streams that run as late as they may, events on them, and graphs: what a stream is asked for during a capture, to be
// replayed with the arguments that it had then. Refused as by the real one: waiting for a stream that is captured,
// allocating meanwhile, copying memory that is not pinned. The legacy stream and synchronous copies do not exist here.
//   SIMULATOR_GRAPH    MiB of the device that an instantiated graph takes; default 0
#include <cstdio>

#include "runtime.h"

using namespace simulator;

struct CUevent_st {
  Stream* stream = nullptr;
  uint64_t at = 0;  // items before it
  double clock = 0;
};
struct CUgraph_st {
  std::vector<Item> items;
};
struct CUgraphExec_st {
  std::vector<Item> items;
  int device;
  int64_t bytes;
};

void Stream::enqueue(std::function<void()> work, double milliseconds) {
  const std::lock_guard lock(mutex);
  if (current != device) {
    std::fprintf(stderr, "simulated device: work for device %d while %d is current\n", device, current);
    std::abort();
  }
  if (capture) {
    capture->items.push_back({std::move(work), milliseconds});
  } else if (!idle()) {
    queue.push_back({std::move(work), milliseconds});
    asked++;
  }
}

void Stream::drain(uint64_t until) {
  while (done < until) {
    if (queue.empty()) {
      std::fprintf(stderr, "simulated device: a stream waits for itself\n");
      std::abort();
    }
    const Item item = std::move(queue.front());
    queue.pop_front();
    enter(device);
    if (works(device)) item.work();
    clock += item.milliseconds;
    done++;
  }
}

cudaError_t simulator::refuse_if_capturing() {
  cudaError_t error = cudaSuccess;
  for (Stream* stream : streams) {
    Capture* const c = stream->capture.get();
    if (!c || (c->mode != cudaStreamCaptureModeGlobal && c->thread != std::this_thread::get_id())) continue;
    c->broken = true;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return report(error);
}

namespace googlenet::cuda {
void simulated_launch(cudaStream_t stream, std::function<void()> work) { stream->enqueue(std::move(work), 0.01); }
}  // namespace googlenet::cuda

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(mutex);
  Stream* const made = new Stream;
  streams.insert(made);
  *stream = made;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found || found->capture) return report(cudaErrorInvalidValue);
  found->drain();
  streams.erase(found);
  delete found;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found) return report(cudaErrorInvalidValue);
  if (found->capture) {
    found->capture->broken = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  found->drain();
  return refuse_if_failed(found->device);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found || found->capture) return report(cudaErrorInvalidValue);
  found->enqueue(
      [from = event->stream, at = event->at] {
        if (known(from)) from->drain(at);
      },
      0);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  if (Stream* const stream = known(event->stream)) stream->drain(event->at);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found || found->capture) return report(cudaErrorInvalidValue);
  found->enqueue([=] { event->clock = found->clock; }, 0);
  event->stream = found, event->at = found->asked;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  Stream* const stream = known(event->stream);
  if (!stream) return cudaSuccess;
  stream->drain(event->at);
  return refuse_if_failed(stream->device);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::lock_guard lock(mutex);
  if (!start->stream || start->stream != end->stream || end->stream->done < end->at)
    return report(cudaErrorInvalidValue);
  *milliseconds = float(end->clock - start->clock);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found) return report(cudaErrorStreamCaptureUnsupported);
  if (found->capture) return report(cudaErrorIllegalState);
  found->capture.reset(new Capture{mode, std::this_thread::get_id(), {}});
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(mutex);
  *graph = nullptr;
  Stream* const found = known(stream);
  if (!found || !found->capture) return report(cudaErrorIllegalState);
  if (found->capture->thread != std::this_thread::get_id()) return report(cudaErrorStreamCaptureWrongThread);
  const auto capture = std::move(found->capture);
  if (capture->broken) return report(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(capture->items)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const std::lock_guard lock(mutex);
  if (const cudaError_t error = refuse_if_capturing(); error != cudaSuccess) return error;
  const int64_t bytes = int64_t(setting("SIMULATOR_GRAPH", 0)) << 20;
  if (!take(current, bytes)) return report(cudaErrorMemoryAllocation);
  *exec = new CUgraphExec_st{graph->items, current, bytes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found || found->capture || found->device != exec->device) return report(cudaErrorInvalidValue);
  for (const Item& item : exec->items) found->enqueue(item.work, item.milliseconds);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const std::lock_guard lock(mutex);
  give(exec->device, exec->bytes);
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

}  // extern "C"
