// Backward max pooling of one plane [h][w][B]: each element of diff_src gathers the gradients of those windows that
// found their maximum in it, so that rows can be worked on in parallel and accumulation and mask cost no extra pass.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {
namespace {

struct Row {
  const PoolShape& p;
  const Element* diff_dst;  // row oy0 of the windows that cover the element
  const uint8_t* index;
  Element* diff_src;    // row y
  const Element* mask;  // row y, or null
  bool accumulate;
  int rows;      // windows that cover row y
  int row_code;  // (y's row within the first of them) * kernel_w
};

/** `rows` x `columns` windows from column ox on; the element is at `code` within the first of them, and one stride
 *  further left or up within each next one. */
GOOGLENET_INLINE Vec gather(const Row& row, int ox, int code, int rows, int columns, int stride_h, int stride_w,
                            int kernel_w) {
  Vec sum = zero();
  const Element* diff = row.diff_dst + int64_t(ox) * B;
  const uint8_t* index = row.index + int64_t(ox) * B;
  const int64_t next = int64_t(row.p.out_w) * B;
#pragma GCC unroll 3
  for (int r = 0; r < rows; r++, diff += next, index += next, code -= stride_h * kernel_w)
#pragma GCC unroll 3
    for (int c = 0; c < columns; c++)
      sum = add_where(index + c * B, index_of(code - c * stride_w), sum, load(diff + c * B));
  return sum;
}

GOOGLENET_INLINE void finish(const Row& row, int x, Vec sum) {
  const int64_t i = int64_t(x) * B;
  store_gradient(row.diff_src + i, sum, row.mask ? row.mask + i : nullptr, row.accumulate);
}

/** Columns [x0, x1) of any pooling. */
void columns(const Row& row, int x0, int x1) {
  const PoolShape& p = row.p;
  for (int x = x0; x < x1; x++) {
    const int ox = p.column_first[x], count = p.column_last[x] - ox;
    const int code = row.row_code + x + p.pad_w - ox * p.stride_w;
    finish(row, x, count > 0 ? gather(row, ox, code, row.rows, count, p.stride_h, p.stride_w, p.kernel_w) : zero());
  }
}

/** One row of 3x3 windows, stride 1: inside, every element lies in three columns of windows. */
GOOGLENET_INLINE void row_stride_1(const Row& row, int rows) {
  const PoolShape& p = row.p;
  const int x0 = smaller(larger(2 - p.pad_w, 0), p.w), x1 = larger(smaller(p.out_w - p.pad_w, p.w), x0);
  columns(row, 0, x0);
  for (int x = x0; x < x1; x++) finish(row, x, gather(row, x + p.pad_w - 2, row.row_code + 2, rows, 3, 1, 1, 3));
  columns(row, x1, p.w);
}

/** The same with stride 2: elements lie in two columns of windows and in one by turns. */
GOOGLENET_INLINE void row_stride_2(const Row& row, int rows) {
  const PoolShape& p = row.p;
  const int x0 = smaller(2 - p.pad_w, p.w);  // ox = 0 and 1 cover it
  columns(row, 0, x0);
  int x = x0;
  for (int ox = 1; ox < p.out_w && x + 1 < p.w; ox++, x += 2) {
    finish(row, x, gather(row, ox - 1, row.row_code + 2, rows, 2, 2, 2, 3));
    finish(row, x + 1, gather(row, ox, row.row_code + 1, rows, 1, 2, 2, 3));
  }
  columns(row, x, p.w);
}

}  // namespace

void max_backward(const PoolShape& p, const Element* diff_dst, const uint8_t* index, Element* diff_src,
                  const Element* mask, bool accumulate, int first, int last) {
  const bool by_three = p.kernel_h == 3 && p.kernel_w == 3 && p.pad_w < 3 && p.stride_h == p.stride_w;
  for (int y = first; y < last; y++) {
    const int oy = p.row_first[y], rows = p.row_last[y] - oy;
    const int64_t from = int64_t(oy) * p.out_w * B, to = int64_t(y) * p.w * B;
    const Row row = {p,
                     diff_dst + from,
                     index + from,
                     diff_src + to,
                     mask ? mask + to : nullptr,
                     accumulate,
                     rows,
                     (y + p.pad_h - oy * p.stride_h) * p.kernel_w};
    if (by_three && p.stride_w == 1 && rows == 3)
      row_stride_1(row, 3);
    else if (by_three && p.stride_w == 2 && rows == 2)
      row_stride_2(row, 2);
    else if (by_three && p.stride_w == 2 && rows == 1)
      row_stride_2(row, 1);
    else
      columns(row, 0, p.w);
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
