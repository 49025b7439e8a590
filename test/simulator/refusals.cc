// What the simulated runtime refuses while streams are captured and between devices, as the real one does, that a graph
// replays what was asked for with the arguments it had then, that events alone order streams, and that kernels' faults
// show. Prints what is wrong, or nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cuda/pack.h"
#include "simulated_launch.h"

static void expect(bool right, const char* what) {
  if (!right) std::printf("%s\n", what);
}

using namespace googlenet::cuda;

/** Whether the process lives on after `body`. */
static bool survives(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/** Between device 0 and device 1. */
static void peers() {
  int* memory[2];
  cudaStream_t streams[2];
  for (const int device : {0, 1}) {
    cudaSetDevice(device);
    cudaMalloc(reinterpret_cast<void**>(&memory[device]), 64);
    cudaStreamCreateWithFlags(&streams[device], cudaStreamNonBlocking);
  }
  const auto write = [&](int device, int by, int value) {
    cudaSetDevice(by);
    simulated_launch(streams[by], [at = memory[device], value] { *at = value; });
    cudaStreamSynchronize(streams[by]);
  };
  expect(survives([&] { write(0, 0, 1), write(1, 1, 1), write(0, 0, 1); }), "memory of its own was refused");
  expect(!survives([&] { write(1, 1, 1), write(1, 0, 1); }), "a kernel reached memory of another device");
  expect(!survives([&] { cudaSetDevice(1), simulated_launch(streams[0], [] {}); }), "the wrong device was current");
  expect(!survives([&] { cudaSetDevice(0), cudaMemcpyPeerAsync(memory[0], 0, memory[1], 1, 4, streams[0]); }),
         "a copy went the long way without being asked to");
  write(1, 1, 7), write(0, 0, 1);
  cudaSetDevice(0);
  int reaches = 0;
  expect(cudaDeviceCanAccessPeer(&reaches, 0, 1) == cudaSuccess && reaches, "devices do not reach each other");
  expect(cudaDeviceCanAccessPeer(&reaches, 0, 0) == cudaSuccess && !reaches, "a device is its own peer");
  expect(cudaDeviceCanAccessPeer(&reaches, 0, 2) == cudaErrorInvalidDevice, "a device that is not there has peers");
  expect(cudaDeviceEnablePeerAccess(0, 0) != cudaSuccess, "a device was made its own peer");
  expect(cudaDeviceEnablePeerAccess(1, 1) == cudaErrorInvalidValue, "flags");
  expect(cudaDeviceEnablePeerAccess(1, 0) == cudaSuccess, "peer access");
  expect(cudaDeviceEnablePeerAccess(1, 0) == cudaErrorPeerAccessAlreadyEnabled, "peer access a second time");
  expect(survives([&] { write(1, 0, 1); }), "a kernel did not reach a peer's memory");
  expect(!survives([&] { write(0, 1, 1); }), "peer access works both ways");
  const auto copy = [&] {
    cudaSetDevice(0);
    return cudaMemcpyPeerAsync(memory[0], 0, memory[1], 1, 4, streams[0]);
  };
  const auto arrived = [&] {
    int result = 0;
    cudaSetDevice(0);
    simulated_launch(streams[0], [&] { result = *memory[0]; });
    cudaStreamSynchronize(streams[0]);
    return result;
  };
  expect(cudaMemcpyPeerAsync(memory[0], 1, memory[1], 0, 4, streams[0]) != cudaSuccess, "devices that are others");
  expect(cudaMemcpyPeerAsync(memory[0], 0, memory[1], 1, 65, streams[0]) != cudaSuccess, "more than there is");
  expect(copy() == cudaSuccess, "a copy");
  write(1, 1, 8);  // before the copy is waited for
  expect(arrived() == 8, "a copy did not wait for its stream");
  setenv("SIMULATOR_PEERS", "0", 1);
  expect(cudaDeviceCanAccessPeer(&reaches, 0, 1) == cudaSuccess && !reaches, "peers that are none");
  write(1, 1, 9);
  expect(copy() == cudaSuccess, "a copy through the host");
  write(1, 1, 10);
  expect(arrived() == 10, "a copy through the host did not wait for its stream");
  setenv("SIMULATOR_FAILS", "0,1", 1);  // it has done more than that
  expect(copy() == cudaErrorECCUncorrectable, "a copy from a device that has failed");
  expect(cudaStreamSynchronize(streams[0]) == cudaSuccess, "the other device failed too");
  expect(cudaStreamSynchronize(streams[1]) == cudaErrorECCUncorrectable, "a device that has failed");
  unsetenv("SIMULATOR_FAILS");
}

/** Work on a forked stream between work on its origin: what may run before what. */
static void check_several() {
  cudaStream_t first, second;
  cudaEvent_t fork, join, outside;
  for (cudaStream_t* stream : {&first, &second}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  for (cudaEvent_t* event : {&fork, &join, &outside}) cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  std::string told;
  const auto say = [&](cudaStream_t stream, char what) { simulated_launch(stream, [&told, what] { told += what; }); };
  const auto go_on = [](cudaStream_t from, cudaEvent_t event, cudaStream_t to) {
    cudaEventRecord(event, from);
    return cudaStreamWaitEvent(to, event, 0);
  };
  const auto branches = [&](bool joins) {  // a, then b and c as one likes, then d
    say(first, 'a');
    go_on(first, fork, second);
    say(second, 'c');
    say(first, 'b');
    if (joins) go_on(second, join, first);
    say(first, 'd');
  };
  cudaGraph_t graph = nullptr;
  const auto captured = [&](const char* what, cudaError_t error, const std::function<void()>& body) {
    cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal);
    body();
    expect(cudaStreamEndCapture(first, &graph) == error && (graph == nullptr) == (error != cudaSuccess), what);
  };
  const auto invalid = cudaErrorStreamCaptureInvalidated;
  captured("a branch that was not joined", cudaErrorStreamCaptureUnjoined, [&] { branches(false); });
  say(second, 'x'), cudaStreamSynchronize(second);
  expect(told == "x", "a stream was left in a capture that has ended");
  captured("waiting for an event outside", invalid, [&] { go_on(second, outside, first); });
  captured("waiting for a captured event", invalid,
           [&] { cudaEventRecord(fork, first), expect(cudaEventSynchronize(fork) != cudaSuccess, "it waited"); });
  captured("waiting for a captured stream that joined", invalid,
           [&] { go_on(first, fork, second), cudaStreamSynchronize(second); });
  captured("ending elsewhere", cudaSuccess, [&] {
    go_on(first, fork, second);
    expect(cudaStreamEndCapture(second, &graph) == cudaErrorStreamCaptureUnmatched, "another stream ended it");
  });
  cudaGraphDestroy(graph);
  expect(cudaStreamWaitEvent(second, fork, 0) == cudaErrorCapturedEvent, "an event outlived its capture");
  captured("merging two captures", invalid, [&] {
    cudaStreamBeginCapture(second, cudaStreamCaptureModeThreadLocal);
    expect(go_on(first, fork, second) == cudaErrorStreamCaptureMerge, "two captures merged");
    cudaGraph_t other = nullptr;
    expect(cudaStreamEndCapture(second, &other) == invalid && !other, "a merged capture ended well");
  });
  captured("branches", cudaSuccess, [&] { branches(true); });
  cudaGraphExec_t exec = nullptr;
  cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  const auto runs_as = [&](const char* ahead, const char* expected) {
    setenv("SIMULATOR_AHEAD", ahead, 1);
    for (const bool recorded : {false, true}) {
      told.clear();
      recorded ? void(cudaGraphLaunch(exec, first)) : branches(true);
      cudaStreamSynchronize(first);
      if (told != expected) std::printf("with stream %s ahead: %s, recorded %d\n", ahead, told.c_str(), recorded);
    }
  };
  runs_as("0", "abcd");
  runs_as("1", "acbd");
  unsetenv("SIMULATOR_AHEAD");
  setenv("SIMULATOR_TURNS", "1", 1);
  told.clear();
  say(first, 'a'), say(first, 'b'), say(second, 'c'), say(second, 'd');
  cudaStreamSynchronize(first), cudaStreamSynchronize(second);
  expect(told == "acbd", "streams did not take turns");
  unsetenv("SIMULATOR_TURNS");
  cudaGraphExecDestroy(exec);
  for (const cudaEvent_t event : {fork, join, outside}) cudaEventDestroy(event);
  for (const cudaStream_t stream : {first, second}) cudaStreamDestroy(stream);
}

/** Each thread of a block writes what it has found in shared memory at `from`, where another one writes in `phase`. */
struct Neighbours {
  static constexpr int kPhases = 2, kThreads = 4;
  struct Shared {
    float values[kThreads];
  };
  float* found;
  int from, phase;
  void operator()(int now, uint32_t, uint32_t thread, Shared& shared) const {
    if (now == phase) shared.values[thread] = float(thread);
    if (now == 1) found[thread] = shared.values[(thread + uint32_t(from)) % kThreads];
  }
};

/** What is wrong in a kernel shows: reading what no barrier orders, unwritten shared memory, packs that are not aligned. */
static void kernels() {
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  const auto found = [&](int from, int phase, const char* backwards) {
    std::vector<float> values(Neighbours::kThreads);
    setenv("SIMULATOR_BACKWARDS", backwards, 1);
    simulated_blocks(stream, 1, Neighbours::kThreads, Neighbours{values.data(), from, phase});
    cudaStreamSynchronize(stream);
    unsetenv("SIMULATOR_BACKWARDS");
    return values;
  };
  for (const int from : {1, 3}) {
    const std::vector<float> right = found(from, 0, "0");
    for (int i = 0; i < Neighbours::kThreads; i++) expect(right[i] == (i + from) % 4, "a neighbour's value");
    expect(found(from, 0, "1") == right, "behind a barrier the order of threads made a difference");
    int differ = 0;
    for (const char* backwards : {"0", "1"}) differ += found(from, 1, backwards) != right;
    expect(differ == 2, "reading without a barrier gave the same in some order");
  }
  for (const float value : found(1, 2, "0")) expect(value != value, "shared memory that nobody wrote was no NaN");

  alignas(16) float values[8] = {};
  expect(survives([&] { store(values + 4, load<4>(values)); }), "an aligned pack was refused");
  expect(!survives([&] { store(values, load<4>(values + 1)); }), "a pack was read where it is not aligned");
  expect(!survives([&] { store(values + 2, load<4>(values)); }), "a pack was written where it is not aligned");
  const Floats<4> floats = load<4>(values);
  expect(!survives([&] { values[0] = floats[int(values[0]) + 4]; }), "an element behind a pack was read");
}

int main() {
  setenv("SIMULATOR_DEVICES", "2", 1);
  check_several();
  peers();
  cudaSetDevice(0);
  cudaStream_t stream, other;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
  int* memory = nullptr;
  expect(cudaMalloc(reinterpret_cast<void**>(&memory), 64) == cudaSuccess, "memory");
  int pageable = 7;
  cudaGraph_t graph = nullptr;

  const auto captured = [&](const char* what, cudaStreamCaptureMode mode, bool right, const std::function<void()>& body) {
    cudaStreamBeginCapture(stream, mode);
    body();
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    expect((ended == cudaSuccess) == right && (graph != nullptr) == right, what);
    if (graph) cudaGraphDestroy(graph);
  };
  const auto local = cudaStreamCaptureModeThreadLocal, global = cudaStreamCaptureModeGlobal;
  void* more = nullptr;
  captured("nothing", local, true, [] {});
  captured("waiting for the stream", local, false, [&] { cudaStreamSynchronize(stream); });
  captured("waiting for another stream", local, true, [&] { cudaStreamSynchronize(other); });
  captured("allocating", local, false, [&] { expect(cudaMalloc(&more, 64) != cudaSuccess, "it allocated"); });
  captured("freeing", local, false, [&] { expect(cudaFree(memory) != cudaSuccess, "it freed"); });
  captured("pinning", local, false, [&] { cudaHostAlloc(&more, 64, cudaHostAllocDefault); });
  captured("copying pageable memory", local, false,
           [&] { cudaMemcpyAsync(memory, &pageable, 4, cudaMemcpyHostToDevice, stream); });
  captured("allocating elsewhere", local, true, [&] {
    std::thread([] {
      void* mine = nullptr;
      cudaMalloc(&mine, 64), cudaFree(mine);
    }).join();
  });
  captured("allocating elsewhere, for all", global, false, [&] {
    std::thread([] {
      void* mine = nullptr;
      cudaMalloc(&mine, 64);
    }).join();
  });
  expect(cudaStreamBeginCapture(nullptr, local) != cudaSuccess, "the legacy stream was captured");

  int sum = 0, addend = 1;
  cudaStreamBeginCapture(stream, local);
  simulated_launch(stream, [&sum, addend] { sum += addend; });
  addend = 100;
  cudaStreamEndCapture(stream, &graph);
  cudaStreamSynchronize(stream);
  expect(sum == 0, "a capture ran");
  cudaGraphExec_t exec = nullptr;
  cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  for (int i = 0; i < 3; i++) cudaGraphLaunch(exec, stream);
  expect(sum == 0, "a launch did not wait for its stream");
  cudaStreamSynchronize(stream);
  expect(sum == 3, "a graph did not replay its launches with their arguments");
  expect(cudaGraphLaunch(exec, nullptr) != cudaSuccess, "a graph ran on the legacy stream");

  cudaEvent_t event;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  simulated_launch(stream, [&sum] { sum = 10; });
  cudaEventRecord(event, stream);
  simulated_launch(stream, [&sum] { sum = 20; });
  cudaStreamWaitEvent(other, event, 0);
  cudaStreamSynchronize(other);
  expect(sum == 10, "a stream did not wait for an event, or for more");
  kernels();
}
