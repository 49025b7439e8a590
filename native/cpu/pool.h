// What pooling is told of its windows, whatever its elements are.
#pragma once
#include <vector>

#include "cpu/kernel.h"
#include "cpu/simd/kernels.h"
#include "cpu/view.h"

namespace googlenet::cpu {

struct PoolWindows {
  PoolWindows(const gn_attributes& a, const View& in, const View& out);
  PoolWindows(const PoolWindows&) = delete;

  PoolShape shape;  // points into this

 private:
  std::vector<int> row_first_, row_last_, column_first_, column_last_;
  std::vector<float> inverse_area_;
};

/** Of u8, at inference. */
Kernel make_byte_pool(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
