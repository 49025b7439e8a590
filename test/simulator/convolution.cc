// Convolutions in plain loops over (N, C, H, W) with any strides whose channels are neighbours.
#include <vector>

#include "graph.h"

namespace simulator {

namespace {

/** Calls visit(n, p, q, r, s, h, w) for each output pixel and each element of its window that lies in the source. */
template <class Visit>
void windows(const Array& x, const Array& w, const Array& y, const Window& a, const Visit& visit) {
  for (int64_t n = 0; n < y.n; n++)
    for (int64_t p = 0; p < y.h; p++)
      for (int64_t q = 0; q < y.w; q++)
        for (int64_t r = 0; r < w.h; r++) {
          const int64_t row = p * a.stride_h + r * a.dilation_h - a.pad_h;
          if (row < 0 || row >= x.h) continue;
          for (int64_t s = 0; s < w.w; s++) {
            const int64_t column = q * a.stride_w + s * a.dilation_w - a.pad_w;
            if (column >= 0 && column < x.w) visit(n, p, q, r, s, row, column);
          }
        }
}

/** Writes zero to every element. */
void clear(const Array& a) {
  for (int64_t n = 0; n < a.n; n++)
    for (int64_t h = 0; h < a.h; h++)
      for (int64_t w = 0; w < a.w; w++)
        for (int64_t c = 0; c < a.c; c++) a.at(n, c, h, w) = 0;
}

}  // namespace

void convolve_forward(const Array& x, const Array& w, const Array& y, const Window& window) {
  clear(y);
  windows(x, w, y, window, [&](int64_t n, int64_t p, int64_t q, int64_t r, int64_t s, int64_t row, int64_t column) {
    const float* src = &x.at(n, 0, row, column);
    float* dst = &y.at(n, 0, p, q);
    for (int64_t k = 0; k < y.c; k++) {
      const float* weights = &w.at(k, 0, r, s);
      float sum = 0;
      for (int64_t c = 0; c < x.c; c++) sum += src[c] * weights[c];
      dst[k] += sum;
    }
  });
}

void convolve_backward_data(const Array& dx, const Array& w, const Array& dy, const Window& window) {
  clear(dx);
  windows(dx, w, dy, window, [&](int64_t n, int64_t p, int64_t q, int64_t r, int64_t s, int64_t row, int64_t column) {
    float* src = &dx.at(n, 0, row, column);
    const float* dst = &dy.at(n, 0, p, q);
    for (int64_t k = 0; k < dy.c; k++) {
      const float* weights = &w.at(k, 0, r, s);
      for (int64_t c = 0; c < dx.c; c++) src[c] += dst[k] * weights[c];
    }
  });
}

// One image's share in f32, the sum over images in f64.
void convolve_backward_weights(const Array& x, const Array& dw, const Array& dy, const Window& window) {
  std::vector<double> total(size_t(extent(dw)), 0);
  Array image_x = x, image_dy = dy;
  image_x.n = image_dy.n = 1;
  for (int64_t n = 0; n < x.n; n++, image_x.data += x.sn, image_dy.data += dy.sn) {
    clear(dw);
    windows(image_x, dw, image_dy, window,
            [&](int64_t, int64_t p, int64_t q, int64_t r, int64_t s, int64_t row, int64_t column) {
              const float *src = &image_x.at(0, 0, row, column), *dst = &image_dy.at(0, 0, p, q);
              for (int64_t k = 0; k < dy.c; k++) {
                float* weights = &dw.at(k, 0, r, s);
                for (int64_t c = 0; c < x.c; c++) weights[c] += dst[k] * src[c];
              }
            });
    for (size_t i = 0; i < total.size(); i++) total[i] += dw.data[i];
  }
  for (size_t i = 0; i < total.size(); i++) dw.data[i] = float(total[i]);
}

}  // namespace simulator
