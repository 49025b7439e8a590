#include "train/local_store.h"

#include <algorithm>

#include "optim/optimizer.h"

namespace googlenet {

// Enough that turns follow each other closely, few enough that passing them costs nothing. Cut at multiples of the
// kernels' chunk (cpu/optim.cc), so that a shard is whole chunks.
static constexpr int64_t kShards = 16, kCut = 64 * 1024;

enum ArenaBit { kMomentum = 1, kSquares = 2, kGathered = 4 };

/** A place in the order of all turns. Goes through the shards one by one; leaves those it did not visit in order too. */
class LocalStore::Turn {
 public:
  explicit Turn(LocalStore& store) : store_(store), number_(store.next_turn_.fetch_add(1)) {}
  ~Turn() {
    while (at_ < store_.shards_.size()) {
      enter();
      leave();
    }
  }
  const Shard& enter() {
    Shard& shard = *store_.shards_[at_];
    std::unique_lock lock(shard.mutex);
    shard.next.wait(lock, [&] { return shard.turn == number_; });
    return shard;
  }
  void leave() { pass(at_++); }
  void enter_all() {
    for (; at_ < store_.shards_.size(); at_++) enter();
    at_ = 0;
  }
  void leave_all() {
    while (at_ < store_.shards_.size()) leave();
  }

 private:
  void pass(size_t index) {
    Shard& shard = *store_.shards_[index];
    {
      std::lock_guard lock(shard.mutex);
      shard.turn = number_ + 1;
    }
    shard.next.notify_all();
  }
  LocalStore& store_;
  const uint64_t number_;
  size_t at_ = 0;
};

LocalStore::Hold::Hold(LocalStore& store) : turn_(std::make_unique<Turn>(store)) {
  turn_->enter_all();
  store.await_readers();
}
LocalStore::Hold::~Hold() { turn_->leave_all(); }

LocalStore::Reading::Reading(LocalStore& store) : store_(store) {
  Turn turn(store);
  turn.enter_all();
  const std::lock_guard lock(store.reading_);
  store.readers_++;
}
LocalStore::Reading::~Reading() {
  {
    const std::lock_guard lock(store_.reading_);
    store_.readers_--;
  }
  store_.read_.notify_all();
}

void LocalStore::await_readers() {
  std::unique_lock lock(reading_);
  read_.wait(lock, [&] { return readers_ == 0; });
}

LocalStore::LocalStore(std::shared_ptr<Device> device, int64_t floats) : device_(std::move(device)), floats_(floats) {
  const int64_t step = std::max((floats + kShards * kCut - 1) / (kShards * kCut), int64_t(1)) * kCut;
  for (int64_t first = 0; first < std::max<int64_t>(floats, 1); first += step) {
    auto shard = std::make_unique<Shard>();
    shard->first = first, shard->last = std::min(first + step, floats);
    shards_.push_back(std::move(shard));
  }
  arena(weights_);
}

DeviceMemory& LocalStore::arena(DeviceMemory& memory) {
  if (!memory.data()) {
    memory.grow_floats(device_->backend, device_->handle(), floats_);
    bytes_ += memory.bytes();
  }
  return memory;
}

DeviceMemory& LocalStore::squares(float initial) {
  if (squares_.data()) return squares_;
  const std::vector<float> values(size_t(floats_), initial);
  arena(squares_).upload(0, values.data(), floats_ * int64_t(sizeof(float)));
  check(device_->backend.finish(device_->handle()));
  return squares_;
}

DeviceMemory& LocalStore::average() {
  if (average_.data()) return average_;
  arena(average_);
  check(device_->backend.scale_add(device_->handle(), average_.floats(), weights_.floats(), floats_, 0, 1));
  check(device_->backend.finish(device_->handle()));
  return average_;
}

void LocalStore::configure(const AverageOptions& options, uint64_t updates) {
  averaging_ = options;
  updates_ = updates;
  if (options.kind != AverageKind::none) {
    average();
  } else if (average_.data()) {
    bytes_ -= average_.bytes();
    average_.release();
  }
}

void LocalStore::swap_average() {
  average();
  weights_.swap(average_);
  changed();
}

void LocalStore::forget_state() {
  for (DeviceMemory* memory : {&momentum_, &squares_, &average_, &gathered_}) {
    bytes_ -= memory->bytes();
    memory->release();
  }
  ready_ = 0;
  gathered_count_ = 0;
  averaging_ = {};
  updates_ = 0;
  changed();
}

uint64_t LocalStore::fetch(gn_device* by, float* weights) {
  Turn turn(*this);
  uint64_t version = 0;
  for (size_t i = 0; i < shards_.size(); i++) {
    const Shard& shard = turn.enter();
    if (i == 0) version = updates_;
    check(device_->backend.scale_add(by, weights + shard.first, weights_.floats() + shard.first,
                                     shard.last - shard.first, 0, 1));
    check(device_->backend.finish(by));
    turn.leave();
  }
  return version;
}

static int arenas_for(const Push& push) {
  const gn_rule rule = push.updates.empty() ? GN_SGD : push.updates[0].rule;
  return (keeps_momentum(rule) ? kMomentum : 0) | (keeps_squares(rule) ? kSquares : 0) |
         (push.policy.group > 1 ? kGathered : 0);
}

void LocalStore::allocate(const Push& push, int needed) {
  if (needed & kMomentum) momentum();
  if (needed & kSquares) squares(push.initial_squares);
  if (needed & kGathered) arena(gathered_);
  ready_ |= needed;
}

// Arenas appear under a Hold, since turns that are under way read their addresses.
void LocalStore::ensure(const Push& push) {
  const int needed = arenas_for(push);
  if ((ready_.load() & needed) == needed) return;
  Hold hold(*this);
  allocate(push, needed);
}

std::vector<gn_update> LocalStore::next_update(const Push& push) {
  allocate(push, arenas_for(push));
  std::vector<gn_update> updates = push.updates;
  for (gn_update& u : updates) {
    bind(u, updates_ + 1);
    u.gradients = push.gradients;
    u.gradient_scale = push.gradient_scale;
  }
  return updates;
}

void LocalStore::count_update() {
  updates_++;
  contents_++;
}

void LocalStore::complete_group(Verdict& verdict) {
  verdict.group = gathered_count_;
  gathered_count_ = 0;
  count_update();
  verdict.number = updates_;
}

LocalStore::Verdict LocalStore::judge(const Push& push) {
  const PushPolicy& policy = push.policy;
  Verdict v;
  v.result.order = pushes_++;
  v.result.staleness = updates_ > push.base ? updates_ - push.base : 0;
  v.result.applied = policy.max_staleness < 0 || v.result.staleness <= uint64_t(policy.max_staleness);
  const float share = policy.scale_by_staleness ? 1.0f / float(std::max<uint64_t>(1, v.result.staleness)) : 1.0f;
  if (v.result.applied && policy.group > 1) {
    v.gathers = true, v.clears = gathered_count_++ == 0;
    if (gathered_count_ >= policy.group) complete_group(v);
    v.gradient_scale = push.gradient_scale * share;
  } else if (v.result.applied) {
    v.gradients = push.gradients;
    v.gradient_scale = push.gradient_scale, v.rate_scale = share;
    count_update();
    v.number = updates_;
  }
  v.result.updates = updates_;
  return v;
}

void LocalStore::bind(gn_update& u, uint64_t number) const {
  u.parameters = weights_.floats(), u.momentum = momentum_.floats(), u.squares = squares_.floats();
  if (averaging_.kind == AverageKind::none) return;
  u.average = average_.floats();
  u.average_share = float(averaging_.share(number));
}

void LocalStore::apply(gn_device* by, const Shard& shard, const Push& push, const Verdict& verdict) {
  const gn_backend& backend = device_->backend;
  if (verdict.gathers)
    check(backend.scale_add(by, gathered_.floats() + shard.first, push.gradients + shard.first,
                            shard.last - shard.first, verdict.clears ? 0 : 1, verdict.gradient_scale));
  if (verdict.number == 0) return;
  for (gn_update u : push.updates) {
    const int64_t last = std::min(u.first + u.count, shard.last);
    u.first = std::max(u.first, shard.first);
    u.count = last - u.first;
    if (u.count <= 0) continue;
    bind(u, verdict.number);
    u.gradients = verdict.gradients ? verdict.gradients : gathered_.floats();
    u.gradient_scale = verdict.gradients ? verdict.gradient_scale : 1.0f / float(verdict.group);
    u.rate *= verdict.rate_scale;
    check(backend.update(by, &u));
  }
}

// What is written is done before the turn is passed on: the next may belong to another device.
template <class Decide>
Pushed LocalStore::pass(gn_device* by, const Push& push, const Decide& decide) {
  ensure(push);
  Turn turn(*this);
  Verdict verdict;
  for (size_t i = 0; i < shards_.size(); i++) {
    const Shard& shard = turn.enter();
    if (i == 0) {  // no reader comes before this turn has left the last shard
      await_readers();
      verdict = decide();
    }
    apply(by, shard, push, verdict);
    check(device_->backend.finish(by));
    turn.leave();
  }
  return verdict.result;
}

Pushed LocalStore::push(gn_device* by, const Push& push) {
  return pass(by, push, [&] { return judge(push); });
}

uint64_t LocalStore::flush(gn_device* by, const Push& push) {
  const auto rest = [&] {
    Verdict verdict;
    if (gathered_count_ > 0) complete_group(verdict);
    verdict.result.updates = updates_;
    return verdict;
  };
  return pass(by, push, rest).updates;
}

}  // namespace googlenet
