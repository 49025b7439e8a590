#include "train/peer_store.h"

namespace googlenet {

PeerStore::PeerStore(std::shared_ptr<Store> store, const std::string& home, int64_t floats)
    : store_(std::move(store)), there_(home, gn_device_options{}) {
  passing_.grow_floats(there_.backend, there_.handle(), floats);
}

/** From card to card; both may use their memory again when it returns. */
static void carry(const gn_backend& backend, gn_device* device, float* to, gn_device* other, const float* from,
                  int64_t bytes) {
  check(backend.finish(other));
  check(backend.pull(device, to, other, from, bytes));
  check(backend.finish(device));
}

uint64_t PeerStore::fetch(gn_device* by, float* weights) {
  const uint64_t version = store_->fetch(there_.handle(), passing_.floats());
  carry(there_.backend, by, weights, there_.handle(), passing_.floats(), passing_.bytes());
  return version;
}

Pushed PeerStore::push(gn_device* by, const Push& push) {
  carry(there_.backend, there_.handle(), passing_.floats(), by, push.gradients, passing_.bytes());
  Push arrived = push;
  arrived.gradients = passing_.floats();
  return store_->push(there_.handle(), arrived);
}

uint64_t PeerStore::flush(gn_device*, const Push& push) { return store_->flush(there_.handle(), push); }

}  // namespace googlenet
