// The parameter store under many workers at once: every fetch is exactly one version, versions and staleness add up,
// groups and refusals count as they should, and averages follow the updates. Meant for the thread sanitizer too.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"
#include "train/local_store.h"

namespace {

// A device of the update kernels alone, so that the store can be tested without oneDNN.
struct Memory {
  static gn_status allocate(gn_device*, int64_t bytes, void** memory) {
    *memory = std::calloc(1, size_t(bytes));
    return {};
  }
  static void release(gn_device*, void* memory) { std::free(memory); }
};

const gn_backend& update_backend() {
  static const gn_backend backend = [] {
    gn_backend b{};
    b.name = "cpu";
    b.open = [](const gn_device_options* options, gn_device** device) {
      *device = new gn_device(test::Bench(googlenet::effective_isa(), "store").device(options->threads));
      return gn_status{};
    };
    b.close = [](gn_device* device) { delete device; };
    b.allocate = Memory::allocate;
    b.release = Memory::release;
    b.upload = [](gn_device*, void* to, const void* host, int64_t bytes) {
      std::memcpy(to, host, size_t(bytes));
      return gn_status{};
    };
    b.update = [](gn_device* device, const gn_update* u) {
      googlenet::cpu::update(*device, *u);
      return gn_status{};
    };
    b.finish = [](gn_device*) { return gn_status{}; };
    b.scale_add = [](gn_device* device, float* dst, const float* src, int64_t count, float keep, float scale) {
      googlenet::cpu::scale_add(*device, dst, src, count, keep, scale);
      return gn_status{};
    };
    return b;
  }();
  return backend;
}

}  // namespace

extern "C" const gn_backend* googlenet_cpu_backend() { return &update_backend(); }

namespace test {
namespace {

using googlenet::Device;
using googlenet::LocalStore;
using googlenet::Push;
using googlenet::Pushed;

constexpr int64_t kFloats = 300001;  // several shards, the last one odd

std::shared_ptr<Device> device() {
  gn_device_options options{};
  options.threads = 1;
  return std::make_shared<Device>("cpu", options);
}

/** An update that adds 1 to every weight: all weights then equal the number of updates. */
Push counting(const std::vector<float>& gradient) {
  Push push;
  push.gradients = gradient.data();
  gn_update u{};
  u.rule = GN_SGD;
  u.count = int64_t(gradient.size());
  u.rate = 1, u.momentum_factor = 0, u.gradient_scale = 1;
  push.updates = {u};
  return push;
}

void workers_at_once(int workers, int group, int64_t max_staleness) {
  const std::string name = std::to_string(workers) + " workers, groups of " + std::to_string(group) + ": ";
  auto store = std::make_shared<LocalStore>(device(), kFloats);
  {
    const LocalStore::Hold hold(*store);
    store->configure({googlenet::AverageKind::polyak, 0, 0}, 0);
  }
  constexpr int kSteps = 40;
  std::atomic<uint64_t> staleness{0}, applied{0}, torn{0};
  std::vector<std::atomic<int>> orders(size_t(workers) * kSteps);
  const auto work = [&](int index) {
    const auto mine = device();
    std::vector<float> weights(kFloats), gradient(kFloats, -1);
    Push push = counting(gradient);
    push.policy.group = group, push.policy.max_staleness = max_staleness;
    for (int step = 0; step < kSteps; step++) {
      push.base = store->fetch(mine->handle(), weights.data());
      for (const float w : weights)
        if (w != float(push.base)) torn++;
      if (index == 0 && step % 8 == 0) {  // the model itself looks in
        const LocalStore::Hold hold(*store);
        const float* w = store->weights().floats();
        torn += w[0] != float(store->updates()) || w[kFloats - 1] != w[0];
      }
      const Pushed pushed = store->push(mine->handle(), push);
      orders[size_t(pushed.order)]++;
      staleness += pushed.staleness, applied += pushed.applied;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < workers; i++) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();

  check(torn == 0, name + "a fetch saw two versions");
  check(std::all_of(orders.begin(), orders.end(), [](const auto& seen) { return seen == 1; }),
        name + "a push's number is missing or was given twice");
  check(max_staleness >= 0 || applied == uint64_t(workers) * kSteps, name + "a gradient was refused without a bound");
  std::vector<float> gradient(kFloats, -1);
  const auto mine = device();
  const uint64_t updates = store->flush(mine->handle(), counting(gradient));
  check(updates == (applied + uint64_t(group) - 1) / uint64_t(group), name + "wrong number of updates");
  const LocalStore::Hold hold(*store);
  const float* w = store->weights().floats();
  check(std::all_of(w, w + kFloats, [&](float x) { return x == float(updates); }), name + "an update is missing");
  const double mean = double(updates + 1) / 2;  // of 1 … updates
  const float* a = store->average().floats();
  check(std::all_of(a, a + kFloats, [&](float x) { return std::fabs(x - mean) < 1e-4 * mean; }),
        name + "the average is not the mean of the updates");
}

// Known sequences, one worker: what each policy makes of a stale gradient.
void policies() {
  const auto by = device();
  std::vector<float> gradient(kFloats, -1);
  LocalStore store(by, kFloats);
  const auto weight = [&] {
    const LocalStore::Hold hold(store);
    return store.weights().floats()[kFloats / 2];
  };
  Push push = counting(gradient);
  for (int i = 0; i < 4; i++) store.push(by->handle(), push);  // all on version 0
  check(weight() == 4, "policies: plain pushes ignore staleness");
  push.policy.scale_by_staleness = true;
  Pushed pushed = store.push(by->handle(), push);
  check(pushed.staleness == 4 && pushed.applied && weight() == 4.25f, "policies: scaled by 1/4");
  push.base = 5;
  pushed = store.push(by->handle(), push);
  check(pushed.staleness == 0 && weight() == 5.25f, "policies: a fresh gradient is not scaled");
  push.policy.scale_by_staleness = false, push.policy.max_staleness = 2, push.base = 3;
  pushed = store.push(by->handle(), push);
  check(pushed.staleness == 3 && !pushed.applied && pushed.updates == 6 && weight() == 5.25f, "policies: refused");
  push.base = 4;
  check(store.push(by->handle(), push).applied && weight() == 6.25f, "policies: at the bound");
  push.policy.max_staleness = -1, push.policy.group = 3, push.gradient_scale = 0.5f;
  store.push(by->handle(), push), store.push(by->handle(), push);
  check(weight() == 6.25f, "policies: a group waits");
  check(store.push(by->handle(), push).updates == 8 && std::fabs(weight() - 6.75f) < 1e-6f, "policies: a group's mean");
  store.push(by->handle(), push);
  check(store.flush(by->handle(), push) == 9 && std::fabs(weight() - 7.25f) < 1e-6f, "policies: flush");
  check(store.flush(by->handle(), push) == 9, "policies: nothing to flush");
}

// Readers are there at the same time, and a push waits for them.
void readers() {
  LocalStore store(device(), kFloats);
  std::vector<float> gradient(kFloats, -1);
  auto first = std::make_unique<LocalStore::Reading>(store);
  auto second = std::make_unique<LocalStore::Reading>(store);  // would hang if readers kept each other out
  std::atomic<bool> pushed{false};
  const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); };
  std::thread writer([&] {
    const auto mine = device();
    store.push(mine->handle(), counting(gradient));
    pushed = true;
  });
  wait();
  check(!pushed && store.weights().floats()[kFloats - 1] == 0, "readers: a push did not wait for them");
  first.reset();
  wait();
  check(!pushed, "readers: a push waited for one of two");
  second.reset();
  writer.join();
  check(pushed && store.weights().floats()[0] == 1, "readers: the push never came");
}

// Readers without a pause and pushes at once: a reader sees one version from its first look to its last, and no push waits
// for ever, since a reader that comes after it waits for it.
void readers_at_once() {
  LocalStore store(device(), kFloats);
  std::atomic<uint64_t> torn{0};
  std::atomic<bool> done{false};
  const auto look = [&] {
    do {
      const LocalStore::Reading reading(store);
      const float* w = store.weights().floats();
      const float version = float(store.updates());
      for (int64_t i = 0; i < kFloats; i++) torn += w[i] != version;
    } while (!done);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) threads.emplace_back(look);
  const auto mine = device();
  std::vector<float> gradient(kFloats, -1);
  for (int step = 0; step < 40; step++) store.push(mine->handle(), counting(gradient));
  done = true;
  for (std::thread& thread : threads) thread.join();
  check(torn == 0, "readers: the weights changed under one");
}

}  // namespace

void store_tests() {
  policies();
  readers();
  readers_at_once();
  workers_at_once(1, 1, -1);
  workers_at_once(4, 1, -1);
  workers_at_once(8, 1, 3);
  workers_at_once(4, 3, -1);
}

}  // namespace test
