// Steps that a device records and replays (gn_recorder): asked for whole, without waiting for anything in between. What
// changes from step to step is sent ahead; whether the update is made, the device decides by its own verdict.
#include <cmath>
#include <cstddef>
#include <cstring>

#include "core/executor_program.h"
#include "ops/op.h"

namespace googlenet {

namespace {

/** What lies in variables_: everything of a step that a replay may find changed. */
struct Variables {
  gn_bindings bindings;
  gn_judgement judgement;
};
int64_t variable_bytes(size_t updates) { return int64_t(sizeof(Variables) + updates * sizeof(gn_update)); }

int64_t number(const void* address) { return int64_t(reinterpret_cast<intptr_t>(address)); }

std::vector<int64_t> key_of(const gn_bindings& b, const std::vector<gn_update>& updates) {
  std::vector<int64_t> key = {number(b.arenas[GN_ACTIVATIONS]),
                              number(b.parameters),
                              number(b.weights),
                              number(b.gradients),
                              number(b.scratch),
                              number(b.labels),
                              number(b.results),
                              number(b.variable)};
  for (const gn_update& u : updates)
    for (const int64_t part :
         {int64_t(u.rule), number(u.momentum), number(u.squares), number(u.average), u.first, u.count})
      key.push_back(part);
  return key;
}

}  // namespace

void Executor::replay_forward(Program& p, const RunRequest& request) {
  stop_if(request.cancelled);
  p.forward.run(*recorder(), device_, key_of(bindings_, {}), [&] { execute(p, false, request.cancelled); });
}

StepResult Executor::replay_step(RunRequest request, const OptimizerOptions* optimizer) {
  const LocalStore::Hold hold(*store_);
  Program& p = training_program(request);
  load(p, request);
  sync(p);
  Push push;
  if (optimizer) push = push_of(*optimizer, 0);
  push.gradients = gradients();
  std::vector<gn_update> updates = optimizer ? store_->next_update(push) : push.updates;

  gn_judgement judgement{};
  judgement.gradients = gradients();
  judgement.count = layout_->parameter_floats;
  judgement.results = bindings_.results;
  judgement.losses = int32_t(p.plan.losses.size());
  judgement.clip = optimizer ? optimizer->clip : 0;
  judgement.verdict = static_cast<gn_verdict*>(results_.data());
  variables_.grow(backend_, device_, variable_bytes(updates.size()));
  std::vector<char> variables(size_t(variable_bytes(updates.size())));
  std::memcpy(variables.data(), &bindings_, sizeof bindings_);
  std::memcpy(variables.data() + offsetof(Variables, judgement), &judgement, sizeof judgement);
  if (!updates.empty())
    std::memcpy(variables.data() + sizeof(Variables), updates.data(), updates.size() * sizeof(gn_update));
  variables_.upload(0, variables.data(), int64_t(variables.size()));
  auto* const at = static_cast<char*>(variables_.data());
  bindings_.variable = reinterpret_cast<const gn_bindings*>(at);
  judgement.variable = reinterpret_cast<const gn_judgement*>(at + offsetof(Variables, judgement));
  for (size_t i = 0; i < updates.size(); i++) {
    updates[i].variable = reinterpret_cast<const gn_update*>(at + sizeof(Variables)) + i;
    updates[i].verdict = judgement.verdict;
    updates[i].copy = converted_.data();
  }

  stop_if(request.cancelled);
  (optimizer ? p.update : p.gradients).run(*recorder(), device_, key_of(bindings_, updates), [&] {
    execute(p, false, request.cancelled);
    execute(p, true, request.cancelled);
    check(recorder()->judge(device_, &judgement));
    stop_if(request.cancelled);
    for (const gn_update& u : updates) check(backend_.update(device_, &u));
  });
  stage(request);
  StepResult result;
  gn_verdict verdict{};
  result.losses = losses(p, &verdict);
  check(backend_.finish(device_));
  result.loss = total_of(result.losses, p, request);
  result.gradient_norm = std::sqrt(verdict.square_sum);
  check_norm(result, request);
  if (optimizer) {
    store_->count_update();
    converted_version_ = store_->contents();
  }
  result.updates = store_->updates();
  return result;
}

}  // namespace googlenet
