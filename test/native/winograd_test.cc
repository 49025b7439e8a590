// Winograd's convolution against the plain sum in double: all sizes of planes and so all tiles, slices, channels that are
// no multiple of the block, odd batches, both windows, and padding that is not half the window.
#include "check.h"
#include "cpu/winograd.h"

namespace test {
namespace {

struct Problem {
  int taps, pad, n, inputs, outputs, h, w;
  bool bias, relu;
};

/** Sums in double, and the squares of what each adds up: their root is how large a sum would be by chance. */
struct Sums {
  explicit Sums(size_t count) : values(count), squares(count) {}
  void add(size_t at, double term) { values[at] += term, squares[at] += term * term; }
  Values values, squares;
};

/** Of the largest value: Winograd's errors spread over a tile, so small values are not more exact than large ones. Where
 *  all the few values are small by chance, of what they might have been. */
void close(const Bench& b, const Values& got, const Sums& sums, double tolerance) {
  const Values& want = sums.values;
  double largest = 1e-30, worst = 0;
  for (const double v : want) largest = std::max(largest, std::fabs(v));
  for (const double square : sums.squares) largest = std::max(largest, std::sqrt(square));
  for (size_t i = 0; i < want.size(); i++) {
    const double error = std::fabs(got[i] - want[i]) / largest;
    if (!(error <= worst)) worst = error;
  }
  check(worst <= tolerance, b.name + ": error " + std::to_string(worst * 1e6) + "e-6 of the largest value");
}

class Case {
 public:
  Case(googlenet::Isa isa, const Problem& p)
      : b(isa, "winograd " + std::to_string(p.taps) + " pad " + std::to_string(p.pad) + ", " + std::to_string(p.n) +
                   "x" + std::to_string(p.inputs) + "->" + std::to_string(p.outputs) + " " + std::to_string(p.h) + "x" +
                   std::to_string(p.w)),
        p(p),
        out_h(p.h + 2 * p.pad - p.taps + 1),
        out_w(p.w + 2 * p.pad - p.taps + 1),
        src(b.tensor(p.n, p.inputs, p.h, p.w)),
        dst(b.tensor(p.n, p.outputs, out_h, out_w)) {
    step.op = GN_CONV, step.name = "conv";
    gn_attributes& a = step.attributes;
    a.kernel_h = a.kernel_w = p.taps, a.pad_h = a.pad_w = p.pad, a.relu = p.relu;
    a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = a.groups = 1;
    const int64_t weights = int64_t(dst.span) * src.span * p.taps * p.taps;
    step.weights = {16, weights};
    step.bias = {p.bias ? 16 + weights : -1, p.bias ? dst.span : 0};
    b.parameters.assign(size_t(16 + weights + dst.span), 0);
    std::normal_distribution<float> normal;
    for (int o = 0; o < p.outputs; o++) {
      for (int i = 0; i < p.inputs; i++)
        for (int k = 0; k < p.taps * p.taps; k++) weight(b.parameters, o, i, k) = normal(random());
      b.parameters[size_t(16 + weights + o)] = normal(random());
    }
  }

  void forward() {
    const Values x = b.fill(src);
    step.src = src, step.dst = dst;
    b.run(googlenet::cpu::make_winograd_data, step, {dst}, "winograd:");
    Sums y(size_t(p.n) * p.outputs * out_h * out_w);
    each_product([&](size_t in, size_t out, int o, int i, int k) { y.add(out, x[in] * weight(b.parameters, o, i, k)); });
    for (size_t at = 0; at < y.values.size(); at++) {
      const size_t o = at / (size_t(out_h) * out_w) % p.outputs;
      if (p.bias) y.add(at, b.parameters[size_t(16 + step.weights.size) + o]);
      if (p.relu) y.values[at] = std::max(y.values[at], 0.0);
    }
    close(b, b.read(dst, b.arena), y, tolerance());
  }

  void backward_data() {
    const Values dy = b.fill(dst);
    step.direction = GN_BACKWARD_DATA, step.training = 1;
    step.diff_src = src, step.diff_dst = dst, step.src = step.dst = gn_tensor{};
    b.run(googlenet::cpu::make_winograd_data, step, {src}, "winograd:");
    Sums dx(size_t(p.n) * p.inputs * p.h * p.w);
    each_product([&](size_t in, size_t out, int o, int i, int k) { dx.add(in, dy[out] * weight(b.parameters, o, i, k)); });
    close(b, b.read(src, b.arena), dx, tolerance());
  }

  void backward_weights() {
    const Values x = b.fill(src), dy = b.fill(dst);
    step.direction = GN_BACKWARD_WEIGHTS, step.training = 1;
    step.src = src, step.diff_dst = dst;
    b.run(googlenet::cpu::make_winograd_gradient, step, {}, "winograd:");
    Sums dw(size_t(p.outputs) * p.inputs * p.taps * p.taps), db{size_t(p.outputs)};
    each_product([&](size_t in, size_t out, int o, int i, int k) {
      dw.add((size_t(o) * p.inputs + i) * p.taps * p.taps + k, x[in] * dy[out]);
    });
    for (size_t at = 0; at < dy.size(); at++) db.add(at / (size_t(out_h) * out_w) % p.outputs, dy[at]);
    std::vector<double> got_w, got_b;
    bool padding = true;
    for (int o = 0; o < dst.span; o++) {
      for (int i = 0; i < src.span; i++)
        for (int k = 0; k < p.taps * p.taps; k++) {
          const float value = weight(b.gradients, o, i, k);
          if (o < p.outputs && i < p.inputs)
            got_w.push_back(value);
          else
            padding &= value == 0;
        }
      if (!p.bias) continue;
      const float value = b.gradients[size_t(step.bias.offset + o)];
      if (o < p.outputs)
        got_b.push_back(value);
      else
        padding &= value == 0;
    }
    check(padding, b.name + ": padding is not 0");
    close(b, got_w, dw, 3 * tolerance());  // sums over all pixels
    if (p.bias) close(b, got_b, db, 3e-6);
  }

 private:
  double tolerance() const { return p.taps == 3 ? 1e-5 : 3e-5; }

  float& weight(std::vector<float>& from, int o, int i, int k) {
    return from[size_t(16 + (int64_t(o) * src.span + i) * p.taps * p.taps + k)];
  }

  /** body(index into src's values, into dst's, output, input, tap) for each product of the convolution. */
  template <class Body>
  void each_product(const Body& body) {
    for (int n = 0; n < p.n; n++)
      for (int o = 0; o < p.outputs; o++)
        for (int y = 0; y < out_h; y++)
          for (int x = 0; x < out_w; x++)
            for (int i = 0; i < p.inputs; i++)
              for (int k = 0; k < p.taps * p.taps; k++) {
                const int sy = y - p.pad + k / p.taps, sx = x - p.pad + k % p.taps;
                if (sy < 0 || sy >= p.h || sx < 0 || sx >= p.w) continue;
                body(((size_t(n) * p.inputs + i) * p.h + sy) * p.w + sx,
                     ((size_t(n) * p.outputs + o) * out_h + y) * out_w + x, o, i, k);
              }
  }

  Bench b;
  const Problem p;
  const int out_h, out_w;
  const gn_tensor src, dst;
  gn_step step{};
};

void directions(googlenet::Isa isa, const Problem& p) {
  Case(isa, p).forward();
  Case(isa, p).backward_data();
  Case(isa, p).backward_weights();
}

}  // namespace

void winograd_tests() {
  for (const googlenet::Isa isa : isas()) {
    for (const int taps : {3, 5}) {
      for (int h = 1; h <= 15; h++)  // every tile, alone and behind full ones, in both axes
        for (int w = 1; w <= 15; w++) directions(isa, {taps, taps / 2, 1, pick(1, 9), pick(1, 9), h, w, true, true});
      for (int i = 0; i < 30; i++)
        directions(isa, {taps, pick(0, taps), pick(1, 5), pick(1, 70), pick(1, 100), pick(taps, 9), pick(taps, 9),
                         i % 3 > 0, i % 2 > 0});
      directions(isa, {taps, taps / 2, 9, 24, 56, 30, 27, true, false});  // several blocks a thread
    }
  }
}

}  // namespace test
