// A device that is open as long as anyone holds it: executors, and the stores whose memory lies there.
#pragma once
#include <memory>
#include <string>

#include "backend/registry.h"

namespace googlenet {

class Device {
 public:
  /** `name`: 'cpu', 'cuda' or 'cuda:N', whose N becomes the options' index. */
  Device(const std::string& name, gn_device_options options) : backend(backend_named(name)) {
    options.index = device_index(name);
    check(backend.open(&options, &handle_));
  }
  ~Device() { backend.close(handle_); }
  Device(const Device&) = delete;

  gn_device* handle() const { return handle_; }

  const gn_backend& backend;

 private:
  gn_device* handle_ = nullptr;
};

}  // namespace googlenet
