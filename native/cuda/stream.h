// Streams and events, destroyed with their owner.
#pragma once
#include <utility>

#include "cuda/memory.h"

namespace googlenet::cuda {

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "making a stream"); }
  Stream(Stream&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~Stream() {
    if (handle_) cudaStreamDestroy(handle_);
  }
  operator cudaStream_t() const { return handle_; }

 private:
  cudaStream_t handle_ = nullptr;
};

/** A place in a stream. Made when it is first marked; until then nobody has to wait for it. */
class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) : flags_(flags) {}
  Event(Event&& other) noexcept : flags_(other.flags_), handle_(std::exchange(other.handle_, nullptr)) {}
  ~Event() {
    if (handle_) cudaEventDestroy(handle_);
  }
  operator cudaEvent_t() const { return handle_; }

  void mark(cudaStream_t stream) {
    if (!handle_) check(cudaEventCreateWithFlags(&handle_, flags_), "making an event");
    check(cudaEventRecord(handle_, stream), "marking a place in a stream");
  }
  /** What `stream` is asked for from now on comes after it. */
  void go_before(cudaStream_t stream) const {
    if (handle_) check(cudaStreamWaitEvent(stream, handle_, 0), "making a stream wait");
  }
  void wait() const {
    if (handle_) check(cudaEventSynchronize(handle_), "waiting for the device");
  }

 private:
  unsigned flags_;
  cudaEvent_t handle_ = nullptr;
};

}  // namespace googlenet::cuda
