// Work handed out to threads that need scratch of their own: body(slot, item) for items [0, count), each taken by the
// next free thread, at most one item of a slot at a time. Slots are less than the pool's threads.
#pragma once
#include <atomic>

#include "core/threads.h"

namespace googlenet::cpu {

template <class Body>
void in_slots(ThreadPool& pool, int64_t count, const Body& body) {
  std::atomic<int64_t> next{0};
  pool.ranges(count < pool.threads() ? count : pool.threads(), [&](int64_t slot, int64_t) {
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(slot, item);
  });
}

}  // namespace googlenet::cpu
