// The thread pool: every index once, simultaneous bodies when there are no more of them than threads, nesting, several
// callers, exceptions, idle sleep.
#include <atomic>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "check.h"

namespace test {

using googlenet::ThreadPool;

static void counts(int threads) {
  ThreadPool pool(threads);
  bool good = true;
  for (int round = 0; round < 3000; round++) {
    const int count = round % 97;
    std::vector<int> seen(count, 0);  // plain ints: a race here is a race in the pool
    pool.parallel(count, [&](int64_t i) { seen[i]++; });
    for (const int s : seen) good &= s == 1;
    if (round % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // lets the workers fall asleep
  }
  check(good, "pool: every index once");
}

// Scratch is handed out by the thread's number: no two bodies at a time have the same one.
static void items(int threads) {
  ThreadPool pool(threads);
  bool good = true;
  for (int round = 0; round < 2000; round++) {
    const int count = 1 + round % 41, most = count < threads ? count : threads;
    std::vector<int> seen(count, 0);
    std::vector<std::atomic<int>> busy(threads);
    std::atomic<bool> apart{true};
    pool.items(count, [&](int64_t thread, int64_t i) {
      if (thread < 0 || thread >= most) {
        apart = false;
        return;
      }
      if (busy[thread].fetch_add(1) > 0) apart = false;
      seen[i]++;
      busy[thread].fetch_sub(1);
    });
    good &= apart;
    for (const int s : seen) good &= s == 1;
  }
  check(good, "pool: every item once, by threads apart");
}

// oneDNN puts barriers between bodies: each must have a thread of its own.
static void barriers(int threads) {
  ThreadPool pool(threads);
  bool good = true;
  for (int round = 0; round < 300; round++) {
    const int count = 2 + round % (threads - 1);
    std::atomic<int> arrived{0};
    const auto start = std::chrono::steady_clock::now();
    std::atomic<bool> late{false};
    pool.parallel(count, [&](int64_t) {
      arrived++;
      while (arrived < count && !late) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() - start > std::chrono::seconds(20)) late = true;
      }
    });
    good &= !late;
  }
  check(good, "pool: count <= threads runs all bodies at once");
}

static void nesting_and_errors() {
  ThreadPool pool(3);
  check(!ThreadPool::in_parallel(), "pool: outside");
  std::atomic<int> sum{0}, inside{0};
  pool.parallel(10, [&](int64_t) {
    inside += ThreadPool::in_parallel();
    pool.parallel(10, [&](int64_t) { sum++; });
  });
  check(sum == 100 && inside == 10 && !ThreadPool::in_parallel(), "pool: nested calls");
  for (const int count : {1, 2, 3, 50}) {
    bool caught = false;
    try {
      pool.parallel(count, [&](int64_t i) {
        if (i == count - 1) throw std::runtime_error("expected");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    check(caught && !ThreadPool::in_parallel(), "pool: exceptions reach the caller");
  }
  int64_t covered = 0;
  std::atomic<int64_t> total{0};
  pool.ranges(1000, [&](int64_t first, int64_t last) { total += last - first; });
  covered = total;
  check(covered == 1000, "pool: ranges");
}

static void callers() {
  const auto pool = ThreadPool::shared(3);
  check(pool == ThreadPool::shared(3) && pool != ThreadPool::shared(2), "pool: shared by size");
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> models;
  for (int m = 0; m < 3; m++)
    models.emplace_back([&] {
      for (int round = 0; round < 500; round++) pool->parallel(1 + round % 9, [&](int64_t) { sum++; });
    });
  for (std::thread& m : models) m.join();
  int64_t want = 0;
  for (int round = 0; round < 500; round++) want += 3 * (1 + round % 9);
  check(sum == want, "pool: several callers");
}

static void idle() {
  ThreadPool pool(3);
  pool.parallel(3, [](int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  check(double(std::clock() - before) / CLOCKS_PER_SEC < 0.02, "pool: idle threads burn no time");
}

void thread_tests() {
  check(googlenet::available_cores() >= 1, "available_cores");
  for (const int threads : {1, 2, 3, 8}) counts(threads), items(threads);
  for (const int threads : {2, 3, 6}) barriers(threads);
  nesting_and_errors();
  callers();
  idle();
}

}  // namespace test
