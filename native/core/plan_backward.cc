// The backward pass. Units are visited in reverse order; before a unit's own gradients are taken, the gradient of
// its output is completed: every reader adds its share. Readers that can only overwrite (convolutions) come first,
// those that can add follow, and the last one applies the mask of the ReLU fused into the blob's producer.
#include <algorithm>

#include "core/plan.h"
#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

void Plan::find_gradients() {
  const size_t count = graph_.nodes.size();
  wanted_.assign(count, 0), reached_.assign(count, 0), masked_.assign(count, 0);
  const auto listed = [](const std::vector<int>& list, int node) {
    return std::find(list.begin(), list.end(), node) != list.end();
  };
  for (size_t i = 0; i < count; i++) {
    const Node& node = graph_.nodes[i];
    wanted_[i] = node.weight >= 0 || listed(request.input_gradients, int(i));
    for (const int source : node.sources) wanted_[i] |= wanted_[source];
  }
  for (int i = int(count) - 1; i >= 0; i--) {
    const Node& node = graph_.nodes[i];
    if (!Graph::active(node, true)) continue;
    const bool seeded = listed(request.seeds, i);
    reached_[i] = seeded || op_of(node.row.op).is_loss;
    for (const int reader : graph_.readers(i)) {
      if (!Graph::active(graph_.nodes[reader], true)) continue;
      if (seeded)
        throw Failure(Code::UNSUPPORTED,
                      "a gradient can only be given for a blob that no layer reads, not for '" + node.row.name + "'");
      reached_[i] |= reached_[reader];
    }
  }
}

gn_tensor Plan::gradient_view(const std::vector<int>& unit) {
  const Place& place = layout_.places[unit.front()];
  const Buffer& buffer = layout_.buffers[place.buffer];
  if (gradients_[place.buffer] < 0)
    gradients_[place.buffer] = new_storage(bytes_of(buffer, buffer.gradient_type, request.batch));
  return view(unit, gradients_);
}

// A concat's blob needs the mask when all its parts come from a ReLU and have no other reader; then one pass does it.
bool Plan::wants_mask(int node) const {
  const Node& n = graph_.nodes[node];
  if (n.row.op == GN_CONCAT)
    return std::all_of(n.sources.begin(), n.sources.end(),
                       [&](int source) { return wants_mask(source) && graph_.readers(source).size() == 1; });
  return n.row.attributes.relu;
}

static void mark(const Graph& graph, std::vector<char>& masked, int node) {
  masked[node] = 1;
  if (graph.nodes[node].row.op == GN_CONCAT)
    for (const int source : graph.nodes[node].sources) mark(graph, masked, source);
}

void Plan::backward_data(const std::vector<int>& unit, int source, bool accumulate, gn_tensor diff_src, bool mask) {
  const Op& op = op_of(graph_.nodes[unit.front()].row.op);
  gn_step step = make_step(GN_BACKWARD_DATA, unit);
  if (op.backward_reads_src) step.src = value(source);
  if (op.backward_reads_dst) step.dst = view(unit, values_);
  if (!op.is_loss) step.diff_dst = gradient_view(output_of(unit));
  if (keeps_middle(unit)) step.middle = view(unit, values_);
  step.diff_src = diff_src;
  step.accumulate = accumulate;
  if (mask) step.mask = step.op == GN_POOL_LRN && !accumulate ? step.middle : value(source);
  if (workspaces_[unit.front()] >= 0) {
    step.workspace = step.diff_dst;
    step.workspace.channel = 0;
    step.workspace.channels = step.diff_dst.span;
    step.workspace.offset = workspaces_[unit.front()];
  }
  record(backward, step);
}

void Plan::complete(int node) {
  std::vector<std::vector<int>> overwriting, adding;
  const std::vector<int>& readers = graph_.readers(node);
  for (auto reader = readers.rbegin(); reader != readers.rend(); ++reader) {
    const Node& other = graph_.nodes[*reader];
    const auto& unit = unit_of_[*reader];
    if (other.row.op == GN_CONCAT || !Graph::active(other, true) || !reached_[*reader]) continue;
    auto& list = op_of(other.row.op).accumulates ? adding : overwriting;
    if (std::find(list.begin(), list.end(), unit) == list.end()) list.push_back(unit);
  }
  const gn_tensor whole = gradient_view({node});
  const bool seeded = std::count(request.seeds.begin(), request.seeds.end(), node) > 0;
  if (seeded) touch(whole, 0);
  bool begun = seeded || layout_.concat_of(node) >= 0;
  const bool mask = wants_mask(node) && !masked_[node];
  bool done = false;
  overwriting.insert(overwriting.end(), adding.begin(), adding.end());
  for (size_t i = 0; i < overwriting.size(); i++) {
    const Op& op = op_of(graph_.nodes[overwriting[i].front()].row.op);
    const bool last = i + 1 == overwriting.size();
    if (begun && !op.accumulates) {
      gn_tensor spare = whole;
      spare.channel = 0, spare.channels = whole.span;
      spare.offset = new_storage(int64_t(whole.n) * whole.span * whole.h * whole.w * gn_bytes_of(whole.type));
      backward_data(overwriting[i], node, false, spare, false);
      gn_step sum = make_step(GN_SUM, GN_BACKWARD_DATA, {node});
      sum.diff_src = whole;
      sum.diff_dst = spare;
      sum.accumulate = 1;
      if (mask && last) sum.mask = value(node), done = true;
      record(backward, sum);
    } else {
      const bool masks = op.masks == Op::always || (op.masks == Op::some && layout_.geometry.masks);
      const bool fused = mask && last && masks;
      backward_data(overwriting[i], node, begun, whole, fused);
      done |= fused;
    }
    begun = true;
  }
  if (mask && !done) {
    gn_step step = make_step(GN_MASK, GN_BACKWARD_DATA, {node});
    step.diff_src = whole;
    step.mask = value(node);
    record(backward, step);
  }
  if (mask) mark(graph_, masked_, node);
}

void Plan::backward_weights(const std::vector<int>& unit) {
  const Node& node = graph_.nodes[unit.front()];
  gn_step step = make_step(GN_BACKWARD_WEIGHTS, unit);
  step.src = value(node.sources[0]);
  step.diff_dst = gradient_view(unit);
  record(backward, step);
}

void Plan::plan_backward() {
  find_gradients();
  for (auto unit = layout_.units.rbegin(); unit != layout_.units.rend(); ++unit) {
    const Node& node = graph_.nodes[unit->front()];
    if (!Graph::active(node, true) || op_of(node.row.op).is_loss || seconds_[unit->front()] >= 0) continue;
    int reached = 0;
    for (const int member : *unit) reached += reached_[member] && wanted_[member];
    if (!reached) continue;
    if (reached < int(unit->size()))
      throw Failure(Code::UNSUPPORTED, "layer '" + node.row.name +
                                           "' shares a step with others, but a gradient reaches only some of them");
    for (const int member : *unit) complete(member);
    if (node.weight >= 0) backward_weights(*unit);
  }
}

}  // namespace googlenet
