// A batch of decoded photos on its way to a device that makes images of them itself (GN_HOST_PHOTOS): one block of plain
// data, so that it crosses in one go. All chance is drawn already. Resampling is given as its weights: what is rounded to
// grey levels must have the same bits on every device, or ties would be rounded otherwise.
//
//   gn_photos | gn_photo, one a photo | a part for each photo, where its `offset` says
//   part: int32 first[size], float weights[size][across], the same with `down`, then (height, width, RGB) bytes
//
// Pixel (y, x) of the image is the sum of weights_down[y][j] weights_across[x][i] over the photo's pixels
// (first_down[y] + j, first_across[x] + i), the sum over j first, rounded to a whole grey level.
#pragma once
#include <stdint.h>

#include <string>

#include "core/status.h"

extern "C" {

typedef enum gn_change { GN_BRIGHTNESS = 0, GN_CONTRAST, GN_SATURATION, GN_CHANGES } gn_change;

/** What happens to an image's colours; image/pixel.h has the formulas. */
typedef struct gn_colours {
  int32_t count;
  int32_t change[3];  // gn_change, in the order in which they are made
  float factor[3];
  float add[3];  // to B, G, R in the end: lighting minus mean
} gn_colours;

typedef struct gn_photo {
  int64_t offset;         // bytes from the block's start to its part, a multiple of GN_PART_ALIGNMENT
  int32_t width, height;  // of its pixels
  int32_t across, down;   // weights of a column and of a row of the image
  gn_colours colours;
} gn_photo;

typedef struct gn_photos {
  int64_t bytes;  // of the whole block
  int32_t count;
  int32_t size;  // height and width of the images
} gn_photos;

enum { GN_PART_ALIGNMENT = 8 };

}  // extern "C"

namespace googlenet {

inline const gn_photo* table_of(const gn_photos* block) { return reinterpret_cast<const gn_photo*>(block + 1); }

/** Bytes of an axis' first[size] and weights[size][count]. */
constexpr int64_t taps_bytes(int64_t size, int64_t count) { return size * (1 + count) * 4; }

/** Of a part of height x width pixels, rounded up to the alignment. */
constexpr int64_t part_bytes(int64_t size, int64_t width, int64_t height, int64_t across, int64_t down) {
  const int64_t bytes = taps_bytes(size, across) + taps_bytes(size, down) + height * width * 3;
  return (bytes + GN_PART_ALIGNMENT - 1) / GN_PART_ALIGNMENT * GN_PART_ALIGNMENT;
}
constexpr int64_t part_bytes(const gn_photo& photo, int64_t size) {
  return part_bytes(size, photo.width, photo.height, photo.across, photo.down);
}

/** Where the first part may lie. */
constexpr int64_t table_bytes(int64_t count) { return int64_t(sizeof(gn_photos)) + count * int64_t(sizeof(gn_photo)); }

/** Throws INVALID_ARGUMENT unless all that the block speaks of lies within its `bytes`. */
inline void check_photos(const void* memory, int64_t bytes) {
  const auto require = [](bool good, const char* what) {
    if (!good) throw Failure(Code::INVALID_ARGUMENT, std::string("a block of photos is damaged: ") + what);
  };
  require(uintptr_t(memory) % GN_PART_ALIGNMENT == 0, "it does not begin at a multiple of 8 bytes");
  require(bytes >= int64_t(sizeof(gn_photos)), "it is shorter than its header");
  const auto* block = static_cast<const gn_photos*>(memory);
  require(block->bytes == bytes, "its header tells another length");
  require(block->size >= 1 && block->size <= 4096, "images of an impossible size");
  const int64_t table = table_bytes(block->count);
  require(block->count >= 1 && table <= bytes, "it is too short for its photos");
  for (int32_t i = 0; i < block->count; i++) {
    const gn_photo& photo = table_of(block)[i];
    require(photo.width >= 1 && photo.width <= 65535 && photo.height >= 1 && photo.height <= 65535,
            "a photo of an impossible size");
    require(photo.across >= 1 && photo.across <= photo.width && photo.down >= 1 && photo.down <= photo.height,
            "more weights than pixels");
    require(photo.offset % GN_PART_ALIGNMENT == 0 && photo.offset >= table && photo.offset <= bytes &&
                part_bytes(photo, block->size) <= bytes - photo.offset,
            "a photo that lies outside of it");
    const char* part = static_cast<const char*>(memory) + photo.offset;
    const auto* across = reinterpret_cast<const int32_t*>(part);
    const auto* down = reinterpret_cast<const int32_t*>(part + taps_bytes(block->size, photo.across));
    for (int32_t k = 0; k < block->size; k++)
      require(across[k] >= 0 && across[k] <= photo.width - photo.across && down[k] >= 0 &&
                  down[k] <= photo.height - photo.down,
              "weights of pixels that a photo does not have");
    require(photo.colours.count >= 0 && photo.colours.count <= 3, "an impossible number of colour changes");
    for (int32_t k = 0; k < photo.colours.count; k++)
      require(photo.colours.change[k] >= 0 && photo.colours.change[k] < GN_CHANGES, "an unknown colour change");
  }
}

}  // namespace googlenet
