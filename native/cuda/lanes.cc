#include "cuda/lanes.h"

namespace googlenet::cuda {

void Lanes::record(size_t event, cudaStream_t stream) {
  if (events_.size() <= event) events_.resize(event + 1);
  events_[event].mark(stream);
}

void Lanes::fork() {
  record(0, streams_[0]);
  for (size_t lane = 1; lane < streams_.size(); lane++) events_[0].go_before(streams_[lane]);
}

void Lanes::mark(cudaStream_t stream, int mark) { record(streams_.size() + size_t(mark), stream); }

void Lanes::wait(cudaStream_t stream, int mark) const { events_.at(streams_.size() + size_t(mark)).go_before(stream); }

void Lanes::join() {
  for (size_t lane = 1; lane < streams_.size(); lane++) {
    record(lane, streams_[lane]);
    events_[lane].go_before(streams_[0]);
  }
}

void Lanes::finish() const {
  for (const Stream& stream : streams_) cudaStreamSynchronize(stream);
}

}  // namespace googlenet::cuda
