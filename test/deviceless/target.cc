// Plans for a GPU that is not there, from a description of its properties: in the place of native/cuda/target.cc. They
// are built, compiled and asked for their workspace, but never run.
//   DEVICELESS_PROPERTIES  what cuDNN wants to know of the GPU, as JSON
#include <cstdlib>
#include <cstring>

#include "core/status.h"
#include "cuda/cudnn_graph.h"

namespace googlenet::cuda {

struct Target::State {
  Descriptor properties{CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR};
};

Target::Target(cudaStream_t) : state_(std::make_unique<State>()) {
  const char* json = std::getenv("DEVICELESS_PROPERTIES");
  if (!json) throw Failure(Code::INVALID_ARGUMENT, "DEVICELESS_PROPERTIES is not set");
  state_->properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(std::strlen(json)), json);
  state_->properties.finalize();
}
Target::~Target() = default;

void Target::describe_graph(Descriptor&) const {}
void Target::describe_heuristics(Descriptor& heuristics) const {
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, state_->properties);
}
void Target::describe_plan(Descriptor& plan) const {
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, state_->properties);
}
void Target::use(cudaStream_t) const {}
void Target::execute(const Descriptor&, const Descriptor&) const {}

}  // namespace googlenet::cuda
