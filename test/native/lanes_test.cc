// Schedules of steps on lanes (core/lanes.h) against the rule told a second time, element by element: two steps that
// touch one element, one of them writing it, are ordered. Steps are plans' of small modules, and random ones.
#include <set>
#include <utility>

#include "check.h"
#include "core/graph.h"
#include "core/lanes.h"
#include "core/layout.h"
#include "core/plan.h"

namespace test {
namespace {

using namespace googlenet;

using Steps = std::vector<gn_step>;

/** Steps that must be done before each, from lanes and waits alone. */
std::vector<std::vector<bool>> before(const Schedule& schedule) {
  const size_t count = schedule.steps.size();
  std::vector<std::vector<bool>> order(count, std::vector<bool>(count));
  for (size_t i = 0; i < count; i++) {
    const auto after = [&](size_t j) {
      order[i][j] = true;
      for (size_t k = 0; k < j; k++) order[i][k] = order[i][k] || order[j][k];
    };
    for (size_t j = 0; j < i; j++)
      if (schedule.steps[j].lane == schedule.steps[i].lane) after(j);
    for (const int j : schedule.steps[i].waits) after(size_t(j));
  }
  return order;
}

/** The elements of a step's memory: {arena, byte} of the first byte of each channel of each pixel. */
using Elements = std::set<std::pair<int, int64_t>>;
void add(Elements& elements, const gn_tensor& t) {
  if (t.arena == GN_NONE) return;
  const int64_t size = gn_bytes_of(t.type);
  for (int64_t pixel = 0; pixel < int64_t(t.n) * t.h * t.w; pixel++)
    for (int c = t.channel; c < t.channel + t.span; c++)
      for (int64_t byte = 0; byte < size; byte++)
        elements.insert({0, t.offset + (pixel * t.channels + c) * size + byte});
}
struct Touched {
  Elements reads, writes;
};
Touched touched(const gn_step& s) {
  Touched t;
  for (const gn_tensor* read : {&s.src, &s.diff_dst, &s.mask}) add(t.reads, *read);
  for (const gn_tensor* made : {&s.dst, &s.middle}) add(s.direction == GN_FORWARD ? t.writes : t.reads, *made);
  add(t.writes, s.diff_src);
  if (s.workspace.arena != GN_NONE)
    for (int64_t byte = 0; byte < int64_t(s.workspace.n) * s.workspace.h * s.workspace.w * s.workspace.span; byte++)
      (s.direction == GN_FORWARD ? t.writes : t.reads).insert({0, s.workspace.offset + byte});
  if (s.direction == GN_BACKWARD_WEIGHTS)
    for (const gn_parameter& p : {s.weights, s.bias})
      for (int64_t i = 0; i < p.size && p.offset >= 0; i++) t.writes.insert({1, p.offset + i});
  return t;
}
bool meet(const Elements& a, const Elements& b) {
  for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
    if (*x == *y) return true;
    *x < *y ? void(++x) : void(++y);
  }
  return false;
}
std::vector<std::vector<bool>> conflicts(const Steps& steps) {
  std::vector<Touched> all;
  for (const gn_step& step : steps) all.push_back(touched(step));
  std::vector<std::vector<bool>> list(steps.size(), std::vector<bool>(steps.size()));
  for (size_t i = 0; i < steps.size(); i++)
    for (size_t j = 0; j < i; j++)
      list[i][j] = meet(all[i].writes, all[j].writes) || meet(all[i].writes, all[j].reads) ||
                   meet(all[i].reads, all[j].writes);
  return list;
}

int unordered(const std::vector<std::vector<bool>>& conflicts, const Schedule& schedule) {
  const auto order = before(schedule);
  int count = 0;
  for (size_t i = 0; i < conflicts.size(); i++)
    for (size_t j = 0; j < i; j++) count += conflicts[i][j] && !order[i][j];
  return count;
}

/** Everything a schedule promises; returns the lanes in use. */
int check_schedule(const Steps& steps, int most, const std::string& name) {
  const auto needed = conflicts(steps);
  Schedule made = schedule(steps, most);
  check(unordered(needed, made) == 0, name + ": what conflicts is ordered");
  std::set<int> lanes, awaited;
  for (size_t i = 0; i < steps.size(); i++) {
    lanes.insert(made.steps[i].lane);
    for (const int j : made.steps[i].waits) {
      check(j < int(i) && made.steps[j].lane != made.steps[i].lane, name + ": waits are for other lanes' earlier steps");
      awaited.insert(j);
    }
  }
  check(*lanes.begin() == 0 && *lanes.rbegin() < made.lanes && made.lanes <= most, name + ": lanes that there are");
  for (size_t i = 0; i < steps.size(); i++)
    check(made.steps[i].marked == (awaited.count(int(i)) > 0), name + ": a mark where somebody waits");
  for (Assignment& step : made.steps)
    for (size_t k = 0; k < step.waits.size(); k++) {
      Schedule less = made;
      auto& waits = less.steps[size_t(&step - made.steps.data())].waits;
      waits.erase(waits.begin() + long(k));
      check(unordered(needed, less) > 0, name + ": no wait can be left out");
    }
  if (most == 1) check(awaited.empty() && made.lanes == 1, name + ": one lane never waits");
  return made.lanes;
}

Row row(gn_op op, const std::string& name, std::vector<std::string> sources, int outputs = 0, int kernel = 1) {
  Row r;
  r.op = op, r.name = name, r.sources = std::move(sources), r.outputs = outputs;
  gn_attributes& a = r.attributes;
  a.kernel_h = a.kernel_w = kernel, a.pad_h = a.pad_w = kernel / 2;
  a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = a.groups = 1;
  a.relu = op == GN_CONV, a.loss_weight = 1, a.dropout_ratio = 0.5f;
  return r;
}

/** Two Inception modules, a head behind the first. */
std::vector<Row> inception() {
  Row data = row(GN_INPUT, "data", {});
  data.input = {8, 4, 4};
  std::vector<Row> rows = {data, row(GN_CONV, "stem", {"data"}, 8)};
  std::string from = "stem";
  for (const std::string module : {"a/", "b/"}) {
    rows.push_back(row(GN_CONV, module + "1x1", {from}, 8));
    rows.push_back(row(GN_CONV, module + "3x3_reduce", {from}, 8));
    rows.push_back(row(GN_CONV, module + "3x3", {module + "3x3_reduce"}, 8, 3));
    rows.push_back(row(GN_CONV, module + "5x5_reduce", {from}, 8));
    rows.push_back(row(GN_CONV, module + "5x5", {module + "5x5_reduce"}, 8, 5));
    rows.push_back(row(GN_POOL, module + "pool", {from}, 0, 3));
    rows.push_back(row(GN_CONV, module + "pool_proj", {module + "pool"}, 8));
    rows.push_back(
        row(GN_CONCAT, module + "output", {module + "1x1", module + "3x3", module + "5x5", module + "pool_proj"}));
    from = module + "output";
    rows.push_back(row(GN_CONV, module + "head", {from}, 8));
    rows.push_back(row(GN_LINEAR, module + "fc", {module + "head"}, 8));
    rows.push_back(row(GN_DROPOUT, module + "drop", {module + "fc"}));
    rows.push_back(row(GN_LINEAR, module + "classes", {module + "drop"}, 4));
    rows.push_back(row(GN_LOSS, module + "loss", {module + "classes"}));
  }
  return rows;
}

void module_tests() {
  for (const gn_type type : {GN_F32, GN_BF16}) {
    const Graph graph(inception());
    const Layout layout(graph, {GN_CHANNELS_LAST, 8, type, 0, 0, 0, nullptr});
    PlanRequest request;
    request.training = true, request.batch = 2;
    const Plan training(graph, layout, request);
    request.training = false;
    const Plan inference(graph, layout, request);
    const std::string name = type == GN_BF16 ? "bf16" : "f32";
    for (const int most : {1, 2, 3, 4, 8}) {
      const std::string on = ", " + std::to_string(most) + " lanes";
      const int forward = check_schedule(training.forward, most, name + " forward" + on);
      const int backward = check_schedule(training.backward, most, name + " backward" + on);
      const int inferred = check_schedule(inference.forward, most, name + " inference" + on);
      if (most == 4) check(forward == 4 && backward == 4, name + ": a module and a head beside it use four lanes");
      if (most > 1) check(inferred > 1, name + ": memory that is used again leaves something to run side by side");
    }
  }
}

/** Steps on slices that overlap at random: of few buffers, of several shapes. */
void random_tests() {
  for (int round = 0; round < 30; round++) {
    Steps steps(24);
    const auto tensor = [&] {
      gn_tensor t{};
      t.arena = GN_ACTIVATIONS, t.type = pick(0, 3) ? GN_F32 : GN_BF16;
      t.n = 1, t.h = 1, t.w = pick(1, 2), t.channels = 8 * pick(1, 3);
      t.channel = 8 * pick(0, t.channels / 8 - 1);
      t.c = t.span = 8 * pick(1, (t.channels - t.channel) / 8);
      t.offset = 64 * pick(0, 5 + round);
      return t;
    };
    for (gn_step& step : steps) {
      step = {};
      step.op = GN_POOL, step.direction = pick(0, 1) ? GN_FORWARD : GN_BACKWARD_DATA;
      step.weights = step.bias = {-1, 0};
      step.src = tensor();
      if (step.direction == GN_FORWARD) {
        step.dst = tensor();
        if (pick(0, 1)) step.workspace = tensor();
      } else {
        step.diff_dst = tensor(), step.diff_src = tensor();
        if (pick(0, 1)) step.mask = tensor();
      }
      if (pick(0, 1)) step.middle = tensor();
    }
    const auto needed = conflicts(steps);
    for (const int most : {1, 2, 4, 8})
      check(unordered(needed, schedule(steps, most)) == 0, "random steps on " + std::to_string(most) + " lanes");
  }
}

}  // namespace

void lane_tests() {
  module_tests();
  random_tests();
}

}  // namespace test
