// Average pooling of one plane [h][w][B]. A window's factor is 1 over its area clipped to the padded input (Caffe,
// pooling_layer.cpp), which the maker of the kernel has put into inverse_area.
#include "cpu/simd/functions.h"

namespace googlenet::cpu::GOOGLENET_SIMD {

void average_forward(const PoolShape& p, const Element* src, Element* dst, int first, int last) {
  for (int oy = first; oy < last; oy++) {
    const int top = oy * p.stride_h - p.pad_h;
    const int y0 = larger(top, 0), y1 = smaller(top + p.kernel_h, p.h);
    for (int ox = 0; ox < p.out_w; ox++) {
      const int left = ox * p.stride_w - p.pad_w;
      const int x0 = larger(left, 0), x1 = smaller(left + p.kernel_w, p.w);
      Vec sum = zero();
      for (int y = y0; y < y1; y++) {
        const Element* row = src + int64_t(y) * p.w * B;
        for (int x = x0; x < x1; x++) sum = add(sum, load(row + x * B));
      }
      const int64_t o = int64_t(oy) * p.out_w + ox;
      store(dst + o * B, mul(sum, all(p.inverse_area[o])));
    }
  }
}

void average_backward(const PoolShape& p, const Element* diff_dst, Element* diff_src, const Element* mask,
                      bool accumulate, int first, int last) {
  for (int y = first; y < last; y++) {
    for (int x = 0; x < p.w; x++) {
      Vec sum = zero();
      for (int oy = p.row_first[y]; oy < p.row_last[y]; oy++)
        for (int ox = p.column_first[x]; ox < p.column_last[x]; ox++) {
          const int64_t o = int64_t(oy) * p.out_w + ox;
          sum = fma(load(diff_dst + o * B), all(p.inverse_area[o]), sum);
        }
      const int64_t i = (int64_t(y) * p.w + x) * B;
      store_gradient(diff_src + i, sum, mask ? mask + i : nullptr, accumulate);
    }
  }
}

}  // namespace googlenet::cpu::GOOGLENET_SIMD
