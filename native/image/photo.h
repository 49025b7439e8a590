// Decoded photos for a device that makes images of them itself: the blocks of backend/photos.h.
#pragma once
#include "image/render.h"

namespace googlenet {

/** The most bytes that a photo's part takes: about those of the f32 image that it replaces. */
int64_t part_room(int size);
/** In a block for `count` photos, whatever they are: where photo i's part may be made. Of i = count: where it ends. */
inline int64_t part_at(int64_t i, int64_t count, int size) { return table_bytes(count) + i * part_room(size); }

/** Writes a photo's part: the weights, and the pixels of `src` (the photo shrunk by `denominator`, or its needed part)
 *  that they reach. Where those take more room than there is, as of a photo from a camera, they are resampled here, and
 *  the weights are ones: the same levels. The photo's offset is left to a BlockWriter. */
gn_photo pack_photo(const Drawn& drawn, int size, const Pixels& src, int denominator, RenderScratch& scratch,
                    char* part);

/** Puts a block together from front to back. */
class BlockWriter {
 public:
  /** A block of up to `count` photos; `memory` is aligned to 8 bytes and large enough. */
  BlockWriter(void* memory, int count, int size);
  /** The part may lie in the block's own memory, behind what has been written. */
  void add(gn_photo photo, const char* part);
  /** Writes the header; the block's bytes. 0 without photos. */
  int64_t finish();

 private:
  gn_photos* const block_;
  const int size_;
  int count_ = 0;
  int64_t end_;
};

}  // namespace googlenet
