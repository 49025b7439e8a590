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

/** body(image, block, first row, last row) for all rows of a view's planes, divided between the threads. */
template <class Body>
void for_rows(ThreadPool& pool, const View& view, const Body& body) {
  pool.ranges(int64_t(view.n) * view.blocks * view.h, [&](int64_t first, int64_t last) {
    while (first < last) {
      const int64_t plane = first / view.h, start = plane * view.h;
      const int y0 = int(first - start), y1 = last - start < view.h ? int(last - start) : view.h;
      body(plane / view.blocks, plane % view.blocks, y0, y1);
      first += y1 - y0;
    }
  });
}

/** Of u8, at inference. */
Kernel make_byte_pool(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
