// The optimiser's passes and host transfers.
#include <algorithm>

#include "check.h"

namespace test {
namespace {

using googlenet::cpu::export_tensor;
using googlenet::cpu::import_tensor;

double sum_on_portable = 0;

void optimiser(googlenet::Isa isa) {
  Bench b(isa, "optimiser");
  std::mt19937 engine(5);
  std::normal_distribution<float> normal;
  const int64_t size = 300007, first = 5, count = 299990;
  std::vector<float> w(size), v(size), g(size);
  for (auto* array : {&w, &v, &g})
    for (float& x : *array) x = normal(engine);
  std::vector<float> first_w, first_v;
  for (int threads = 1; threads <= 3; threads++) {
    gn_device device = b.device(threads);
    std::vector<float> nw = w, nv = v;
    gn_update u{};
    u.parameters = nw.data(), u.momentum = nv.data(), u.gradients = g.data();
    u.first = first, u.count = count;
    u.rate = 0.01f, u.momentum_factor = 0.9f, u.decay = 0.0002f, u.gradient_scale = 0.25f;
    googlenet::cpu::update(device, u);
    if (threads == 1) first_w = nw, first_v = nv;
    check(nw == first_w && nv == first_v, b.name + ": update depends on the threads");
    double worst = 0, squares = 0;
    bool outside = true;
    for (int64_t i = 0; i < size; i++) {
      squares += double(g[i]) * g[i];
      const bool in = i >= first && i < first + count;
      const double step = in ? 0.9 * v[i] + 0.01 * (0.25 * g[i] + 0.0002 * w[i]) : v[i];
      worst = std::max({worst, std::fabs(nv[i] - step), std::fabs(nw[i] - (in ? w[i] - step : w[i]))});
      if (!in) outside &= nv[i] == v[i] && nw[i] == w[i];
    }
    check(worst < 2e-6 && outside, b.name + ": update off by " + std::to_string(worst * 1e6) + "e-6");
    const double sum = googlenet::cpu::square_sum(device, g.data(), size);
    check(std::fabs(sum - squares) < 1e-9 * squares, b.name + ": square_sum");
    if (isa == googlenet::Isa::portable) sum_on_portable = sum;
    check(sum == sum_on_portable, b.name + ": square_sum depends on threads or instruction set");
  }
}

/** One rule in double: new weight, momentum and squares. */
void reference(gn_rule rule, const gn_update& u, double g, double& w, double& v, double& s) {
  const double f = double(u.gradient_scale) * g + double(u.decay) * w, m = u.momentum_factor, r = u.rate;
  if (rule == GN_SGD) {
    v = m * v + r * f, w -= v;
  } else if (rule == GN_NESTEROV) {
    const double before = v;
    v = m * v + r * f, w -= (1 + m) * v - m * before;
  } else if (rule == GN_ADAGRAD) {
    s += f * f, w -= r * f / (std::sqrt(s) + u.epsilon);
  } else {
    s = double(u.squares_decay) * s + (1 - double(u.squares_decay)) * f * f;
    v = m * v + r * f / std::sqrt(s + u.epsilon), w -= v;
  }
}

// Five updates, the average beside them; a range whose ends are in the middle of vectors.
void rules(googlenet::Isa isa) {
  std::mt19937 engine(9);
  std::normal_distribution<float> normal;
  const int64_t size = 70011, first = 3, last = 70002;
  for (int rule = 0; rule < GN_RULES; rule++) {
    Bench b(isa, "rule " + std::to_string(rule));
    std::vector<float> w(size), v(size), s(size, 0.5f), a(size, 7);
    for (float& x : w) x = normal(engine);
    for (float& x : v) x = 0.1f * normal(engine);
    std::vector<double> rw(w.begin(), w.end()), rv(v.begin(), v.end()), rs(s.begin(), s.end()), ra(a.begin(), a.end());
    const std::vector<float> untouched = w;
    for (int step = 1; step <= 5; step++) {
      std::vector<float> g(size);
      for (float& x : g) x = normal(engine);
      gn_update u{};
      u.rule = gn_rule(rule);
      u.parameters = w.data(), u.momentum = v.data(), u.squares = s.data(), u.gradients = g.data();
      u.average = step > 1 ? a.data() : nullptr;
      u.first = first, u.count = last - first;
      u.rate = 0.05f, u.momentum_factor = 0.9f, u.decay = 0.01f, u.gradient_scale = 0.5f;
      u.squares_decay = 0.9f, u.epsilon = 0.01f, u.average_share = step == 2 ? 1 : 0.25f;
      gn_device device = b.device(2);
      googlenet::cpu::update(device, u);
      for (int64_t i = first; i < last; i++) {
        reference(gn_rule(rule), u, g[i], rw[i], rv[i], rs[i]);
        if (u.average) ra[i] = step == 2 ? rw[i] : ra[i] + 0.25 * (rw[i] - ra[i]);
      }
    }
    double worst = 0;
    for (int64_t i = first; i < last; i++) {
      worst = std::max({worst, std::fabs(w[i] - rw[i]), std::fabs(a[i] - ra[i])});
      if (rule != GN_ADAGRAD) worst = std::max(worst, std::fabs(v[i] - rv[i]));
      if (rule >= GN_ADAGRAD) worst = std::max(worst, std::fabs(s[i] - rs[i]) / rs[i]);
    }
    check(worst < 3e-6, b.name + ": off by " + std::to_string(worst * 1e6) + "e-6");
    check(w[first - 1] == untouched[first - 1] && w[last] == untouched[last] && a[last] == 7,
          b.name + ": wrote outside its range");
  }
}

void transfer(googlenet::Isa isa, bool planar, bool bytes, int n, int c, int h, int w) {
  Bench b(isa, std::string("transfer ") + (planar ? "planar" : "blocked") + (bytes ? " bytes" : " floats"));
  const gn_tensor t = b.tensor(n, c, h, w, planar);
  // A map with a gap, as a concat of padded branches makes one.
  std::vector<int32_t> map(c);
  for (int i = 0; i < c; i++) map[i] = t.span - 1 - i;
  const bool mapped = !bytes && pick(0, 1);
  const int64_t area = int64_t(h) * w;
  std::vector<float> host(size_t(n * c * area)), back(host.size(), -1);
  std::vector<uint8_t> rgb(size_t(n * area * 3));
  for (float& x : host) x = float(pick(-999, 999)) / 8;
  for (uint8_t& x : rgb) x = uint8_t(pick(0, 255));
  const float mean[3] = {104, 117, 123};
  if (bytes)
    for (int i = 0; i < n; i++)
      for (int64_t p = 0; p < area; p++)
        for (int k = 0; k < 3; k++) host[(i * 3 + k) * area + p] = float(rgb[(i * area + p) * 3 + 2 - k]) - mean[k];
  const std::vector<float> before = b.arena;
  for (int threads = 1; threads <= 3; threads++) {
    gn_device device = b.device(threads);
    b.arena = before;
    import_tensor(device, t, mapped ? map.data() : nullptr, b.arena.data(),
                  bytes ? static_cast<const void*>(rgb.data()) : host.data(),
                  bytes ? GN_HOST_U8_NHWC_RGB : GN_HOST_F32_NCHW, mean);
    bool good = true;
    Bench::each(t, t.span, [&](int in, int channel, int y, int x) {
      const int logical = mapped ? t.span - 1 - channel : channel;
      const float want = logical < c ? host[(int64_t(in) * c + logical) * area + int64_t(y) * w + x] : 0;
      good &= b.arena[b.at(t, in, channel, y, x)] == want;
    });
    check(good, b.name + ": import");
    export_tensor(device, t, mapped ? map.data() : nullptr, b.arena.data(), back.data());
    check(back == host, b.name + ": export");
  }
}

}  // namespace

void flat_tests() {
  for (const googlenet::Isa isa : isas()) {
    optimiser(isa);
    rules(isa);
    for (int i = 0; i < 20; i++) {
      const bool bytes = i & 1;
      transfer(isa, i & 2, bytes, i & 4 ? 3 : 1, bytes ? 3 : pick(1, 40), pick(1, 37), pick(1, 37));
    }
  }
}

}  // namespace test
