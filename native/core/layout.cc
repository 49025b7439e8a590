#include "core/layout.h"

#include <algorithm>

#include "core/status.h"
#include "ops/op.h"

namespace googlenet {

static int round_up(int value, int block) { return (value + block - 1) / block * block; }

[[noreturn]] static void unsupported(const Node& node, const std::string& why) {
  throw Failure(Code::UNSUPPORTED, "layer '" + node.row.name + "': " + why);
}

Layout::Layout(const Graph& graph, const gn_geometry& geometry)
    : geometry(geometry),
      places(graph.nodes.size()),
      graph_(graph),
      in_place_(graph.nodes.size()),
      concat_of_(graph.nodes.size(), -1),
      spans_(graph.nodes.size()),
      unit_of_(graph.nodes.size(), -1) {
  choose_in_place();
  choose_spans();
  place_concats();
  place_merged();
  place_rest();
  choose_types();
  layout_parameters();
}

void Layout::choose_in_place() {
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    const Node& node = graph_.nodes[i];
    if (node.row.op != GN_DROPOUT) continue;
    const int source = node.sources[0];
    const Op& producer = op_of(graph_.nodes[source].row.op);
    in_place_[i] = graph_.readers(source).size() == 1 && producer.max_sources == 1 && !producer.backward_reads_dst;
  }
}

void Layout::choose_spans() {
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    const Node& node = graph_.nodes[i];
    const Op& op = op_of(node.row.op);
    if (node.row.op == GN_CONCAT) {
      for (int source : node.sources) spans_[i] += spans_[source];
    } else if (op.channels != Op::made) {
      spans_[i] = spans_[node.sources[0]];
      const auto map = channel_map(node.sources[0]);
      if (op.channels == Op::contiguous && map.back() + 1 != int(map.size()))
        unsupported(node,
                    "reads a concat whose parts are no multiple of " + std::to_string(geometry.block) + " channels");
    } else {
      spans_[i] = planar(node) ? node.shape.c : round_up(node.shape.c, geometry.block);
    }
    if (node.row.groups > 1) {
      const auto map = channel_map(node.sources[0]);
      if (map.back() + 1 != int(map.size())) unsupported(node, "a grouped convolution cannot read a padded concat");
    }
    for (int source : node.sources)
      if (graph_.nodes[source].row.planar && node.row.op != GN_CONV)
        unsupported(node, "only a convolution can read a planar input");
  }
}

// A source of a concat becomes a slice of its buffer; a concat inside a concat passes the slices on.
void Layout::place(int node, int buffer, int channel) {
  if (places[node].buffer >= 0) unsupported(graph_.nodes[node], "two concats cannot share one source");
  places[node] = {buffer, channel, spans_[node]};
  const Node& n = graph_.nodes[node];
  if (n.row.op == GN_CONCAT) {
    for (int source : n.sources) {
      concat_of_[source] = node;
      place(source, buffer, channel);
      channel += spans_[source];
    }
  } else if (in_place_[node]) {
    place(n.sources[0], buffer, channel);
  }
}

void Layout::place_concats() {
  for (int i = int(graph_.nodes.size()) - 1; i >= 0; i--) {
    const Node& node = graph_.nodes[i];
    if (node.row.op != GN_CONCAT || places[i].buffer >= 0) continue;
    buffers.push_back({spans_[i], node.shape.h, node.shape.w, false});
    place(i, int(buffers.size()) - 1, 0);
  }
}

static bool mergeable(const Node& node) {
  const gn_attributes& a = node.row.attributes;
  return node.row.op == GN_CONV && node.row.phase == Phase::both && node.row.groups == 1 && a.kernel_h == 1 &&
         a.kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && !a.pad_h && !a.pad_w;
}

void Layout::place_merged() {
  for (size_t first = 0; first < graph_.nodes.size(); first++) {
    const Node& node = graph_.nodes[first];
    if (!mergeable(node) || unit_of_[first] >= 0) continue;
    std::vector<int> free;
    int slice = -1;  // the member whose slice opens a concat's buffer
    for (int reader : graph_.readers(node.sources[0])) {
      const Node& other = graph_.nodes[reader];
      if (!mergeable(other) || other.row.bias != node.row.bias ||
          other.row.attributes.relu != node.row.attributes.relu || unit_of_[reader] >= 0)
        continue;
      if (places[reader].buffer < 0)
        free.push_back(reader);
      else if (slice < 0 && places[reader].channel == 0)
        slice = reader;
    }
    const int members = int(free.size()) + (slice >= 0);
    if (members < 2 || (slice != int(first) && std::find(free.begin(), free.end(), int(first)) == free.end())) continue;
    int width = 0;
    for (int member : free) width += spans_[member];
    int buffer = slice >= 0 ? places[slice].buffer : int(buffers.size());
    if (slice < 0) {
      buffers.push_back({0, node.shape.h, node.shape.w, false});
    } else {
      for (Place& p : places)
        if (p.buffer == buffer) p.channel += width;
    }
    buffers[buffer].channels += width;
    int channel = 0;
    for (int member : free) {
      places[member] = {buffer, channel, spans_[member]};
      channel += spans_[member];
    }
    if (slice >= 0) free.push_back(slice);
    for (int member : free) unit_of_[member] = int(units.size());
    units.push_back(free);
  }
}

void Layout::place_rest() {
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    const Node& node = graph_.nodes[i];
    if (places[i].buffer >= 0) continue;
    if (in_place_[i]) {
      places[i] = places[node.sources[0]];
    } else {
      places[i] = {int(buffers.size()), 0, spans_[i]};
      buffers.push_back({spans_[i], node.shape.h, node.shape.w, planar(node)});
    }
  }
  // Units in the order of their first member.
  std::vector<std::vector<int>> ordered;
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    if (unit_of_[i] < 0) {
      ordered.push_back({int(i)});
    } else if (*std::min_element(units[unit_of_[i]].begin(), units[unit_of_[i]].end()) == int(i)) {
      ordered.push_back(units[unit_of_[i]]);
    }
  }
  units = std::move(ordered);
}

// Probabilities are f32 in any precision, and so are the sums that they are made of: rounding a logit of 20 to bf16 would
// change its probability by 4 %. Their gradients are small numbers like all others.
void Layout::choose_types() {
  for (Buffer& buffer : buffers) buffer.type = buffer.gradient_type = geometry.type;
  const auto probabilities = [&](int node) {
    const gn_op op = graph_.nodes[node].row.op;
    return op == GN_SOFTMAX || op == GN_LOSS;
  };
  std::vector<int> blobs(buffers.size());
  for (const Place& place : places) blobs[place.buffer]++;
  for (size_t i = 0; i < graph_.nodes.size(); i++) {
    const Node& node = graph_.nodes[i];
    const auto& readers = graph_.readers(int(i));
    const bool sums = (node.row.op == GN_CONV || node.row.op == GN_LINEAR) && !node.row.attributes.relu &&
                      !readers.empty() && std::all_of(readers.begin(), readers.end(), probabilities);
    if (blobs[places[i].buffer] == 1 && (sums || (probabilities(int(i)) && readers.empty())))
      buffers[places[i].buffer].type = GN_F32;
  }
}

// All weights, then all biases: two ranges with one rate and decay each. Members of a unit lie side by side.
void Layout::layout_parameters() {
  parameters.resize(graph_.parameters.size());
  for (const bool biases : {false, true}) {
    for (const auto& unit : units) {
      for (int member : unit) {
        const Node& node = graph_.nodes[member];
        const int index = biases ? node.bias : node.weight;
        if (index < 0) continue;
        PhysicalParameter& p = parameters[index];
        p.offset = parameter_floats;
        p.rows = spans_[member];
        if (!biases) {
          const int source = node.sources[0];
          p.columns = spans_[source];
          const Shape& src = graph_.nodes[source].shape;
          p.inner =
              node.row.op == GN_LINEAR ? src.h * src.w : node.row.attributes.kernel_h * node.row.attributes.kernel_w;
          (geometry.order == GN_BLOCKED ? p.column_step : p.inner_step) =
              geometry.order == GN_BLOCKED ? p.inner : p.columns;
        }
        parameter_floats += p.size();
      }
    }
  }
}

std::vector<int32_t> Layout::channel_map(int node) const {
  const Node& n = graph_.nodes[node];
  if (n.row.op == GN_CONCAT) {
    std::vector<int32_t> map;
    int start = 0;
    for (int source : n.sources) {
      for (int32_t channel : channel_map(source)) map.push_back(start + channel);
      start += spans_[source];
    }
    return map;
  }
  if (op_of(n.row.op).channels != Op::made) return channel_map(n.sources[0]);
  std::vector<int32_t> map(n.shape.c);
  for (int c = 0; c < n.shape.c; c++) map[c] = c;
  return map;
}

}  // namespace googlenet
