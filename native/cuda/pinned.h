// Between the host's memory and the device's, through pinned memory, which alone can be copied while other work goes on:
// three slots in turns. What is sent has been read when send() returns and arrives when the stream gets there; of a long
// tensor one piece crosses while the next is copied into its slot, by several threads, since one alone
// need not keep up with the bus to the device.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>

#include "core/threads.h"
#include "cuda/stream.h"

namespace googlenet::cuda {

/** How many threads copy: the other half of the cores decodes the next images meanwhile. */
inline int copying_threads() { return std::clamp(available_cores() / 2, 1, 8); }

class Pinned {
 public:
  explicit Pinned(cudaStream_t stream, int threads = copying_threads()) : stream_(stream), threads_(threads) {}
  Pinned(const Pinned&) = delete;
  ~Pinned() {
    for (Slot& slot : slots_)
      if (slot.memory) cudaFreeHost(slot.memory);
  }

  void send(void* to, const void* host, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += kSlot) {
      const size_t piece = size_t(std::min(kSlot, bytes - at));
      Slot& slot = free_slot();
      move(slot.memory, static_cast<const char*>(host) + at, piece);
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
      move(static_cast<char*>(host) + at, slot.memory, piece);
    }
  }

 private:
  static constexpr int64_t kSlot =
      4 << 20;  // bytes: a quarter of a millisecond on PCIe 4, so that waiting costs little
  static constexpr size_t kAlone = 1 << 20;  // bytes from which on several threads are faster than one
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
  void move(void* to, const void* from, size_t bytes) {
    if (bytes < kAlone) {
      std::memcpy(to, from, bytes);
      return;
    }
    if (!pool_) pool_ = ThreadPool::shared(threads_);
    pool_->ranges(int64_t(bytes), [&](int64_t first, int64_t last) {
      std::memcpy(static_cast<char*>(to) + first, static_cast<const char*>(from) + first, size_t(last - first));
    });
  }
  void copy(Slot& slot, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "copying");
    slot.done.mark(stream_);
  }

  const cudaStream_t stream_;
  const int threads_;
  std::shared_ptr<ThreadPool> pool_;  // all of this process's that copy share it in turns
  Slot slots_[3];
  unsigned next_ = 0;
};

}  // namespace googlenet::cuda
