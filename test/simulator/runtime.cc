// CUDA's runtime on the host: memory that is poisoned when it comes and when it goes, and the errors of machines that
// lack something; streams.cc and capture.cc have the rest. Linked into googlenet_cuda.so in place of the real one.
//   SIMULATOR_DRIVER   version the driver knows, 0 = no driver; default 13000
//   SIMULATOR_DEVICES  how many GPUs it sees; default 1
//   SIMULATOR_MEMORY   MiB of each, or a number for each: 64,16; default 8192
//   SIMULATOR_PEERS    0: none reaches another's memory; default 1: all do, where it is enabled
//   SIMULATOR_FAILS    items of work after which a device fails for good, a number for each; default 0: never
//   SIMULATOR_CAPABILITY  compute capability of each, 75 = 7.5; default 90
//   SIMULATOR_IDLE     nothing runs and memory is not touched: for plans that are only built (test/deviceless)
#include "runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <map>

using namespace simulator;

namespace {

constexpr int kPoison = 0xff;  // floats of it are NaN

struct Allocation {
  size_t bytes;
  int device;  // -1: pinned host memory
};
std::map<uintptr_t, Allocation> allocations;
std::map<int, int64_t> used, items;     // by device
std::set<std::pair<int, int>> enabled;  // device, and the peer whose memory it reaches
constexpr int kUnknown = -1;
int inside = kUnknown;  // whose memory can be touched: see enter()

int devices() { return setting("SIMULATOR_DEVICES", 1); }
bool exists(int device) { return device >= 0 && device < devices(); }
bool connected() { return setting("SIMULATOR_PEERS", 1) != 0; }

void poison(void* memory, size_t bytes) {
  if (!idle()) std::memset(memory, kPoison, bytes);
}

// Several devices: memory in pages of its own, which can be taken away (enter()).
size_t paged(size_t bytes) {
  const auto page = size_t(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}
void* map_pages(size_t bytes) {
  void* const mapped = mmap(nullptr, paged(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  inside = kUnknown;
  return mapped == MAP_FAILED ? nullptr : mapped;
}

/** The allocation that holds these bytes. */
const Allocation* holder(const void* memory, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  auto next = allocations.upper_bound(at);
  if (next == allocations.begin()) return nullptr;
  --next;
  return at + bytes <= next->first + next->second.bytes ? &next->second : nullptr;
}

cudaError_t allocate(void** memory, size_t bytes, int device) {
  const std::lock_guard lock(mutex);
  if (const cudaError_t error = refuse_if_capturing(); error != cudaSuccess) return error;
  if (device >= 0) {
    if (const cudaError_t error = refuse_if_failed(device); error != cudaSuccess) return error;
    if (!take(device, int64_t(bytes))) return report(cudaErrorMemoryAllocation);
  }
  *memory = device >= 0 && devices() > 1 ? map_pages(bytes) : std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*memory) return report(cudaErrorMemoryAllocation);
  poison(*memory, bytes);
  allocations[reinterpret_cast<uintptr_t>(*memory)] = {bytes, device};
  return cudaSuccess;
}

// As the real one it waits for all streams first.
cudaError_t release(void* memory, bool pinned) {
  const std::lock_guard lock(mutex);
  if (!memory) return cudaSuccess;
  const auto found = allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations.end() || (found->second.device < 0) != pinned) return report(cudaErrorInvalidValue);
  if (const cudaError_t error = refuse_if_capturing(); error != cudaSuccess) return error;
  for (Stream* stream : streams)
    if (!stream->capture) stream->drain();
  if (!pinned) give(found->second.device, int64_t(found->second.bytes));
  if (!pinned && devices() > 1) {
    munmap(memory, paged(found->second.bytes));
  } else {
    poison(memory, found->second.bytes);
    std::free(memory);
  }
  allocations.erase(found);
  return cudaSuccess;
}

}  // namespace

bool simulator::take(int device, int64_t bytes) {
  if (used[device] + bytes > int64_t(setting_of("SIMULATOR_MEMORY", device, 8192)) << 20) return false;
  used[device] += bytes;
  return true;
}
void simulator::give(int device, int64_t bytes) { used[device] -= bytes; }

void simulator::enter(int device) {
  if (devices() == 1 || device == inside) return;
  for (const auto& [at, allocation] : allocations) {
    if (allocation.device < 0) continue;
    const bool reached = device == allocation.device || enabled.count({device, allocation.device});
    mprotect(reinterpret_cast<void*>(at), paged(allocation.bytes), reached ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  inside = device;
}

static bool failed(int device) {
  const int limit = setting_of("SIMULATOR_FAILS", device, 0);
  return limit > 0 && items[device] >= limit;
}
bool simulator::works(int device) {
  if (failed(device)) return false;
  items[device]++;
  return true;
}
cudaError_t simulator::refuse_if_failed(int device) {
  return failed(device) ? report(cudaErrorECCUncorrectable) : cudaSuccess;
}

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = setting("SIMULATOR_DRIVER", 13000);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (setting("SIMULATOR_DRIVER", 13000) < 13000) return report(cudaErrorInsufficientDriver);
  *count = devices();
  return *count ? cudaSuccess : report(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "simulated device");
  const int capability = setting("SIMULATOR_CAPABILITY", 90);
  properties->major = capability / 10, properties->minor = capability % 10;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (!exists(device)) return report(cudaErrorInvalidDevice);
  current = device;
  return cudaSuccess;
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
    case cudaErrorECCUncorrectable: return "uncorrectable ECC error encountered";
    case cudaErrorPeerAccessAlreadyEnabled: return "peer access is already enabled";
    case cudaErrorIllegalState: return "illegal state";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureMerge: return "attempt to merge two captures";
    case cudaErrorStreamCaptureUnmatched: return "the capture was not begun in this stream";
    case cudaErrorStreamCaptureUnjoined: return "a captured stream has not been joined";
    case cudaErrorStreamCaptureIsolation: return "dependency on uncaptured work in another stream";
    case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
    case cudaErrorStreamCaptureWrongThread: return "attempt to terminate a capture from another thread";
    default: return "unknown error";
  }
}

cudaError_t cudaMalloc(void** memory, size_t bytes) { return allocate(memory, bytes, current); }
cudaError_t cudaFree(void* memory) { return release(memory, false); }
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) { return allocate(memory, bytes, -1); }
cudaError_t cudaFreeHost(void* memory) { return release(memory, true); }

// Host memory is read and written when the stream gets there, as with pinned memory.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const bool in = kind == cudaMemcpyHostToDevice;
  const Allocation *const inside = holder(in ? to : from, bytes), *const host = holder(in ? from : to, bytes);
  Stream* const found = known(stream);
  if (!found || !inside || inside->device != found->device) return report(cudaErrorInvalidValue);
  if (found->capture && !host) {
    found->capture->broken = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  found->enqueue([=] { std::memcpy(to, from, bytes); }, 0.01);
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  if (!exists(device) || !exists(peer)) return report(cudaErrorInvalidDevice);
  *can = device != peer && connected();
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned int flags) {
  const std::lock_guard lock(mutex);
  if (flags != 0) return report(cudaErrorInvalidValue);
  if (!exists(peer) || peer == current || !connected()) return report(cudaErrorInvalidDevice);
  if (!enabled.insert({current, peer}).second) return report(cudaErrorPeerAccessAlreadyEnabled);
  inside = kUnknown;
  return cudaSuccess;
}

// The stream's device reaches over where that is enabled; else the bytes go through the host, in two steps.
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const Allocation *const target = holder(to, bytes), *const source = holder(from, bytes);
  Stream* const found = known(stream);
  if (!exists(to_device) || !exists(from_device)) return report(cudaErrorInvalidDevice);
  if (!found || !target || target->device != to_device || !source || source->device != from_device)
    return report(cudaErrorInvalidValue);
  for (const int device : {to_device, from_device})
    if (const cudaError_t error = refuse_if_failed(device); error != cudaSuccess) return error;
  const int other = found->device == to_device ? from_device : to_device;
  if (connected() && other != found->device && !enabled.count({found->device, other})) {
    std::fprintf(stderr, "simulated device: a copy goes through the host that could go directly\n");
    std::abort();
  }
  if (connected()) {
    found->enqueue([=] { std::memcpy(to, from, bytes); }, 0.01);
    return cudaSuccess;
  }
  const auto host = std::make_shared<std::vector<char>>(bytes);
  found->enqueue([=] { enter(from_device), std::memcpy(host->data(), from, bytes); }, 0.01);
  found->enqueue([=] { enter(to_device), std::memcpy(to, host->data(), bytes); }, 0.01);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  const Allocation* const inside = holder(memory, bytes);
  if (!known(stream) || !inside || inside->device != known(stream)->device) return report(cudaErrorInvalidValue);
  stream->enqueue([=] { std::memset(memory, value, bytes); }, 0.01);
  return cudaSuccess;
}

}  // extern "C"
