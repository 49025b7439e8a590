// The next batch on its way to the device while a step computes: a stream and pinned slots of its own, so that neither
// waits for the other. One tensor at a time.
#pragma once
#include "cuda/pinned.h"

namespace googlenet::cuda {

class Feed {
 public:
  Feed() : pinned_(stream_.handle) {}
  ~Feed() { cudaStreamSynchronize(stream_.handle); }

  /** Has been read when this returns. */
  void bring(const void* host, int64_t bytes) {
    forget();
    if (bytes > memory_.bytes()) check(cudaEventSynchronize(taken_.handle), "waiting for the device");
    void* const to = memory_.at_least(bytes);
    check(cudaStreamWaitEvent(stream_.handle, taken_.handle, 0), "ordering streams");
    pinned_.send(to, host, bytes);
    check(cudaEventRecord(arrived_.handle, stream_.handle), "marking a copy");
    host_ = host, bytes_ = bytes;
  }
  void forget() { host_ = nullptr; }

  /** Where these bytes lie on the device, for work on `stream`; null: they were not brought. Call taken() after it. */
  char* find(const void* host, int64_t bytes, cudaStream_t stream) {
    if (!host_ || host != host_ || bytes != bytes_) return nullptr;
    forget();
    check(cudaStreamWaitEvent(stream, arrived_.handle, 0), "ordering streams");
    return static_cast<char*>(memory_.at_least(bytes));
  }
  void taken(cudaStream_t stream) { check(cudaEventRecord(taken_.handle, stream), "marking a step"); }

  int64_t bytes() const { return memory_.bytes(); }

 private:
  struct Stream {
    Stream() { check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "making a stream"); }
    ~Stream() { cudaStreamDestroy(handle); }
    cudaStream_t handle = nullptr;
  };
  struct Event {
    Event() { check(cudaEventCreateWithFlags(&handle, cudaEventDisableTiming), "making an event"); }
    ~Event() { cudaEventDestroy(handle); }
    cudaEvent_t handle = nullptr;
  };
  Stream stream_;
  Pinned pinned_;
  Memory memory_;
  Event arrived_, taken_;
  const void* host_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace googlenet::cuda
