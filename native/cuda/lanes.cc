#include "cuda/lanes.h"

#include "cuda/memory.h"

namespace googlenet::cuda {

Lanes::Lanes(int count) : Lanes() {
  streams_.resize(size_t(count));
  for (cudaStream_t& stream : streams_)
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
}

Lanes::~Lanes() {
  for (const cudaEvent_t event : events_)
    if (event) cudaEventDestroy(event);
  for (const cudaStream_t stream : streams_)
    if (stream) cudaStreamDestroy(stream);
}

void Lanes::record(size_t event, cudaStream_t stream) {
  if (events_.size() <= event) events_.resize(event + 1);
  if (!events_[event]) check(cudaEventCreateWithFlags(&events_[event], cudaEventDisableTiming), "making an event");
  check(cudaEventRecord(events_[event], stream), "marking a place in a stream");
}

static void go_on_after(cudaEvent_t event, cudaStream_t stream) {
  check(cudaStreamWaitEvent(stream, event, 0), "making a stream wait");
}

void Lanes::fork() {
  record(0, streams_[0]);
  for (size_t lane = 1; lane < streams_.size(); lane++) go_on_after(events_[0], streams_[lane]);
}

void Lanes::mark(cudaStream_t stream, int mark) { record(streams_.size() + size_t(mark), stream); }

void Lanes::wait(cudaStream_t stream, int mark) const {
  go_on_after(events_.at(streams_.size() + size_t(mark)), stream);
}

void Lanes::join() {
  for (size_t lane = 1; lane < streams_.size(); lane++) {
    record(lane, streams_[lane]);
    go_on_after(events_[lane], streams_[0]);
  }
}

void Lanes::finish() const {
  for (const cudaStream_t stream : streams_) cudaStreamSynchronize(stream);
}

}  // namespace googlenet::cuda
