// Times of the memory-bound kernels on GoogLeNet's shapes at 224x224, batch 8, and of a fork and join. GB/s counts each
// byte read or written once; compare with the copy on the first line.
#include <algorithm>
#include <chrono>

#include "check.h"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(const std::function<void()>& body) {
  body();
  std::vector<double> times;
  for (int i = 0; i < 25; i++) {
    const auto start = Clock::now();
    body();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 4];
}

void line(const char* what, double ms, double bytes) {
  std::printf("%-34s %8.3f ms %7.1f GB/s\n", what, ms, bytes / ms / 1e6);
}

constexpr int kBatch = 8;

struct Layer {
  const char* name;
  int c, in, out, kernel, stride, pad;
  gn_pool_kind kind;
};

void pools(googlenet::Isa isa, int threads) {
  const Layer layers[] = {{"pool1 3x3/2", 64, 112, 56, 3, 2, 0, GN_POOL_MAX},
                          {"pool2 3x3/2", 192, 56, 28, 3, 2, 0, GN_POOL_MAX},
                          {"3b pool 3x3/1", 256, 28, 28, 3, 1, 1, GN_POOL_MAX},
                          {"4b pool 3x3/1", 512, 14, 14, 3, 1, 1, GN_POOL_MAX},
                          {"pool5 7x7 average", 1024, 7, 1, 7, 1, 0, GN_POOL_AVERAGE}};
  for (const Layer& l : layers) {
    test::Bench b(isa, l.name);
    gn_device device = b.device(threads);
    gn_step step{};
    step.op = GN_POOL, step.name = l.name;
    gn_attributes& a = step.attributes;
    a.pool_kind = l.kind;
    a.kernel_h = a.kernel_w = l.kernel, a.stride_h = a.stride_w = l.stride, a.pad_h = a.pad_w = l.pad;
    step.src = b.tensor(kBatch, l.c, l.in, l.in), step.dst = b.tensor(kBatch, l.c, l.out, l.out);
    gn_tensor workspace = b.tensor(kBatch, l.c, l.out, l.out, true);
    b.fill(step.src), b.fill(step.dst);
    const double in = 4.0 * kBatch * l.c * l.in * l.in, out = 4.0 * kBatch * l.c * l.out * l.out;
    const gn_bindings bindings = b.bindings();
    auto kernel = googlenet::cpu::make_pool(device, step);
    line(l.name, milliseconds([&] { kernel->run(bindings); }), in + out);
    if (l.kind == GN_POOL_MAX) {
      step.workspace = workspace;
      kernel = googlenet::cpu::make_pool(device, step);
      line("  training", milliseconds([&] { kernel->run(bindings); }), in + out * 1.25);
    }
    step.direction = GN_BACKWARD_DATA, step.diff_src = step.src, step.diff_dst = step.dst;
    kernel = googlenet::cpu::make_pool(device, step);
    line("  backward", milliseconds([&] { kernel->run(bindings); }), in + out * 1.25);
  }
}

void lrns(googlenet::Isa isa, int threads) {
  for (const int c : {64, 192}) {
    test::Bench b(isa, "lrn");
    gn_device device = b.device(threads);
    gn_step step{};
    step.op = GN_LRN, step.name = "lrn";
    step.attributes.lrn_size = 5, step.attributes.lrn_alpha = 1e-4f, step.attributes.lrn_beta = 0.75f;
    step.attributes.lrn_k = 1;
    step.src = b.tensor(kBatch, c, 56, 56), step.dst = b.tensor(kBatch, c, 56, 56);
    gn_tensor diff = b.tensor(kBatch, c, 56, 56);
    b.fill(step.src), b.fill(step.dst), b.fill(diff);
    const double bytes = 4.0 * kBatch * c * 56 * 56;
    const gn_bindings bindings = b.bindings();
    auto kernel = googlenet::cpu::make_lrn(device, step);
    line(c == 64 ? "norm1" : "norm2", milliseconds([&] { kernel->run(bindings); }), 2 * bytes);
    step.direction = GN_BACKWARD_DATA, step.diff_src = diff, step.diff_dst = step.dst, step.mask = step.src;
    kernel = googlenet::cpu::make_lrn(device, step);
    line("  backward with mask", milliseconds([&] { kernel->run(bindings); }), 3 * bytes);
  }
}

void flat(googlenet::Isa isa, int threads) {
  test::Bench b(isa, "flat");
  gn_device device = b.device(threads);
  const int64_t count = 13378280;  // parameters of the training network
  std::vector<float> w(count, 1), v(count), g(count, 1e-3f);
  gn_update update{};
  update.parameters = w.data(), update.momentum = v.data(), update.gradients = g.data();
  update.count = count;
  update.rate = 1e-6f, update.momentum_factor = 0.9f, update.decay = 1e-4f, update.gradient_scale = 1;
  line("update 13.4 M", milliseconds([&] { googlenet::cpu::update(device, update); }), 20.0 * count);
  line("square_sum", milliseconds([&] { googlenet::cpu::square_sum(device, g.data(), count); }), 4.0 * count);
  const gn_tensor image = b.tensor(kBatch, 3, 224, 224, true);
  std::vector<uint8_t> rgb(kBatch * 224 * 224 * 3);
  const float mean[3] = {104, 117, 123};
  line("import bytes", milliseconds([&] {
         googlenet::cpu::import_tensor(device, image, nullptr, b.arena.data(), rgb.data(), GN_HOST_U8_NHWC_RGB, mean);
       }),
       5.0 * double(rgb.size()));
}

void fork_join(int threads) {
  googlenet::ThreadPool pool(threads);
  const auto print = [](const char* what, double ms) { std::printf("%-34s %8.3f us\n", what, ms); };
  print("fork and join, one body a thread", milliseconds([&] {
          for (int i = 0; i < 1000; i++) pool.parallel(threads, [](int64_t) {});
        }));
  print("fork and join, ranges", milliseconds([&] {
          for (int i = 0; i < 1000; i++) pool.ranges(1000, [](int64_t, int64_t) {});
        }));
}

}  // namespace

int main() {
  const int threads = std::min(2, googlenet::available_cores());
  googlenet::ThreadPool pool(threads);
  std::vector<char> from(25 << 20), to(25 << 20);
  const int64_t size = int64_t(from.size());
  line("copy of 25 MiB", milliseconds([&] {
         pool.ranges(size, [&](int64_t a, int64_t z) { std::memcpy(to.data() + a, from.data() + a, size_t(z - a)); });
       }),
       2.0 * double(size));
  fork_join(threads);
  for (const googlenet::Isa isa : test::isas()) {
    std::printf("-- %s, %d threads\n", googlenet::isa_name(isa), threads);
    pools(isa, threads);
    lrns(isa, threads);
    flat(isa, threads);
  }
}
