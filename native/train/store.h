// Where the parameters of a model live while workers train them: the seam between a worker and its parameter server.
// A worker fetches a copy of the weights, computes a gradient on it, and pushes the gradient; nothing else passes
// between them, so a store may lie on the worker's device (LocalStore), on another one (PeerStore) or on another
// machine. After Downpour SGD (Dean et al. 2012, section 4.1).
#pragma once
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace googlenet {

/** What a store makes of gradients that come late, or several at a time. */
struct PushPolicy {
  /** Divide the rate by max(1, staleness) (Zhang et al. 2015, arXiv 1511.05950). */
  bool scale_by_staleness = false;
  /** Beyond this staleness the gradient is not applied; negative: any is welcome. */
  int64_t max_staleness = -1;
  /** n-softsync: an update is made of the mean of so many gradients; 1: of each alone. */
  int group = 1;
};

/** A gradient on its way to the store, and how it is to be applied. */
struct Push {
  const float* gradients = nullptr;
  /** Version of the weights that it was computed on. */
  uint64_t base = 0;
  /** Ranges and factors of the update (optim/optimizer.h). */
  std::vector<gn_update> updates;
  /** What squares start from, where the store has none yet. */
  float initial_squares = 0;
  /** The gradient is multiplied by this first (clipping). */
  float gradient_scale = 1;
  PushPolicy policy;
};

struct Pushed {
  /** Number of this push, from 0: the order in which the store took them. */
  uint64_t order = 0;
  /** Updates the store had made when it took the gradient, less those that the gradient knew of. */
  uint64_t staleness = 0;
  bool applied = false;
  /** Updates made so far, this push included. */
  uint64_t updates = 0;
  /** It took, waiting for a turn included. */
  double seconds = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  /** Copies the weights; returns their version. The work is done by the threads of `by`, the worker's device. */
  virtual uint64_t fetch(gn_device* by, float* weights) = 0;
  virtual Pushed push(gn_device* by, const Push& push) = 0;
  /** Makes an update of the gradients of a group that is not complete; nothing without such. */
  virtual uint64_t flush(gn_device* by, const Push& push) = 0;
  /** Bytes that it holds for this worker alone. */
  virtual int64_t worker_bytes() const { return 0; }
};

}  // namespace googlenet
