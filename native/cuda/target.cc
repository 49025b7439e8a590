// Plans for a real device, through a cuDNN handle on it.
#include "cuda/cudnn_graph.h"

namespace googlenet::cuda {

struct Target::State {
  cudnnHandle_t handle = nullptr;
};

Target::Target(cudaStream_t stream) : state_(std::make_unique<State>()) {
  check(cudnn().Create(&state_->handle), "opening the device");
  use(stream);
}
Target::~Target() { cudnn().Destroy(state_->handle); }

static void set_handle(Descriptor& d, cudnnBackendAttributeName_t name, const cudnnHandle_t& handle) {
  d.set(name, CUDNN_TYPE_HANDLE, 1, &handle);
}
void Target::describe_graph(Descriptor& graph) const {
  set_handle(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, state_->handle);
}
void Target::describe_heuristics(Descriptor&) const {}
void Target::describe_plan(Descriptor& plan) const {
  set_handle(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, state_->handle);
}
void Target::use(cudaStream_t stream) const { check(cudnn().SetStream(state_->handle, stream), "choosing the stream"); }
void Target::execute(const Descriptor& plan, const Descriptor& variant_pack) const {
  check(cudnn().BackendExecute(state_->handle, plan.raw(), variant_pack.raw()), "running a convolution");
}

}  // namespace googlenet::cuda
