// A simulated stream, shared by the simulated runtime and the simulated cuDNN. Work waits in it until somebody waits
// for the stream: whoever reads a result too early reads what was there before.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>

struct CUstream_st {
  virtual ~CUstream_st() = default;
  /** `milliseconds`: what events say that it takes. While the stream is captured it is written down instead. */
  virtual void enqueue(std::function<void()> work, double milliseconds) = 0;
};
