// Memory of a device, owned. grow() keeps nothing of the old content: arenas are rewritten by every run. floats() is
// an address on the device, to compute with and never to follow.
#pragma once
#include <utility>

#include "backend/registry.h"

namespace googlenet {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() { release(); }

  void grow(const gn_backend& backend, gn_device* device, int64_t bytes) {
    if (bytes <= bytes_) return;
    release();
    backend_ = &backend, device_ = device;
    check(backend.allocate(device, bytes, &data_));
    bytes_ = bytes;
  }
  /** An array of parameters' kind; one float at least, so that there is an address. */
  void grow_floats(const gn_backend& backend, gn_device* device, int64_t floats) {
    grow(backend, device, (floats > 0 ? floats : 1) * int64_t(sizeof(float)));
  }
  void release() {
    if (data_) backend_->release(device_, data_);
    data_ = nullptr, bytes_ = 0;
  }
  void swap(DeviceMemory& other) {
    std::swap(backend_, other.backend_);
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  void upload(int64_t offset, const void* host, int64_t bytes) {
    check(backend_->upload(device_, static_cast<char*>(data_) + offset, host, bytes));
  }
  void download(int64_t offset, void* host, int64_t bytes) const {
    check(backend_->download(device_, host, static_cast<const char*>(data_) + offset, bytes));
  }
  void* data() const { return data_; }
  float* floats() const { return static_cast<float*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  const gn_backend* backend_ = nullptr;
  gn_device* device_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace googlenet
