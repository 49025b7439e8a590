// Scratch cut into 64-byte aligned pieces: add() when a kernel is made, at() when it runs.
#pragma once
#include "backend/backend.h"

namespace googlenet::cpu {

class Scratch {
 public:
  int64_t add(int64_t bytes) {
    const int64_t at = bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return at;
  }
  int64_t bytes() const { return bytes_; }
  static void* at(const gn_bindings& bindings, int64_t offset) { return static_cast<char*>(bindings.scratch) + offset; }

 private:
  int64_t bytes_ = 0;
};

}  // namespace googlenet::cpu
