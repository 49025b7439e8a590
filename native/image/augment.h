// What is drawn for a photo on its way to the network's input: where the crop lies, what happens to its colours. render.h
// does it on the processor, photo.h hands it on to a device.
// All chance comes from Philox keyed by the seed, with (epoch, sample index, draw, stream) as its counter, so that a
// sample's input depends on neither threads nor batches nor workers. lib/data/augment.ts holds the policies.
#pragma once
#include <cstdint>

#include "backend/photos.h"
#include "image/decode.h"

namespace googlenet {

struct AugmentPolicy {
  /** WARP: the photo becomes resize_to x resize_to; SHORT: its shorter side becomes resize_to; NONE: as it is, but
   *  scaled up until a crop of `size` fits. Not used by Crop::AREA. */
  enum class Resize { WARP, SHORT, NONE };
  /** Of the resized photo: CENTER at floor((side - size) / 2), as Caffe; RANDOM anywhere. AREA: a box of the photo. */
  enum class Crop { CENTER, RANDOM, AREA };

  int size = 224;
  Resize resize = Resize::WARP;
  int resize_to = 256;
  Crop crop = Crop::CENTER;
  float area_min = 0.08f, area_max = 1.0f;
  float aspect_min = 0.75f, aspect_max = 4.0f / 3.0f;
  float mirror = 0;
  float brightness = 0, contrast = 0, saturation = 0;
  float lighting = 0;
  float mean[3] = {104, 117, 123};  // B, G, R

  /** Throws Failure(INVALID_ARGUMENT) that names the field. */
  void check() const;
  size_t floats() const { return size_t(3) * size_t(size) * size_t(size); }
};

struct SampleKey {
  uint64_t seed;
  uint32_t epoch;
  uint32_t index;
};

/** Where the output comes from. */
struct Placement {
  /** The box, in pixels of the photo, that becomes size x size. */
  double x, y, width, height;
  /** What resampling may read: the whole photo, or the crop alone (crop first, then resize) for AREA. */
  Region bounds;
  bool mirror;
};

/** Draws the placement for a photo of width x height. */
Placement place(const AugmentPolicy& policy, int width, int height, const SampleKey& key);

/** 1, 2, 4 or 8: how far the decoder may shrink the photo so that the box still has `size` pixels on each side.
 *  Always 1 unless the crop is AREA: evaluation needs the exact pixels. */
int shrink_for(const AugmentPolicy& policy, const Placement& placement);

/** All that chance decides of a sample. */
struct Drawn {
  Placement placement;
  gn_colours colours;
};
Drawn draw(const AugmentPolicy& policy, int width, int height, const SampleKey& key);

}  // namespace googlenet
