#include "optim/sgd.h"

#include <algorithm>
#include <unordered_set>

#include "core/status.h"

namespace googlenet {

std::vector<gn_update> sgd_updates(const Graph& graph, const Layout& layout, const SgdOptions& options,
                                   double gradient_norm) {
  std::unordered_set<std::string> frozen(options.frozen.begin(), options.frozen.end());
  const float scale = options.clip > 0 && gradient_norm > options.clip ? float(options.clip / gradient_norm) : 1.0f;
  std::vector<gn_update> updates;
  for (size_t i = 0; i < graph.parameters.size(); i++) {
    const Parameter& parameter = graph.parameters[i];
    if (frozen.erase(parameter.name)) continue;
    gn_update u{};
    u.first = layout.parameters[i].offset;
    u.count = layout.parameters[i].size();
    u.rate = options.rate * parameter.rate_factor;
    u.momentum_factor = options.momentum;
    u.decay = options.weight_decay * parameter.decay_factor;
    u.gradient_scale = scale;
    updates.push_back(u);
  }
  if (!frozen.empty())
    throw Failure(Code::INVALID_ARGUMENT, "cannot freeze '" + *frozen.begin() + "': no parameter has that name");
  std::sort(updates.begin(), updates.end(), [](const gn_update& a, const gn_update& b) { return a.first < b.first; });
  std::vector<gn_update> merged;
  for (const gn_update& u : updates) {
    if (!merged.empty()) {
      gn_update& last = merged.back();
      if (last.first + last.count == u.first && last.rate == u.rate && last.decay == u.decay) {
        last.count += u.count;
        continue;
      }
    }
    merged.push_back(u);
  }
  return merged;
}

}  // namespace googlenet
