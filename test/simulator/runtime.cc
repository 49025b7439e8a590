// CUDA's runtime on the host: memory that is poisoned when it comes and when it goes, streams that run as late as they
// may, and the errors of machines that lack something. Linked into googlenet_cuda.so in place of the real one.
//   SIMULATOR_DRIVER   version the driver knows, 0 = no driver; default 13000
//   SIMULATOR_DEVICES  how many GPUs it sees; default 1
//   SIMULATOR_MEMORY   MiB of each; default 8192
//   SIMULATOR_CAPABILITY  compute capability of each, 75 = 7.5; default 90
//   SIMULATOR_IDLE     nothing runs and memory is not touched: for plans that are only built (test/deviceless)
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "stream.h"

namespace {

int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

constexpr int kPoison = 0xff;  // floats of it are NaN

bool idle() { return std::getenv("SIMULATOR_IDLE") != nullptr; }
void poison(void* memory, size_t bytes) {
  if (!idle()) std::memset(memory, kPoison, bytes);
}

struct Stream : CUstream_st {
  std::deque<std::function<void()>> queue;
  void enqueue(std::function<void()> work) override;
  void drain() {
    while (!queue.empty()) {
      const auto work = std::move(queue.front());
      queue.pop_front();
      work();
    }
  }
};

std::recursive_mutex mutex;  // one for all: a simulated device does one thing at a time
std::set<Stream*> streams;
std::map<uintptr_t, size_t> allocations;
int64_t used = 0;
thread_local cudaError_t last = cudaSuccess;

void Stream::enqueue(std::function<void()> work) {
  const std::lock_guard lock(mutex);
  if (!idle()) queue.push_back(std::move(work));
}

cudaError_t report(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

bool allocated(const void* memory, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  auto next = allocations.upper_bound(at);
  if (next == allocations.begin()) return false;
  --next;
  return at + bytes <= next->first + next->second;
}

Stream* known(cudaStream_t stream) {
  Stream* const found = static_cast<Stream*>(stream);
  return streams.count(found) ? found : nullptr;
}

}  // namespace

namespace googlenet::cuda {
void simulated_launch(cudaStream_t stream, std::function<void()> work) { stream->enqueue(std::move(work)); }
}  // namespace googlenet::cuda

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = setting("SIMULATOR_DRIVER", 13000);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (setting("SIMULATOR_DRIVER", 13000) < 13000) return report(cudaErrorInsufficientDriver);
  *count = setting("SIMULATOR_DEVICES", 1);
  return *count ? cudaSuccess : report(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "simulated device");
  const int capability = setting("SIMULATOR_CAPABILITY", 90);
  properties->major = capability / 10, properties->minor = capability % 10;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return report(device < setting("SIMULATOR_DEVICES", 1) ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "driver too old";
    case cudaErrorNoDevice: return "no device";
    case cudaErrorInvalidDevice: return "invalid device";
    default: return "unknown error";
  }
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const std::lock_guard lock(mutex);
  if (used + int64_t(bytes) > int64_t(setting("SIMULATOR_MEMORY", 8192)) << 20)
    return report(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*memory) return report(cudaErrorMemoryAllocation);
  poison(*memory, bytes);
  allocations[reinterpret_cast<uintptr_t>(*memory)] = bytes;
  used += int64_t(bytes);
  return cudaSuccess;
}

// As the real one it waits for all streams first.
cudaError_t cudaFree(void* memory) {
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations.end()) return report(memory ? cudaErrorInvalidValue : cudaSuccess);
  for (Stream* stream : streams) stream->drain();
  poison(memory, found->second);
  used -= int64_t(found->second);
  allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(mutex);
  Stream* const made = new Stream;
  streams.insert(made);
  *stream = made;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found) return report(cudaErrorInvalidValue);
  found->drain();
  streams.erase(found);
  delete found;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  Stream* const found = known(stream);
  if (!found) return report(cudaErrorInvalidValue);
  found->drain();
  return cudaSuccess;
}

// Host memory is read and written when the stream gets there, as with pinned memory.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const bool inside = kind == cudaMemcpyHostToDevice ? allocated(to, bytes) : allocated(from, bytes);
  if (!inside || !known(stream)) return report(cudaErrorInvalidValue);
  stream->enqueue([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (!allocated(memory, bytes) || !known(stream)) return report(cudaErrorInvalidValue);
  stream->enqueue([=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

}  // extern "C"
