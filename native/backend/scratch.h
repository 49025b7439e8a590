// Scratch cut into aligned pieces: add() when a kernel is made, at() when it runs.
#pragma once
#include "backend/backend.h"

namespace googlenet {

class Scratch {
 public:
  /** `alignment`: of every piece, bytes. */
  explicit Scratch(int64_t alignment = 64) : alignment_(alignment) {}

  int64_t add(int64_t bytes) {
    const int64_t at = bytes_;
    bytes_ += (bytes + alignment_ - 1) / alignment_ * alignment_;
    return at;
  }
  int64_t add_floats(int64_t count) { return add(count * int64_t(sizeof(float))); }
  int64_t bytes() const { return bytes_; }

  static void* at(const gn_bindings& bindings, int64_t offset) { return static_cast<char*>(bindings.scratch) + offset; }
  static float* floats(const gn_bindings& bindings, int64_t offset) {
    return static_cast<float*>(at(bindings, offset));
  }

 private:
  const int64_t alignment_;
  int64_t bytes_ = 0;
};

}  // namespace googlenet
