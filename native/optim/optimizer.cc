#include "optim/optimizer.h"

#include <algorithm>
#include <unordered_set>

#include "core/status.h"

namespace googlenet {

namespace {

struct RuleFacts {
  const char* name;
  bool momentum, squares;
};
constexpr RuleFacts kRules[] = {
#define GOOGLENET_RULE(name, text, momentum, squares) {text, momentum, squares},
#include "optim/rules.def"
#undef GOOGLENET_RULE
};

}  // namespace

gn_rule rule_named(const std::string& name) {
  for (int rule = 0; rule < GN_RULES; rule++)
    if (name == kRules[rule].name) return gn_rule(rule);
  std::string known;
  for (const RuleFacts& rule : kRules) known += (known.empty() ? "" : ", ") + std::string(rule.name);
  throw Failure(Code::INVALID_ARGUMENT, "expected one of the optimisers " + known + ", got '" + name + "'");
}

bool keeps_momentum(gn_rule rule) { return kRules[rule].momentum; }
bool keeps_squares(gn_rule rule) { return kRules[rule].squares; }

float clip_scale(const OptimizerOptions& options, double gradient_norm) {
  return options.clip > 0 && gradient_norm > options.clip ? float(options.clip / gradient_norm) : 1.0f;
}

std::vector<gn_update> updates_of(const Graph& graph, const Layout& layout, const OptimizerOptions& options) {
  std::unordered_set<std::string> frozen(options.frozen.begin(), options.frozen.end());
  std::vector<gn_update> updates;
  for (size_t i = 0; i < graph.parameters.size(); i++) {
    const Parameter& parameter = graph.parameters[i];
    if (frozen.erase(parameter.name)) continue;
    gn_update u{};
    u.rule = options.rule;
    u.first = layout.parameters[i].offset;
    u.count = layout.parameters[i].size();
    u.rate = options.rate * parameter.rate_factor;
    u.momentum_factor = options.momentum;
    u.decay = options.weight_decay * parameter.decay_factor;
    u.gradient_scale = 1;
    u.squares_decay = options.squares_decay;
    u.epsilon = options.epsilon;
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
