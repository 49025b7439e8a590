// Copies of weights in a kernel's own format, shared by all kernels that want the same one, on a device and on those
// beside it, and forgotten with the last.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

namespace googlenet::cpu {

class Weights;          // cpu/onednn.h
class WinogradWeights;  // cpu/winograd_weights.h
class TileWeights;      // cpu/tiles_weights.h

template <class Copy>
class Copies {
 public:
  /** The copy that matches, else what `make` returns. */
  template <class Matches, class Make>
  std::shared_ptr<Copy> shared(const Matches& matches, const Make& make) {
    const std::lock_guard lock(mutex_);
    copies_.remove_if([](const auto& copy) { return copy.expired(); });
    for (const auto& copy : copies_)
      if (auto held = copy.lock(); held && matches(*held)) return held;
    std::shared_ptr<Copy> made = make();
    copies_.push_back(made);
    return made;
  }

  int64_t bytes() const {
    const std::lock_guard lock(mutex_);
    int64_t sum = 0;
    for (const auto& copy : copies_)
      if (const auto held = copy.lock()) sum += held->bytes();
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  std::list<std::weak_ptr<Copy>> copies_;
};

/** All copies of the weights of one model. */
struct WeightCopies {
  Copies<Weights> onednn;
  Copies<WinogradWeights> winograd;
  Copies<TileWeights> tiles;
};

/** Which parameters a copy was made of. Whoever comes while another makes it waits. */
class Freshness {
 public:
  /** make(), unless that was done with this version of the parameters at this address. */
  template <class Make>
  void ensure(const float* source, uint64_t version, const Make& make) {
    const std::lock_guard lock(mutex_);
    if (version_ == version && source_ == source) return;
    make();
    source_ = source, version_ = version;
  }

 private:
  std::mutex mutex_;
  const float* source_ = nullptr;
  uint64_t version_ = 0;
};

}  // namespace googlenet::cpu
