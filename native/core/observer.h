// What the values of blobs look like over many runs: largest value, distribution and channel means, of which ranges of
// 8-bit activations are made (lib/model/ranges.ts). For values behind a ReLU: none is negative.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace googlenet {

class Observer {
 public:
  static constexpr int kBins = 2048;

  struct Blob {
    int64_t images = 0, pixels = 0;  // pixels: of one image's channel
    float max = 0;
    /** A power of two above max, 0 as long as every value was 0. So bins are exact, and the same in whatever order and
     *  batches the images came. */
    double range = 0;
    std::vector<int64_t> histogram;  // kBins of [0, range), of the values above 0 alone
    std::vector<double> sums;        // by channel

    double mean(size_t channel) const { return sums[channel] / double(images * pixels); }
  };

  /** Adds values (N, C, H, W). Throws NOT_FINITE, and then forgets everything: a part of a batch is no observation. */
  void count(const std::string& blob, const std::vector<int64_t>& shape, const float* values);
  /** What was counted, which is then forgotten. */
  std::map<std::string, Blob> take() { return std::exchange(blobs_, {}); }

 private:
  std::map<std::string, Blob> blobs_;
};

}  // namespace googlenet
