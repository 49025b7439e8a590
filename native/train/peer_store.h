// A store on another card, as a worker sees it: it has a device of its own on that card (a stream) and room there for one
// array of parameters, through which weights and gradients pass. Turns in the store are held for passes over that
// card's memory alone, never for the way between the cards.
#pragma once
#include <memory>
#include <string>

#include "core/device.h"
#include "core/memory.h"
#include "train/store.h"

namespace googlenet {

class PeerStore : public Store {
 public:
  /** `home`: the device where the store lies. */
  PeerStore(std::shared_ptr<Store> store, const std::string& home, int64_t floats);

  uint64_t fetch(gn_device* by, float* weights) override;
  Pushed push(gn_device* by, const Push& push) override;
  uint64_t flush(gn_device* by, const Push& push) override;
  int64_t worker_bytes() const override { return passing_.bytes(); }

 private:
  const std::shared_ptr<Store> store_;
  const Device there_;
  DeviceMemory passing_;
};

}  // namespace googlenet
