// Streams that run as late as they may, and events on them; capture.cc has graphs. Refused as by the real one: waiting
// for a stream that is captured, allocating meanwhile, copying memory that is not pinned. The legacy stream and
// synchronous copies do not exist here.
//   SIMULATOR_AHEAD    a stream, from 0 in the order of their making: whenever somebody waits, it does first all that it
//                      was asked for, and others no more than what it waits for. So a step of this stream runs before
//                      any other that no event puts before it. Default none
//   SIMULATOR_TURNS    all streams take turns instead, an item each: what several items of one stream keep in memory
//                      between them (scratch) is in danger
//   SIMULATOR_FORGET   the number, from 0, of a wait for an event that is forgotten, counted since this was set
#include <algorithm>
#include <cstdio>

#include "runtime.h"
#include "simulated_launch.h"

using namespace simulator;

static uint64_t made = 0;
Stream::Stream() : number(made++) {}

void Stream::enqueue(std::function<void()> work, double milliseconds) { enqueue(Item{std::move(work), milliseconds}); }

void Stream::enqueue(Item item) {
  const std::lock_guard lock(mutex);
  if (current != device) {
    std::fprintf(stderr, "simulated device: work for device %d while %d is current\n", device, current);
    std::abort();
  }
  if (capture) {
    capture->nodes.push_back({std::move(item.work), item.milliseconds, number, std::move(tail)});
    tail = {int(capture->nodes.size()) - 1};
  } else if (!idle()) {
    queue.push_back(std::move(item));
    asked++;
  }
}

bool Stream::able() const {
  if (queue.empty()) return false;
  const Item& item = queue.front();
  return !item.after || !known(item.after) || item.after->done >= item.at;
}

void Stream::advance(uint64_t until) {
  while (done < until) {
    if (queue.empty()) {
      std::fprintf(stderr, "simulated device: a stream waits for itself\n");
      std::abort();
    }
    const Item item = std::move(queue.front());
    queue.pop_front();
    if (item.after && known(item.after)) item.after->advance(item.at);
    enter(device);
    if (works(device) && item.work) item.work();
    clock += item.milliseconds;
    done++;
  }
}

static std::vector<Stream*> in_order() {
  std::vector<Stream*> all(streams.begin(), streams.end());
  std::sort(all.begin(), all.end(), [](const Stream* a, const Stream* b) { return a->number < b->number; });
  return all;
}

Stream* simulator::ahead() {
  const std::vector<Stream*> all = in_order();
  const int which = setting("SIMULATOR_AHEAD", -1);
  return which >= 0 && which < int(all.size()) ? all[which] : nullptr;
}

void Stream::drain(uint64_t until) {
  for (bool moved = take_turns(); moved && done < until;) {
    moved = false;
    for (Stream* stream : in_order())
      if (stream->able()) stream->advance(stream->done + 1), moved = true;
  }
  if (Stream* const first = ahead()) first->advance(first->asked);
  advance(until);
}

static bool forgotten() {
  static int which = -1, waits = 0;
  const int now = setting("SIMULATOR_FORGET", -1);
  if (now != which) which = now, waits = 0;
  return now >= 0 && waits++ == now;
}

namespace googlenet::cuda {
void simulated_launch(cudaStream_t stream, std::function<void()> work) { stream->enqueue(std::move(work), 0.01); }
bool simulated_backwards() { return setting("SIMULATOR_BACKWARDS", 0) != 0; }
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
  if (!found) return report(cudaErrorInvalidValue);
  if (found->capture || event->capture) return wait_captured(*found, *event);
  if (event->stream && !forgotten()) found->enqueue(Item{nullptr, 0, event->stream, event->at});
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
  if (!found) return report(cudaErrorInvalidValue);
  event->capture = found->capture, event->tail = found->tail;
  event->stream = nullptr;
  if (found->capture) return cudaSuccess;
  found->enqueue([=] { event->clock = found->clock; }, 0);
  event->stream = found, event->at = found->asked;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  if (event->capture) {
    event->capture->broken = true;
    return report(cudaErrorCapturedEvent);
  }
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

}  // extern "C"
