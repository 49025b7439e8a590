// How a body becomes work on a device's stream, and tensors as bodies see them. A body is a function object of plain
// data. nvcc makes kernels of it; compiled for the host (test/simulator) the same body runs in plain loops.
#pragma once
#include "core/status.h"
#include "cuda/device.h"
#include "cuda/pack.h"

#ifndef __CUDACC__
namespace googlenet::cuda {
// The simulated device's (test/simulator/simulated_launch.h), which defines them where it compiles bodies.
template <class Body>
void simulated_threads(cudaStream_t stream, uint32_t count, const Body& body);
template <class Body>
void simulated_blocks(cudaStream_t stream, uint32_t count, uint32_t threads, const Body& body);
}  // namespace googlenet::cuda
#endif

namespace googlenet::cuda {

/** Pixels of a view of a channels-last buffer of floats or Bf16: pixel p = (n · H + y) · W + x. */
template <class T>
struct View {
  T* data = nullptr;
  int pitch = 0;  // elements from pixel to pixel
  GN_DEVICE T& at(uint32_t pixel, uint32_t channel) const { return data[size_t(pixel) * pitch + channel]; }
  template <int N>
  GN_DEVICE Pack<T, N>& pack(uint32_t pixel, uint32_t channel) const {
    return pack_at<N>(&at(pixel, channel));
  }
  template <int N>
  GN_DEVICE Floats<N> load(uint32_t pixel, uint32_t channel) const {
    return cuda::load<N>(&at(pixel, channel));
  }
  template <int N>
  GN_DEVICE void store(uint32_t pixel, uint32_t channel, const Floats<N>& values) const {
    cuda::store(&at(pixel, channel), values);
  }
};

/** Calls body with an element of the type; its value means nothing. */
template <class Body>
auto with_type(gn_type type, const Body& body) {
  return type == GN_BF16 ? body(Bf16{}) : body(float{});
}
template <class T>
constexpr gn_type kType = sizeof(T) == sizeof(Bf16) ? GN_BF16 : GN_F32;

/** Null data for an absent tensor. */
template <class T>
View<T> bind(const gn_tensor& t, const gn_bindings& b) {
  if (t.arena == GN_NONE) return {};
  if (t.type != kType<T>) throw Failure(Code::INTERNAL, "a kernel was made for another element type");
  if (t.channel % kBlock || t.channels % kBlock || t.span % kBlock)
    throw Failure(Code::INTERNAL, "a kernel was given a view of broken blocks");
  return {reinterpret_cast<T*>(static_cast<char*>(b.arenas[t.arena]) + t.offset) + t.channel, t.channels};
}
inline int64_t pixels(const gn_tensor& t) { return int64_t(t.n) * t.h * t.w; }
template <class T>
int64_t packs(const gn_tensor& t) {
  return pixels(t) * t.span / kPack<T>;
}

/** How a computed gradient g joins diff_src: = or +=, then zeroed where the mask (when there is one) is <= 0. */
template <class T>
struct Gradient {
  View<T> diff, mask;
  bool accumulate;
  GN_DEVICE void put(uint32_t pixel, uint32_t channel, float g) const {
    T& to = diff.at(pixel, channel);
    const float sum = accumulate ? to + g : g;
    to = mask.data && !(mask.at(pixel, channel) > 0) ? 0.0f : sum;
  }
  template <int N>
  GN_DEVICE void put(uint32_t pixel, uint32_t channel, Floats<N> g) const {
    if (accumulate) {
      const Floats<N> before = diff.template load<N>(pixel, channel);
      for (int i = 0; i < N; i++) g[i] = before[i] + g[i];
    }
    if (mask.data) {
      const Floats<N> value = mask.template load<N>(pixel, channel);
      for (int i = 0; i < N; i++) g[i] = value[i] > 0 ? g[i] : 0.0f;
    }
    diff.store(pixel, channel, g);
  }
};
template <class T>
Gradient<T> bind_gradient(const gn_step& step, const gn_bindings& b) {
  return {bind<T>(step.diff_src, b), bind<T>(step.mask, b), bool(step.accumulate)};
}

constexpr int kThreads = 256;

#ifdef __CUDACC__
template <class Body>
__global__ void __launch_bounds__(kThreads) run_each(uint32_t count, Body body) {
  const uint32_t i = blockIdx.x * uint32_t(kThreads) + threadIdx.x;
  if (i < count) body(i);
}
template <class Body>
__global__ void __launch_bounds__(kThreads) run_blocks(Body body) {
  __shared__ typename Body::Shared shared;
  for (int phase = 0; phase < Body::kPhases; phase++) {
    body(phase, blockIdx.x, threadIdx.x, shared);
    __syncthreads();
  }
}
#endif

/** A number of threads or blocks, less than 2^31 for Divisor and the card. */
inline int32_t checked_threads(int64_t count) {
  if (count > INT32_MAX)
    throw Failure(Code::UNSUPPORTED, "a kernel would have " + std::to_string(count) + " threads; use a smaller batch");
  return int32_t(count);
}

/** body(i) for i in [0, count), in any order. */
template <class Body>
void for_each(const gn_device& device, int64_t count, const Body& body) {
  if (checked_threads(count) == 0) return;
#ifdef __CUDACC__
  run_each<<<uint32_t((count + kThreads - 1) / kThreads), kThreads, 0, device.stream>>>(uint32_t(count), body);
  check(cudaGetLastError(), "launching a kernel");
#else
  simulated_threads(device.stream, uint32_t(count), body);
#endif
}

/** Blocks of kThreads threads that share Body::Shared, in Body::kPhases phases with a barrier after each:
 *  body(phase, block, thread, shared). */
template <class Body>
void for_blocks(const gn_device& device, int64_t count, const Body& body) {
  if (checked_threads(count) == 0) return;
#ifdef __CUDACC__
  run_blocks<<<uint32_t(count), kThreads, 0, device.stream>>>(body);
  check(cudaGetLastError(), "launching a kernel");
#else
  simulated_blocks(device.stream, uint32_t(count), kThreads, body);
#endif
}

}  // namespace googlenet::cuda
