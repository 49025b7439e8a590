// Work that a device is given again and again, recorded where that is possible (gn_recorder). The first time it is done
// as it is told, so that the device loads and allocates what it needs; the second time it is recorded; from then on
// replayed, as long as its key, the addresses and sizes in it, stays the same.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/registry.h"

namespace googlenet {

class Recording {
 public:
  Recording() = default;
  Recording(const Recording&) = delete;
  ~Recording() { forget(); }

  template <class Work>
  void run(const gn_recorder& recorder, gn_device* device, const std::vector<int64_t>& key, const Work& work) {
    if (key != key_) {
      forget();
      work();
      key_ = key;
      return;
    }
    if (!recording_) record(recorder, device, work);
    check(recorder.replay(device, recording_));
  }

 private:
  template <class Work>
  void record(const gn_recorder& recorder, gn_device* device, const Work& work) {
    check(recorder.begin(device));
    try {
      work();
    } catch (...) {
      recorder.end(device, nullptr);
      throw;
    }
    check(recorder.end(device, &recording_));
    recorder_ = &recorder, device_ = device;
  }
  void forget() {
    if (recording_) recorder_->destroy(device_, recording_);
    recording_ = nullptr;
    key_.clear();
  }

  const gn_recorder* recorder_ = nullptr;
  gn_device* device_ = nullptr;
  gn_recording* recording_ = nullptr;
  std::vector<int64_t> key_;
};

}  // namespace googlenet
