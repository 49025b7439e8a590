// What the parts of the simulated runtime share: runtime.cc has devices and memory, streams.cc streams and events,
// capture.cc graphs.
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

struct Stream;
struct Item {
  std::function<void()> work;
  double milliseconds;
  Stream* after = nullptr;  // waits until that stream has done the items before `at`
  uint64_t at = 0;
};

/** A piece of captured work. */
struct Node {
  std::function<void()> work;
  double milliseconds;
  uint64_t stream;         // its number
  std::vector<int> after;  // nodes
};
/** What is written down of the streams that take part. */
struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  const Stream* origin;
  std::vector<Node> nodes;
  bool broken = false;  // something was asked for that cannot be captured
  bool ended = false;
};

struct Stream : CUstream_st {
  Stream();
  const int device = current;
  const uint64_t number;  // in the order of their making
  std::deque<Item> queue;
  uint64_t asked = 0, done = 0;  // items
  double clock = 0;              // milliseconds that all done items took
  std::shared_ptr<Capture> capture;
  std::vector<int> tail;  // while captured: the nodes that its next one comes after

  void enqueue(std::function<void()> work, double milliseconds) override;
  void enqueue(Item item);
  /** Runs what was asked for before item `until`. */
  void drain(uint64_t until);
  void drain() { drain(asked); }

 private:
  /** Its next item need not wait. */
  bool able() const;
  void advance(uint64_t until);
};

}  // namespace simulator

struct CUevent_st {
  simulator::Stream* stream = nullptr;
  uint64_t at = 0;  // items before it
  double clock = 0;
  // Last recorded in a capture: which, and what it stands for there.
  std::shared_ptr<simulator::Capture> capture;
  std::vector<int> tail;
};

namespace simulator {

inline std::set<Stream*> streams;

inline Stream* known(cudaStream_t stream) {
  Stream* const found = static_cast<Stream*>(stream);
  return streams.count(found) ? found : nullptr;
}

/** The stream whose work goes before all other where no event orders them; may be null (SIMULATOR_AHEAD). */
Stream* ahead();
inline bool take_turns() { return setting("SIMULATOR_TURNS", 0) != 0; }

/** Refuses what this thread must not ask for while it captures (or while anyone captures for all threads), and breaks
 *  that capture, as CUDA does for calls that it calls potentially unsafe. */
cudaError_t refuse_if_capturing();

/** To be told before work of a device is done: the memory that it does not reach is then none. */
void enter(int device);

/** Counts an item of work of a device; false: the device has failed, and the work is lost. */
bool works(int device);
/** What calls answer that concern a device that has failed. */
cudaError_t refuse_if_failed(int device);

/** cudaStreamWaitEvent, where the stream or the event is of a capture: the stream joins it. */
cudaError_t wait_captured(Stream& stream, const CUevent_st& event);

/** Counts memory of a device; false: there is not so much. */
bool take(int device, int64_t bytes);
void give(int device, int64_t bytes);

}  // namespace simulator
