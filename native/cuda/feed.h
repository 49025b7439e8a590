// The next batch on its way to the device while a step computes: a stream and pinned slots of its own, so that neither
// waits for the other. One tensor at a time.
#pragma once
#include "cuda/pinned.h"
#include "cuda/stream.h"

namespace googlenet::cuda {

class Feed {
 public:
  Feed() : pinned_(stream_) {}
  ~Feed() { cudaStreamSynchronize(stream_); }

  /** Has been read when this returns. */
  void bring(const void* host, int64_t bytes) {
    forget();
    if (bytes > memory_.bytes()) taken_.wait();
    void* const to = memory_.at_least(bytes);
    taken_.go_before(stream_);
    pinned_.send(to, host, bytes);
    arrived_.mark(stream_);
    host_ = host, bytes_ = bytes;
  }
  void forget() { host_ = nullptr; }

  /** use(where these bytes lie on the device), work on `stream`; false: they were not brought. */
  template <class Use>
  bool take(const void* host, int64_t bytes, cudaStream_t stream, const Use& use) {
    if (!host_ || host != host_ || bytes != bytes_) return false;
    forget();
    arrived_.go_before(stream);
    use(static_cast<char*>(memory_.at_least(bytes)));
    taken_.mark(stream);
    return true;
  }

  int64_t bytes() const { return memory_.bytes(); }

 private:
  Stream stream_;
  Pinned pinned_;
  Memory memory_;
  Event arrived_, taken_;
  const void* host_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace googlenet::cuda
