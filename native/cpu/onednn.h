// oneDNN on our own threads: engine, stream, descriptors of our tensors, and copies of weights in the formats that
// primitives choose. Included by the files of native/cpu that call oneDNN, and nowhere else.
#pragma once
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <oneapi/dnnl/dnnl_threadpool.hpp>
#include <oneapi/dnnl/dnnl_threadpool_iface.hpp>

#include "backend/scratch.h"
#include "cpu/copies.h"
#include "cpu/kernel.h"
#include "cpu/view.h"

namespace googlenet::cpu {

/** Our pool as oneDNN's THREADPOOL runtime sees it. */
class PoolAdapter : public dnnl::threadpool_interop::threadpool_iface {
 public:
  explicit PoolAdapter(ThreadPool& pool) : pool_(pool) {}
  int get_num_threads() const override { return pool_.threads(); }
  bool get_in_parallel() const override { return ThreadPool::in_parallel(); }
  void parallel_for(int n, const std::function<void(int, int)>& body) override {
    pool_.parallel(n, [&](int64_t i) { body(int(i), n); });
  }
  uint64_t get_flags() const override { return 0; }
  // Newer versions of the interface demand it; parallel_for above has already finished when it returns.
  void wait() {}

 private:
  ThreadPool& pool_;
};

/** Weights in the format one or more primitives read, made from the plain masters when those have changed. */
class Weights {
 public:
  /** master: plain; viewed: how a primitive may see the (possibly permuted) master; target: what it wants. */
  Weights(int64_t offset, const dnnl::memory::desc& master, const dnnl::memory::desc& permuted,
          const dnnl::memory::desc& viewed, const dnnl::memory::desc& target, dnnl::engine& engine);
  void refresh(const gn_bindings& bindings, dnnl::stream& stream);
  dnnl::memory& memory() { return target_; }
  bool matches(int64_t offset, const dnnl::memory::desc& viewed, const dnnl::memory::desc& target) const;
  int64_t bytes() const;

 private:
  int64_t offset_;
  bool permutes_, reorders_;
  dnnl::memory master_, permuted_, viewed_, target_;
  dnnl::reorder permute_, reorder_;
  Freshness fresh_;
};

struct Onednn {
  /** The device's pool and copies must be there. `beside`: one whose weight copies it reads, null: none. */
  explicit Onednn(const gn_device& device, const Onednn* beside = nullptr);
  PoolAdapter pool;
  dnnl::engine engine;
  dnnl::stream stream;

  /** Shared by all kernels that read the same parameter in the same format, forgotten with the last of them. */
  std::shared_ptr<Weights> weights(int64_t offset, const dnnl::memory::desc& master, const dnnl::memory::desc& permuted,
                                   const dnnl::memory::desc& viewed, const dnnl::memory::desc& target);

 private:
  const std::shared_ptr<WeightCopies> copies_;
};

/** Blocked (nChw16c or nChw8c by the device's block) or planar; a view is a submemory of its buffer's descriptor. */
dnnl::memory::desc describe(const gn_device& device, const gn_tensor& tensor);

/** A view with no neighbours: a buffer of its own. */
dnnl::memory::desc describe_dense(const gn_device& device, const gn_tensor& tensor);

inline bool is_slice(const gn_tensor& t) { return t.span != t.channels; }

inline void* buffer_of(const gn_tensor& tensor, const gn_bindings& bindings) {
  return static_cast<char*>(bindings.arenas[tensor.arena]) + tensor.offset;
}

/** First element of a view. */
inline char* view_start(const gn_tensor& tensor, const gn_bindings& bindings) {
  return static_cast<char*>(bindings.arenas[tensor.arena]) + view_offset(tensor);
}

inline dnnl::memory::data_type data_type_of(gn_type type) {
  return type == GN_BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

dnnl::primitive_attr user_scratchpad();

}  // namespace googlenet::cpu
