// A small thread pool shared by our kernels and oneDNN's THREADPOOL runtime, so that the binary needs no OpenMP.
// parallel() runs body(i) for i in [0, count) once each, the caller taking part, and returns when all are done. Each
// thread begins with a share of its own, the same part of [0, count) every time, so that what it wrote in one region it
// finds in its caches in the next; then it helps the others.
// A nested call runs in the calling thread. Idle threads sleep on a futex after a short spin while a model runs.
#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

namespace googlenet {

/** Cores this process may use: the affinity mask, lowered to the cgroup's CPU quota (rounded up); at least 1. */
int available_cores();

class ThreadPool {
 public:
  /** `threads` counts the caller; 1 makes no thread at all. */
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /** The process-wide pool for `threads` threads: models of equal size share one and take turns on it. */
  static std::shared_ptr<ThreadPool> shared(int threads);

  int threads() const;
  /** True inside a body run by any pool. */
  static bool in_parallel();

  /** Up to threads() bodies run at the same time, each on a thread of its own: they may wait for each other. */
  template <class Body>
  void parallel(int64_t count, const Body& body) {
    run(count, invoke<Body>, &body, true);
  }
  /** body(thread, i), where `thread` is who runs it, less than threads() and than count: for scratch of its own. They may
   *  not wait for each other. */
  template <class Body>
  void items(int64_t count, const Body& body) {
    run(
        count, [](const void* b, int thread, int64_t i) { (*static_cast<const Body*>(b))(int64_t(thread), i); }, &body,
        false);
  }
  /** Splits [0, count) into at most threads() contiguous ranges: body(first, last). They may not wait for each other:
   *  a thread that is late, its core taken by another process, leaves its range to the rest. */
  template <class Body>
  void ranges(int64_t count, const Body& body) {
    const int64_t parts = count < threads() ? count : threads();
    const auto part = [&](int64_t i) { body(count * i / parts, count * (i + 1) / parts); };
    run(parts, invoke<decltype(part)>, &part, false);
  }

 private:
  typedef void (*Call)(const void* context, int thread, int64_t i);
  template <class Body>
  static void invoke(const void* context, int, int64_t i) {
    (*static_cast<const Body*>(context))(i);
  }
  void run(int64_t count, Call call, const void* context, bool together);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace googlenet
