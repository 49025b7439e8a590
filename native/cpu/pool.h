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

/** body(image, block, first row, last row) for all rows of a view's planes, divided between the threads: by rows of an
 *  image as other layers divide it, or where there are few by planes. */
template <class Body>
void for_rows(ThreadPool& pool, const View& view, const Body& body) {
  const int64_t rows = int64_t(view.n) * view.h;
  if (rows < 8 * pool.threads()) {
    pool.ranges(int64_t(view.n) * view.blocks, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) body(i / view.blocks, i % view.blocks, 0, view.h);
    });
    return;
  }
  pool.ranges(rows, [&](int64_t first, int64_t last) {
    while (first < last) {
      const int64_t n = first / view.h;
      const int y0 = int(first - n * view.h), y1 = last - n * view.h < view.h ? int(last - n * view.h) : view.h;
      for (int b = 0; b < view.blocks; b++) body(n, b, y0, y1);
      first += y1 - y0;
    }
  });
}

/** Of u8, at inference. */
Kernel make_byte_pool(gn_device& device, const gn_step& step);

}  // namespace googlenet::cpu
