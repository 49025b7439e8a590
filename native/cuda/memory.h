// CUDA errors as Failures, and memory of the current device that is freed with its owner.
#pragma once
#include <cuda_runtime_api.h>

#include <string>

#include "core/status.h"

namespace googlenet::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that has been told must not be told again by the next call
  throw Failure(error == cudaErrorMemoryAllocation ? Code::OUT_OF_MEMORY : Code::INTERNAL,
                std::string("CUDA, ") + what + ": " + cudaGetErrorString(error));
}

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  ~Memory() { release(); }

  /** At least `bytes`; what was in it is lost. */
  void* at_least(int64_t bytes) {
    if (bytes > bytes_) {
      release();
      check(cudaMalloc(&data_, size_t(bytes)), "allocating memory");
      bytes_ = bytes;
    }
    return data_;
  }
  int64_t bytes() const { return bytes_; }

 private:
  void release() {
    if (data_) cudaFree(data_);
    data_ = nullptr, bytes_ = 0;
  }
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace googlenet::cuda
