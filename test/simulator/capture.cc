// Captures of streams, and graphs made of them: what the streams are asked for, to be replayed with the arguments that
// it had then. A stream that waits for a captured event joins the capture; work in a graph is ordered by streams and
// events alone, where they say nothing by SIMULATOR_AHEAD or SIMULATOR_TURNS (streams.cc), and then as it was asked for.
//   SIMULATOR_GRAPH    MiB of the device that an instantiated graph takes; default 0
#include <algorithm>
#include <map>

#include "runtime.h"

using namespace simulator;

using Nodes = std::shared_ptr<const std::vector<Node>>;
struct CUgraph_st {
  Nodes nodes;
};
struct CUgraphExec_st {
  Nodes nodes;
  int device;
  int64_t bytes;
};

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

cudaError_t simulator::wait_captured(Stream& stream, const CUevent_st& event) {
  const auto refuse = [&](cudaError_t error) {
    for (const auto& capture : {stream.capture, event.capture})
      if (capture) capture->broken = true;
    return report(error);
  };
  if (!event.capture) return event.stream ? refuse(cudaErrorStreamCaptureIsolation) : cudaSuccess;
  if (event.capture->ended) return refuse(cudaErrorCapturedEvent);
  if (stream.capture && stream.capture != event.capture) return refuse(cudaErrorStreamCaptureMerge);
  stream.capture = event.capture;
  stream.tail.insert(stream.tail.end(), event.tail.begin(), event.tail.end());
  return cudaSuccess;
}

/** Whether everything that other streams were asked for comes before the origin's end. */
static bool joined(const Capture& capture) {
  std::vector<bool> reached(capture.nodes.size());
  std::vector<int> open = capture.origin->tail;
  while (!open.empty()) {
    const int node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    open.insert(open.end(), capture.nodes[node].after.begin(), capture.nodes[node].after.end());
  }
  return std::all_of(reached.begin(), reached.end(), [](bool is) { return is; });
}

static void replay(const std::vector<Node>& nodes) {
  std::vector<bool> done(nodes.size());
  const auto run = [&](const auto& self, int node) -> void {
    if (done[node]) return;
    for (const int other : nodes[node].after) self(self, other);
    nodes[node].work();
    done[node] = true;
  };
  std::map<uint64_t, std::deque<int>> lines;  // nodes of each stream
  for (int i = 0; i < int(nodes.size()) && take_turns(); i++) lines[nodes[i].stream].push_back(i);
  while (!lines.empty())
    for (auto line = lines.begin(); line != lines.end();) {
      const int node = line->second.front();
      const auto& after = nodes[node].after;
      if (std::all_of(after.begin(), after.end(), [&](int other) { return done[other]; })) {
        run(run, node);
        line->second.pop_front();
      }
      line = line->second.empty() ? lines.erase(line) : std::next(line);
    }
  const Stream* const first = ahead();
  for (const bool others : {false, true})
    for (int i = 0; i < int(nodes.size()); i++)
      if (others || (first && nodes[i].stream == first->number)) run(run, i);
}

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found) return report(cudaErrorStreamCaptureUnsupported);
  if (found->capture) return report(cudaErrorIllegalState);
  found->capture.reset(new Capture{mode, std::this_thread::get_id(), found, {}});
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(mutex);
  *graph = nullptr;
  Stream* const found = known(stream);
  if (!found || !found->capture) return report(cudaErrorIllegalState);
  const auto capture = found->capture;
  if (capture->thread != std::this_thread::get_id()) return report(cudaErrorStreamCaptureWrongThread);
  if (capture->origin != found) return report(cudaErrorStreamCaptureUnmatched);
  const bool whole = joined(*capture);
  capture->ended = true;
  for (Stream* other : streams)
    if (other->capture == capture) other->capture.reset(), other->tail.clear();
  if (capture->broken) return report(cudaErrorStreamCaptureInvalidated);
  if (!whole) return report(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{std::make_shared<std::vector<Node>>(std::move(capture->nodes))};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const std::lock_guard lock(mutex);
  if (const cudaError_t error = refuse_if_capturing(); error != cudaSuccess) return error;
  const int64_t bytes = int64_t(setting("SIMULATOR_GRAPH", 0)) << 20;
  if (!take(current, bytes)) return report(cudaErrorMemoryAllocation);
  *exec = new CUgraphExec_st{graph->nodes, current, bytes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found || found->capture || found->device != exec->device) return report(cudaErrorInvalidValue);
  double milliseconds = 0;
  for (const Node& node : *exec->nodes) milliseconds += node.milliseconds;
  found->enqueue([nodes = exec->nodes] { replay(*nodes); }, milliseconds);
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
