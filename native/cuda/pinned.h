// Between the host's memory and the device's, through pinned memory, which alone can be copied while other work goes on:
// three slots in turns. What is sent has been read when send() returns and arrives when the stream gets there; of a long
// tensor one piece crosses while the next is copied into its slot.
#pragma once
#include <algorithm>
#include <cstring>

#include "cuda/stream.h"

namespace googlenet::cuda {

class Pinned {
 public:
  explicit Pinned(cudaStream_t stream) : stream_(stream) {}
  Pinned(const Pinned&) = delete;
  ~Pinned() {
    for (Slot& slot : slots_)
      if (slot.memory) cudaFreeHost(slot.memory);
  }

  void send(void* to, const void* host, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kSlot) {
      const size_t piece = size_t(std::min(kSlot, bytes - at));
      Slot& slot = free_slot();
      std::memcpy(slot.memory, static_cast<const char*>(host) + at, piece);
      copy(slot, static_cast<char*>(to) + at, slot.memory, piece, cudaMemcpyHostToDevice);
    }
  }
  /** Waits: for everything that the stream was asked for before, too. */
  void receive(void* host, const void* from, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kSlot) {
      const size_t piece = size_t(std::min(kSlot, bytes - at));
      Slot& slot = free_slot();
      copy(slot, slot.memory, static_cast<const char*>(from) + at, piece, cudaMemcpyDeviceToHost);
      slot.done.wait();
      std::memcpy(static_cast<char*>(host) + at, slot.memory, piece);
    }
  }

 private:
  static constexpr int64_t kSlot =
      4 << 20;  // bytes: a quarter of a millisecond on PCIe 4, so that waiting costs little
  struct Slot {
    void* memory = nullptr;
    // The copy out of it or into it. A thread that waits sleeps: the processor decodes images meanwhile.
    Event done{cudaEventDisableTiming | cudaEventBlockingSync};
  };

  Slot& free_slot() {
    Slot& slot = slots_[next_++ % 3];
    if (!slot.memory) check(cudaHostAlloc(&slot.memory, size_t(kSlot), cudaHostAllocDefault), "pinning memory");
    slot.done.wait();
    return slot;
  }
  void copy(Slot& slot, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "copying");
    slot.done.mark(stream_);
  }

  const cudaStream_t stream_;
  Slot slots_[3];
  unsigned next_ = 0;
};

}  // namespace googlenet::cuda
