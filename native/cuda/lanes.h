// gn_lanes as streams, joined by events. Within a capture the fork's event takes the other streams into it, and the
// join's give them back: CUDA ends no capture whose streams have not come together again.
#pragma once
#include <vector>

#include "cuda/stream.h"

namespace googlenet::cuda {

class Lanes {
 public:
  explicit Lanes(int count) : streams_(size_t(count)) {}

  cudaStream_t stream(int lane) const { return streams_.at(lane); }
  void fork();
  void mark(cudaStream_t stream, int mark);
  void wait(cudaStream_t stream, int mark) const;
  void join();
  /** Waits for all of them. */
  void finish() const;

 private:
  void record(size_t event, cudaStream_t stream);

  std::vector<Stream> streams_;
  std::vector<Event> events_;  // of each lane for fork and join, then of the marks
};

}  // namespace googlenet::cuda
