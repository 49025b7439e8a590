// A tensor of a simulated graph as the floats that are computed with: f32 where it lies, anything else in a copy, which
// a result is stored from. Rounding is written here a second time, apart from native/cuda/bfloat16.h, so that an error
// in either shows.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph.h"

namespace simulator {

/** To the nearest number of `bits` of mantissa (the leading one not counted), ties to even. */
inline float rounded(float value, int bits) {
  if (!std::isfinite(value) || value == 0) return value;
  const float unit = std::ldexp(1.0f, std::max(std::ilogb(value), std::numeric_limits<float>::min_exponent - 1) - bits);
  return std::nearbyint(value / unit) * unit;
}

class Operand {
 public:
  enum Use { source, factor, result };  // factor: of tensor cores
  using Floats = std::map<int64_t, std::vector<float>>;

  Operand(const Descriptor& tensor, const std::map<int64_t, void*>& bound, Floats& between, Use use)
      : array_(array_of(tensor)), use_(use), bf16_(size_of(tensor) == 2) {
    const int64_t id = tensor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
    if (tensor.one(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false)) {
      between[id].resize(size_t(extent(array_)));
      array_.data = between[id].data();
      return;
    }
    memory_ = bound.at(id);
    if (!bf16_ && use != factor) {
      array_.data = static_cast<float*>(memory_);
      return;
    }
    copy_.resize(size_t(extent(array_)));
    array_.data = copy_.data();
    if (use != result)
      each([&](int64_t at) { copy_[at] = bf16_ ? load(at) : rounded(static_cast<float*>(memory_)[at], 10); });
  }

  const Array& array() const { return array_; }
  /** Rounds a result to its type, where it lies; what is between its elements stays. */
  void store() const {
    if (use_ != result || !bf16_) return;
    each([&](int64_t at) {
      const float value = rounded(copy_[at], 7);
      std::memcpy(static_cast<char*>(memory_) + 2 * at, reinterpret_cast<const char*>(&value) + 2, 2);
    });
  }

 private:
  float load(int64_t at) const {
    float value = 0;
    std::memcpy(reinterpret_cast<char*>(&value) + 2, static_cast<char*>(memory_) + 2 * at, 2);
    return value;
  }
  template <class Visit>
  void each(const Visit& visit) const {
    const Array& a = array_;
    for (int64_t n = 0; n < a.n; n++)
      for (int64_t h = 0; h < a.h; h++)
        for (int64_t w = 0; w < a.w; w++)
          for (int64_t c = 0; c < a.c; c++) visit(n * a.sn + c * a.sc + h * a.sh + w * a.sw);
  }

  Array array_;
  const Use use_;
  const bool bf16_;
  void* memory_ = nullptr;
  std::vector<float> copy_;
};

}  // namespace simulator
