// JPEG files to RGB bytes by libjpeg-turbo, with the accurate settings that PIL and OpenCV use (integer slow DCT,
// smooth chroma upsampling). What libjpeg only warns of, truncated or corrupt data, is an error here: a photo that
// is grey from the middle on must not be trained on. EXIF orientation is ignored, as Caffe and OpenCV's training
// tools ignored it; callers who need it turned decode through sharp.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace googlenet {

/** Bytes that grow but never shrink and are never cleared: reused from photo to photo. */
class ByteBuffer {
 public:
  /** At least `size` bytes; what was there is lost when it has to grow. Throws std::bad_alloc. */
  uint8_t* reserve(size_t size) {
    if (size > capacity_) {
      bytes_.reset();
      capacity_ = 0;
      bytes_.reset(new uint8_t[size]);
      capacity_ = size;
    }
    return bytes_.get();
  }
  uint8_t* data() { return bytes_.get(); }
  const uint8_t* data() const { return bytes_.get(); }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
};

struct Region {
  int x, y, width, height;
};

/** Part of a photo that may have been shrunk by 1, 2, 4 or 8: region (in pixels of the shrunk photo) and its rows,
 *  (height, width, 3) RGB, without gaps. */
struct Pixels {
  const uint8_t* data = nullptr;
  Region region{0, 0, 0, 0};
};

/** True for files that begin as a JPEG does (FF D8 FF). */
bool looks_like_jpeg(const uint8_t* data, size_t size);

/** One photo at a time; keep one per thread. Every call throws Failure: IMAGE_DECODE with libjpeg's words,
 *  OUT_OF_MEMORY, or DISPOSED once `stop` is set. */
class JpegDecoder {
 public:
  /** Width times height at most; sharp has the same limit. */
  static constexpr int64_t kMaxPixels = int64_t(0x3FFF) * 0x3FFF;

  explicit JpegDecoder(const std::atomic<bool>* stop = nullptr);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /** Reads the header; `data` must live until the decode call returns. */
  void open(const uint8_t* data, size_t size);
  int width() const;
  int height() const;

  /** The whole photo, exactly as libjpeg gives it, into `dst` of width() x height() x 3 bytes. */
  void decode_all(uint8_t* dst);

  /** At least `region` (pixels of the photo) of the photo shrunk by `denominator` (1, 2, 4, 8) in the DCT. Rows above
   *  are entropy-decoded only, rows below are not read where the file has its end marker, so that a cut-off file is
   *  still found. The pixels are those of the whole decode. They live in the decoder until its next call. */
  Pixels decode_region(const Region& region, int denominator);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace googlenet
