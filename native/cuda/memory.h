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

/** Memory of the current device. */
inline void* allocate(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, size_t(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    int device = 0;
    cudaGetDevice(&device);
    throw Failure(Code::OUT_OF_MEMORY, std::to_string(bytes >> 20) + " MiB could not be allocated on 'cuda:" +
                                           std::to_string(device) + "'; use a smaller batch");
  }
  check(error, "allocating memory");
  return memory;
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
      data_ = allocate(bytes);
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
