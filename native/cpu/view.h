// A gn_tensor as kernels use it: the geometry of a view of a blocked buffer, and its address once a run has bound
// the arenas. Strides in elements.
#pragma once
#include <cstdint>

#include "backend/backend.h"
#include "cpu/element.h"

namespace googlenet::cpu {

/** Bytes from the arena's start to a view's first element. */
inline int64_t view_offset(const gn_tensor& t) {
  return t.offset + int64_t(t.channel) * t.h * t.w * gn_bytes_of(t.type);
}

struct View {
  explicit View(const gn_tensor& t, int block)
      : arena(t.arena),
        type(t.type),
        offset(view_offset(t)),
        image(int64_t(t.channels) * t.h * t.w),
        plane(int64_t(t.h) * t.w * block),
        n(t.n),
        c(t.c),
        h(t.h),
        w(t.w),
        span(t.span),
        blocks(t.span / block) {}

  bool present() const { return arena != GN_NONE; }
  /** First element of the view in image 0, whose type the caller knows; null when absent. */
  template <class Element>
  Element* bind(const gn_bindings& bindings) const {
    if (!present()) return nullptr;
    return reinterpret_cast<Element*>(static_cast<char*>(bindings.arenas[arena]) + offset);
  }

  gn_arena arena;
  gn_type type;
  int64_t offset;  // bytes from the arena's start to the view's first element
  int64_t image;   // from image to image of the buffer
  int64_t plane;   // from channel block to channel block: h * w * block
  int n, c, h, w, span, blocks;
};

}  // namespace googlenet::cpu
