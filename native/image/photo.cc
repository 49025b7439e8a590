#include "image/photo.h"

#include <cstring>

namespace googlenet {
namespace {

/** An axis' taps, counted from the first pixel that is read. Returns where they end. */
char* put_taps(const Taps& taps, char* to) {
  for (const int first : taps.first) {
    const int32_t from = first - taps.low;
    std::memcpy(to, &from, sizeof from);
    to += sizeof from;
  }
  const size_t bytes = taps.first.size() * size_t(taps.count) * sizeof(float);
  std::memcpy(to, taps.weights.data(), bytes);
  return to + bytes;
}

/** Every pixel from the one at its place. */
void make_identity(Taps& taps, int size) {
  taps.count = 1, taps.low = 0, taps.high = size;
  taps.first.resize(size_t(size));
  for (int i = 0; i < size; i++) taps.first[size_t(i)] = i;
  taps.weights.assign(size_t(size), 1.0f);
}

}  // namespace

// Four times the pixels of an image, which hence fits itself.
int64_t part_room(int size) { return part_bytes(size, 2 * size, 2 * size, 1, 1); }

gn_photo pack_photo(const Drawn& drawn, int size, const Pixels& src, int denominator, RenderScratch& scratch,
                    char* part) {
  Taps &across = scratch.across, &down = scratch.down;
  choose_taps(drawn.placement, size, denominator, across, down);
  gn_photo photo{0, across.high - across.low, down.high - down.low, across.count, down.count, drawn.colours};
  const bool fits = part_bytes(photo, size) <= part_room(size);
  if (!fits) {
    static constexpr float kNothing[3] = {};
    scratch.planes.resize(size_t(size) * size_t(size) * 3);
    resample(src, size, kNothing, scratch, scratch.planes.data());
    make_identity(across, size);
    make_identity(down, size);
    photo.width = photo.height = size;
    photo.across = photo.down = 1;
  }
  auto* pixels = reinterpret_cast<uint8_t*>(put_taps(down, put_taps(across, part)));
  if (!fits) {
    const size_t n = size_t(size) * size_t(size);
    for (size_t i = 0; i < n; i++)
      for (size_t c = 0; c < 3; c++) pixels[3 * i + c] = uint8_t(scratch.planes[(2 - c) * n + i]);
    return photo;
  }
  const size_t row = size_t(photo.width) * 3, stride = size_t(src.region.width) * 3;
  const uint8_t* from = src.data + size_t(down.low - src.region.y) * stride + size_t(across.low - src.region.x) * 3;
  for (int y = 0; y < photo.height; y++) std::memcpy(pixels + size_t(y) * row, from + size_t(y) * stride, row);
  return photo;
}

BlockWriter::BlockWriter(void* memory, int count, int size)
    : block_(static_cast<gn_photos*>(memory)), size_(size), end_(table_bytes(count)) {}

void BlockWriter::add(gn_photo photo, const char* part) {
  const int64_t bytes = part_bytes(photo, size_);
  std::memmove(reinterpret_cast<char*>(block_) + end_, part, size_t(bytes));
  photo.offset = end_;
  reinterpret_cast<gn_photo*>(block_ + 1)[count_++] = photo;
  end_ += bytes;
}

int64_t BlockWriter::finish() {
  if (count_ == 0) return 0;
  *block_ = {end_, count_, size_};
  return end_;
}

}  // namespace googlenet
