// Copies of weights in a kernel's own format, shared by all kernels that want the same one and forgotten with the last.
#pragma once
#include <list>
#include <memory>

namespace googlenet::cpu {

template <class Copy>
class Copies {
 public:
  /** The copy that matches, else what `make` returns. */
  template <class Matches, class Make>
  std::shared_ptr<Copy> shared(const Matches& matches, const Make& make) {
    copies_.remove_if([](const auto& copy) { return copy.expired(); });
    for (const auto& copy : copies_)
      if (auto held = copy.lock(); matches(*held)) return held;
    std::shared_ptr<Copy> made = make();
    copies_.push_back(made);
    return made;
  }

  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& copy : copies_)
      if (const auto held = copy.lock()) sum += held->bytes();
    return sum;
  }

 private:
  std::list<std::weak_ptr<Copy>> copies_;
};

}  // namespace googlenet::cpu
