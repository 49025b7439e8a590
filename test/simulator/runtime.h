// What the two halves of the simulated runtime share: runtime.cc has devices and memory, streams.cc streams, events and
// graphs.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "stream.h"

namespace simulator {

inline std::recursive_mutex mutex;  // one for all: simulated devices do one thing at a time
inline thread_local cudaError_t last = cudaSuccess;
inline thread_local int current = 0;  // device

inline int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}
/** A number for each device, "64,16"; the last one stands for those that follow. */
inline int setting_of(const char* name, int device, int otherwise) {
  const char* at = std::getenv(name);
  for (const char* comma; at && device-- > 0 && (comma = std::strchr(at, ','));) at = comma + 1;
  return at ? std::atoi(at) : otherwise;
}
inline bool idle() { return std::getenv("SIMULATOR_IDLE") != nullptr; }

inline cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

struct Item {
  std::function<void()> work;
  double milliseconds;
};

/** What is written down of a stream. */
struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  std::vector<Item> items;
  bool broken = false;  // something was asked for that cannot be captured
};

struct Stream : CUstream_st {
  const int device = current;
  std::deque<Item> queue;
  uint64_t asked = 0, done = 0;  // items
  double clock = 0;              // milliseconds that all done items took
  std::unique_ptr<Capture> capture;

  void enqueue(std::function<void()> work, double milliseconds) override;
  /** Runs what was asked for before item `until`. */
  void drain(uint64_t until);
  void drain() { drain(asked); }
};

inline std::set<Stream*> streams;

inline Stream* known(cudaStream_t stream) {
  Stream* const found = static_cast<Stream*>(stream);
  return streams.count(found) ? found : nullptr;
}

/** Refuses what this thread must not ask for while it captures (or while anyone captures for all threads), and breaks
 *  that capture, as CUDA does for calls that it calls potentially unsafe. */
cudaError_t refuse_if_capturing();

/** To be told before work of a device is done: the memory that it does not reach is then none. */
void enter(int device);

/** Counts an item of work of a device; false: the device has failed, and the work is lost. */
bool works(int device);
/** What calls answer that concern a device that has failed. */
cudaError_t refuse_if_failed(int device);

/** Counts memory of a device; false: there is not so much. */
bool take(int device, int64_t bytes);
void give(int device, int64_t bytes);

}  // namespace simulator
