// Forward order, tensors and memory; the backward pass is planned in plan_backward.cc.
#include "core/plan.h"

#include <algorithm>

#include "core/status.h"
#include "ops/op.h"
#include "ops/pair.h"

namespace googlenet {

static constexpr int64_t kAlignment = 4096;  // page: neighbours never share one
static constexpr int kEnd = 1 << 30;

Plan::Plan(const Graph& graph, const Layout& layout, PlanRequest wanted)
    : request(std::move(wanted)),
      graph_(graph),
      layout_(layout),
      values_(layout.buffers.size(), -1),
      gradients_(layout.buffers.size(), -1),
      workspaces_(graph.nodes.size(), -1),
      unit_of_(graph.nodes.size()) {
  for (const auto& unit : layout.units)
    for (const int member : unit) unit_of_[member] = unit;
  find_pairs();
  plan_forward();
  if (request.training) plan_backward();
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    if (Graph::active(graph.nodes[i], request.training) && kept(int(i))) touch(value(int(i)), kEnd);
  }
  for (const int node : request.input_gradients) touch(gradient(node), kEnd);
  pack();
}

int Plan::new_storage(int64_t bytes, int images) {
  storage_.push_back({bytes, 0, images, -1, -1});
  return int(storage_.size()) - 1;
}

// The members of a unit lie side by side: one view from the first's start to the last's end.
gn_tensor Plan::view(const std::vector<int>& unit, const std::vector<int>& storage) const {
  const Place& first = layout_.places[unit.front()];
  const Node& node = graph_.nodes[unit.front()];
  const Buffer& buffer = layout_.buffers[first.buffer];
  gn_tensor t{};
  if (storage[first.buffer] < 0) return t;
  t.arena = GN_ACTIVATIONS;
  t.type = &storage == &values_ ? buffer.type : buffer.gradient_type;
  t.planar = buffer.planar;
  t.offset = packed_ ? storage_[storage[first.buffer]].offset : storage[first.buffer];
  t.n = request.batch, t.h = buffer.h, t.w = buffer.w;
  t.channel = first.channel;
  t.channels = buffer.channels;
  if (t.type == GN_U8) {
    t.scales = buffer.scales.data() + first.channel;
    if (!buffer.means.empty()) t.means = buffer.means.data() + first.channel;
  }
  for (const int member : unit) t.span += layout_.places[member].span;
  t.c = unit.size() > 1 ? t.span : node.shape.c;
  return t;
}

int64_t Plan::bytes_of(const Buffer& buffer, gn_type type, int images) {
  return int64_t(images) * buffer.channels * buffer.h * buffer.w * gn_bytes_of(type);
}

gn_tensor Plan::value(int node) const { return view({node}, values_); }
gn_tensor Plan::gradient(int node) const { return view({node}, gradients_); }

void Plan::touch(const gn_tensor& tensor, int at) {
  if (tensor.arena == GN_NONE) return;
  Storage& s = storage_[tensor.offset];
  if (s.first < 0 || at < s.first) s.first = at;
  s.last = std::max(s.last, at);
}

gn_step Plan::make_step(gn_op op, gn_direction direction, const std::vector<int>& unit) {
  const Node& node = graph_.nodes[unit.front()];
  std::string name;
  for (const int member : unit) name += (name.empty() ? "" : " + ") + graph_.nodes[member].row.name;
  names_.push_back(std::move(name));
  gn_step step{};
  step.op = op;
  step.direction = direction;
  step.name = names_.back().c_str();
  step.training = request.training;
  step.attributes = node.row.attributes;
  step.weights = step.bias = {-1, 0};
  if (op != node.row.op) return step;  // MASK and SUM read a blob, not the layer behind it; pairs have no weights
  for (const int member : unit) {
    const Node& n = graph_.nodes[member];
    for (const bool bias : {false, true}) {
      const int index = bias ? n.bias : n.weight;
      if (index < 0) continue;
      gn_parameter& p = bias ? step.bias : step.weights;
      const PhysicalParameter& physical = layout_.parameters[index];
      if (p.offset < 0) p.offset = physical.offset;
      p.size += physical.size();
    }
  }
  return step;
}

/** The step of a unit, or of a layer and its second. */
gn_step Plan::make_step(gn_direction direction, const std::vector<int>& unit) {
  const Node& node = graph_.nodes[unit.front()];
  const int second = seconds_[unit.front()];
  if (second < 0) return make_step(node.row.op, direction, unit);
  const auto pair = pair_of(node.row, graph_.nodes[second].row);
  gn_step step = make_step(pair->op, direction, {unit.front(), second});
  step.attributes = pair->attributes;
  return step;
}

/** Those of this run. */
std::vector<int> Plan::readers(int node) const {
  std::vector<int> list;
  for (const int reader : graph_.readers(node))
    if (Graph::active(graph_.nodes[reader], request.training)) list.push_back(reader);
  return list;
}

bool Plan::kept(int node) const {
  return request.keep_all || std::count(request.outputs.begin(), request.outputs.end(), node) > 0;
}

// Position 0 is the import of the inputs, step k of the whole run is at k + 1.
void Plan::record(std::vector<gn_step>& steps, const gn_step& step) {
  steps.push_back(step);
  const int at = int(forward.size() + backward.size());
  each_tensor(step, [&](const gn_tensor& t) { touch(t, at); });
}

void Plan::plan_forward() {
  const int pieces = units_in_pieces();
  if (pieces) plan_pieces(pieces);
  for (size_t u = size_t(pieces); u < layout_.units.size(); u++) {
    const std::vector<int>& unit = layout_.units[u];
    if (!Graph::active(graph_.nodes[unit.front()], request.training) || is_second(unit.front())) continue;
    make_storage(output_of(unit), request.batch);
    plan_unit(unit, 0, request.batch);
  }
}

void Plan::make_storage(const std::vector<int>& unit, int images) {
  const Place& place = layout_.places[unit.front()];
  const Buffer& buffer = layout_.buffers[place.buffer];
  if (values_[place.buffer] < 0) values_[place.buffer] = new_storage(bytes_of(buffer, buffer.type, images), images);
}

void Plan::plan_unit(const std::vector<int>& unit, int first_image, int images) {
  const Node& node = graph_.nodes[unit.front()];
  if (node.row.op == GN_INPUT) touch(value(unit.front()), 0);
  if (node.row.op == GN_INPUT || node.row.op == GN_CONCAT) return;
  if (node.row.op == GN_DROPOUT && layout_.in_place(unit.front()) && !request.training) return;
  gn_step step = make_step(GN_FORWARD, unit);
  step.src = value(node.sources[0]);
  step.dst = view(output_of(unit), values_);
  if (keeps_middle(unit)) {
    make_storage(unit, request.batch);
    step.middle = view(unit, values_);
  }
  step.src.n = step.dst.n = images;
  if (op_of(node.row.op).is_loss) {
    step.attributes.result = 2 * int(losses.size());
    losses.push_back(unit.front());
  }
  const bool pools = step.op == GN_POOL || step.op == GN_LRN_POOL || step.op == GN_POOL_LRN;
  if (request.training && pools && step.attributes.pool_kind == GN_POOL_MAX) {
    workspaces_[unit.front()] = new_storage(int64_t(request.batch) * step.dst.span * step.dst.h * step.dst.w);
    step.workspace = step.dst;
    step.workspace.channel = 0;
    step.workspace.channels = step.dst.span;
    step.workspace.offset = workspaces_[unit.front()];
  }
  record(forward, step);
  first_images_.push_back(first_image);
}

void Plan::pack() {
  std::vector<Interval> intervals;
  for (Storage& s : storage_) {
    if (s.first < 0) s.first = s.last = 0;
    intervals.push_back({s.bytes, s.first, s.last});
  }
  std::vector<int64_t> offsets;
  arena_bytes = pack_intervals(intervals, kAlignment, offsets);
  for (size_t i = 0; i < storage_.size(); i++) storage_[i].offset = offsets[i];
  packed_ = true;
  for (auto* steps : {&forward, &backward})
    for (size_t i = 0; i < steps->size(); i++) {
      gn_step& step = (*steps)[i];
      each_tensor(step, [&](gn_tensor& t) { resolve(t, steps == &forward ? first_images_[i] : 0); });
    }
}

void Plan::resolve(gn_tensor& tensor, int first_image) const {
  if (tensor.arena == GN_NONE) return;
  const Storage& storage = storage_[tensor.offset];
  const bool whole = storage.images == request.batch;  // else it holds one piece
  tensor.offset = storage.offset + (whole ? first_image * (storage.bytes / storage.images) : 0);
}

int64_t Plan::macs(const gn_step& step) const {
  if (step.weights.offset < 0) return 0;
  const gn_tensor& out = step.direction == GN_FORWARD ? step.dst : step.diff_dst;
  return int64_t(out.n) * out.h * out.w * step.weights.size;
}

}  // namespace googlenet
