// Decoding threads: batches of file names in, batches of network input out, in the order of submission: images, or photos
// for a device that makes images of them. Each sample is read, decoded and augmented on its own, so the result depends on
// neither threads nor timing. A sample that cannot be used is listed with the reason and left out; its batch shrinks.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "image/augment.h"

namespace googlenet {

struct Sample {
  std::string path;  // UTF-8
  int32_t label;
  /** Identity for the random numbers: the position in the data set. */
  int32_t index;
};

struct Skipped {
  std::string path;
  int32_t index;
  /** UNSUPPORTED: not a JPEG (another decoder may know it); IMAGE_DECODE, FILE_NOT_FOUND, FILE_READ. */
  Code code;
  std::string message;
};

/** Memory of one batch (core/pages.h). Returned to the pipeline it came from, if that still lives, when the last owner
 *  lets go. */
using BatchMemory = std::shared_ptr<char[]>;

/** IMAGES: (count, 3, size, size) f32. PHOTOS: a block of backend/photos.h; nothing when count is 0. */
enum class Form { IMAGES, PHOTOS };

struct Batch {
  /** In memory for as many samples as were pushed. */
  BatchMemory images;
  size_t bytes = 0;
  int count = 0;
  std::vector<int32_t> labels, indices;
  std::vector<Skipped> skipped;
};

class Pipeline {
 public:
  /** `ready` is called on a decoding thread whenever a batch is finished, and once more when the last thread ends
   *  after stop(). It must not throw, block or call back. Throws Failure(INVALID_ARGUMENT). */
  Pipeline(const AugmentPolicy& policy, Form form, uint64_t seed, int threads, std::function<void()> ready);
  /** Stops and joins: waits for what libjpeg needs to notice, a few milliseconds at most. */
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /** Queues one batch. */
  void push(std::vector<Sample> samples, uint32_t epoch);
  /** Batches pushed and not yet taken. */
  int64_t queued() const;
  /** The oldest batch once it is finished, else null. Throws the Failure that ended it (OUT_OF_MEMORY, INTERNAL). */
  std::unique_ptr<Batch> take();
  /** Asks the threads to end; does not wait. */
  void stop();
  /** True when all threads have left their work after stop(). */
  bool stopped() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/** The file's bytes into `buffer`; of a file that is no JPEG only the beginning, for JpegDecoder::open to name.
 *  Returns the number of bytes. Throws Failure FILE_NOT_FOUND, FILE_READ. */
size_t read_jpeg_file(const std::string& path, ByteBuffer& buffer);

}  // namespace googlenet
