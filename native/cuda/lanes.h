// gn_lanes as streams, joined by events. Within a capture the fork's event takes the other streams into it, and the
// join's give them back: CUDA ends no capture whose streams have not come together again.
#pragma once
#include <cuda_runtime_api.h>

#include <vector>

namespace googlenet::cuda {

class Lanes {
 public:
  explicit Lanes(int count);
  Lanes(const Lanes&) = delete;
  ~Lanes();

  cudaStream_t stream(int lane) const { return streams_.at(lane); }
  void fork();
  void mark(cudaStream_t stream, int mark);
  void wait(cudaStream_t stream, int mark) const;
  void join();
  /** Waits for all of them. */
  void finish() const;

 private:
  Lanes() = default;  // delegated to: what a constructor that throws has made is destroyed
  void record(size_t event, cudaStream_t stream);

  std::vector<cudaStream_t> streams_;
  std::vector<cudaEvent_t> events_;  // of each lane for fork and join, then of the marks, made when first set
};

}  // namespace googlenet::cuda
