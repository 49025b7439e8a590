// The pool of threads.h. One region runs at a time; `gate` carries its generation, how many threads may take part and
// how many have come. Two kinds of region:
//   fixed    parallel() with count <= threads: thread t runs body(t), all of them at once (oneDNN puts barriers
//            between such bodies);
//   dynamic  all others: whoever has come takes chunks off the counter of its own share, then off the others', and a
//            thread that wakes too late for a short region is locked out instead of waited for.
#include "core/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif

namespace googlenet {
namespace {

thread_local bool inside = false;

// A step of a model runs hundreds of regions a few microseconds apart; a futex wake costs about as much as a short
// region, so a worker watches the gate this long after a region before it sleeps.
constexpr auto kWorkerSpin = std::chrono::microseconds(50);
// The caller has nothing better to do than wait, but must give its core away when a worker has lost its own.
constexpr auto kCallerSpin = std::chrono::microseconds(200);

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** True as soon as ready() is; false when `limit` has passed. */
template <class Ready>
bool spin(std::chrono::microseconds limit, const Ready& ready) {
  if (ready()) return true;
  if (limit.count() == 0) return false;
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 32; i++) {
      relax();
      if (ready()) return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// gate: generation (32 bits) | fixed (1 bit) | threads that may take part (15 bits, 0 = closed) | workers come (16).
constexpr uint64_t kFixed = uint64_t(1) << 31;
constexpr uint32_t generation(uint64_t gate) { return uint32_t(gate >> 32); }
constexpr int seats(uint64_t gate) { return int(gate >> 16) & 0x7FFF; }
constexpr int come(uint64_t gate) { return int(gate & 0xFFFF); }
constexpr int kMaxThreads = 1024;

struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

}  // namespace

struct ThreadPool::State {
  explicit State(int count) : threads(count), shares(size_t(count)) {}

  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t last = 0;
  };

  int threads;
  std::chrono::microseconds worker_spin{0};
  std::vector<std::thread> workers;
  std::mutex turn;  // held by the caller during a region

  // The region, written before the gate opens and stable until everyone who came has left.
  Call call = nullptr;
  const void* context = nullptr;
  int64_t chunk = 1;
  int sharers = 0;
  std::vector<Share> shares;  // by thread
  std::exception_ptr error;   // the first one; under `sleep`

  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<int> left{0};

  alignas(64) std::mutex sleep;
  std::condition_variable wake, finished;
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<bool> stop{false};

  void divide(int64_t count) {
    for (int t = 0; t < sharers; t++) {
      shares[size_t(t)].next.store(count * t / sharers, std::memory_order_relaxed);
      shares[size_t(t)].last = count * (t + 1) / sharers;
    }
    chunk = std::max<int64_t>(count / (int64_t(sharers) * 16), 1);
  }

  void body(int thread, int64_t first, int64_t last) {
    try {
      for (int64_t i = first; i < last; i++) call(context, thread, i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(sleep);
      if (!error) error = std::current_exception();
    }
  }

  void take_chunks(int thread) {
    for (int i = 0; i < sharers; i++) {
      Share& share = shares[size_t((thread + i) % sharers)];
      while (share.next.load(std::memory_order_relaxed) < share.last) {
        const int64_t first = share.next.fetch_add(chunk, std::memory_order_relaxed);
        if (first < share.last) body(thread, first, std::min(first + chunk, share.last));
      }
    }
  }

  void leave() {
    left.fetch_add(1);
    if (caller_sleeps.load()) {
      std::lock_guard<std::mutex> lock(sleep);
      finished.notify_one();
    }
  }

  /** The gate once its generation is no longer `seen`. */
  uint64_t await(uint32_t seen) {
    uint64_t now = 0;
    const auto opened = [&] {
      now = gate.load();
      return generation(now) != seen || stop.load(std::memory_order_relaxed);
    };
    if (spin(worker_spin, opened)) return now;
    std::unique_lock<std::mutex> lock(sleep);
    sleepers.fetch_add(1);
    while (!opened()) wake.wait(lock);
    sleepers.fetch_sub(1);
    return now;
  }

  void work(int t) {
    inside = true;
    uint32_t seen = 0;
    for (;;) {
      uint64_t now = await(seen);
      if (stop.load()) return;
      seen = generation(now);
      if (now & kFixed) {
        if (t < seats(now)) {
          body(t, t, t + 1);
          leave();
        }
        continue;
      }
      bool entered = false;
      while (!entered && generation(now) == seen && t < seats(now)) entered = gate.compare_exchange_weak(now, now + 1);
      if (entered) {
        take_chunks(t);
        leave();
      }
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>(std::clamp(threads, 1, kMaxThreads))) {
  State& s = *state_;
  if (s.threads <= available_cores()) s.worker_spin = kWorkerSpin;
#if !defined(_WIN32)
  sigset_t all, before;  // signals are the host program's: none is delivered to a worker
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  try {
    for (int t = 1; t < s.threads; t++) s.workers.emplace_back([&s, t] { s.work(t); });
  } catch (...) {  // the system gives no more threads: go on with those there are
    s.threads = 1 + int(s.workers.size());
  }
#if !defined(_WIN32)
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(state_->sleep);
    state_->stop.store(true);
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  static std::mutex& mutex = *new std::mutex;  // never destroyed: models may outlive static destruction
  static auto& pools = *new std::map<int, std::weak_ptr<ThreadPool>>;
  if (threads < 1) threads = available_cores();
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<ThreadPool> pool = pools[threads].lock();
  if (!pool) pools[threads] = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

int ThreadPool::threads() const { return state_->threads; }

bool ThreadPool::in_parallel() { return inside; }

void ThreadPool::run(int64_t count, Call call, const void* context, bool together) {
  if (count <= 0) return;
  if (inside) {
    for (int64_t i = 0; i < count; i++) call(context, 0, i);
    return;
  }
  State& s = *state_;
  if (count == 1 || s.threads == 1) {
    Inside mark;
    for (int64_t i = 0; i < count; i++) call(context, 0, i);
    return;
  }

  std::unique_lock<std::mutex> turn(s.turn);
  Inside mark;
  const bool fixed = together && count <= s.threads;
  s.call = call, s.context = context;
  s.sharers = int(std::min<int64_t>(count, s.threads));
  if (!fixed) s.divide(count);
  s.left.store(0, std::memory_order_relaxed);
  const uint64_t head = uint64_t(uint32_t(generation(s.gate.load(std::memory_order_relaxed)) + 1)) << 32;
  const uint64_t invited = uint64_t(s.sharers) << 16;
  s.gate.store(head | invited | (fixed ? kFixed : 0));
  if (s.sleepers.load() > 0) {
    { std::lock_guard<std::mutex> lock(s.sleep); }
    s.wake.notify_all();
  }

  int expected;
  if (fixed) {
    s.body(0, 0, 1);
    expected = int(count) - 1;
  } else {
    s.take_chunks(0);
    expected = come(s.gate.exchange(head));
  }
  const auto all_left = [&] { return s.left.load() == expected; };
  if (!spin(kCallerSpin, all_left)) {
    std::unique_lock<std::mutex> lock(s.sleep);
    s.caller_sleeps.store(true);
    while (!all_left()) s.finished.wait(lock);
    s.caller_sleeps.store(false);
  }
  if (s.error) {
    std::exception_ptr error;
    {
      std::lock_guard<std::mutex> lock(s.sleep);
      std::swap(error, s.error);
    }
    std::rethrow_exception(error);
  }
}

}  // namespace googlenet
