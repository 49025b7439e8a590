#include "core/quantization.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/status.h"

namespace googlenet {

namespace {

/** By node; empty where nothing was calibrated. */
using ByNode = std::vector<std::optional<Calibration>>;

ByNode by_node(const Graph& graph, const std::map<std::string, Calibration>& calibrations) {
  ByNode result(graph.nodes.size());
  for (const auto& [name, calibration] : calibrations) {
    const int node = graph.find(name);
    if (node < 0) throw Failure(Code::INVALID_ARGUMENT, "calibration: the network has no blob '" + name + "'");
    const size_t channels = size_t(graph.nodes[node].shape.c);
    if (!(calibration.range > 0) || !std::isfinite(calibration.range))
      throw Failure(Code::INVALID_ARGUMENT, "calibration of '" + name + "': the range must be a positive number, got " +
                                                std::to_string(calibration.range));
    if (!calibration.means.empty() && calibration.means.size() != channels)
      throw Failure(Code::INVALID_SHAPE, "calibration of '" + name + "': expected " + std::to_string(channels) +
                                             " means, got " + std::to_string(calibration.means.size()));
    result[size_t(node)] = calibration;
  }
  return result;
}

bool plain(const Node& node) {
  const gn_attributes& a = node.row.attributes;
  return node.row.op == GN_CONV && a.stride_h == 1 && a.stride_w == 1 && a.dilation_h == 1 && a.dilation_w == 1 &&
         node.row.groups == 1;
}

bool is_max_pool(const Node& node) { return node.row.op == GN_POOL && node.row.attributes.pool_kind == GN_POOL_MAX; }

/** By buffer: whether everything that writes or reads it can do so in bytes. */
std::vector<char> find_buffers(const Graph& graph, const ByNode& calibrations, const Layout& layout) {
  std::vector<char> can(layout.buffers.size());
  for (size_t b = 0; b < can.size(); b++) can[b] = !layout.buffers[b].planar;
  const auto buffer = [&](int node) -> char& { return can[layout.places[node].buffer]; };
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    const Node& node = graph.nodes[i];
    if (!Graph::active(node, false) || node.row.op == GN_CONCAT) continue;
    const bool planar = !node.sources.empty() && layout.buffers[layout.places[node.sources[0]].buffer].planar;
    const bool writes = is_max_pool(node) || (plain(node) && !planar && node.row.attributes.relu && calibrations[i]);
    const bool reads = node.row.op == GN_POOL || plain(node);
    if (!writes) buffer(int(i)) = false;
    for (const int source : node.sources)
      if (!reads) buffer(source) = false;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < graph.nodes.size(); i++) {
      const Node& node = graph.nodes[i];
      if (!is_max_pool(node) || !Graph::active(node, false)) continue;
      char &to = buffer(int(i)), &from = buffer(node.sources[0]);
      changed = changed || to != from;
      to = from = to && from;
    }
  }
  return can;
}

}  // namespace

void quantize(const Graph& graph, const std::map<std::string, Calibration>& by_name, Layout& layout) {
  const ByNode calibrations = by_node(graph, by_name);
  const std::vector<char> can = find_buffers(graph, calibrations, layout);
  for (size_t b = 0; b < can.size(); b++) {
    Buffer& buffer = layout.buffers[b];
    if (!can[b]) continue;
    buffer.type = GN_U8;
    buffer.scales.assign(buffer.channels, 1);
    buffer.means.assign(buffer.channels, 0);
  }
  std::vector<char> unknown(can.size());  // by buffer: not all means are known
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    const Node& node = graph.nodes[i];
    const Place& place = layout.places[i];
    Buffer& buffer = layout.buffers[place.buffer];
    if (buffer.type != GN_U8 || node.row.op == GN_CONCAT || !Graph::active(node, false)) continue;
    if (calibrations[i]) {
      std::fill_n(buffer.scales.begin() + place.channel, place.span, calibrations[i]->range / 255);
      std::copy(calibrations[i]->means.begin(), calibrations[i]->means.end(), buffer.means.begin() + place.channel);
      if (calibrations[i]->means.empty()) unknown[size_t(place.buffer)] = true;
    } else {  // a pool has its source's steps; a mean of maxima is not known
      const Place& from = layout.places[node.sources[0]];
      std::copy_n(layout.buffers[from.buffer].scales.begin() + from.channel, place.span,
                  buffer.scales.begin() + place.channel);
      unknown[size_t(place.buffer)] = true;
    }
  }
  for (size_t b = 0; b < can.size(); b++)
    if (unknown[b]) layout.buffers[b].means.clear();
}

}  // namespace googlenet
