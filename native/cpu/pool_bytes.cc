// POOL of u8 at inference: maxima stay u8 in their channel's steps, averages become bf16.
#include "core/status.h"
#include "cpu/pool.h"
#include "cpu/simd.h"

namespace googlenet::cpu {
namespace {

class BytePool : public gn_kernel {
 public:
  BytePool(gn_device& device, const gn_step& step)
      : pool_(*device.pool),
        kernels_(byte_kernels(device.isa)),
        average_(step.attributes.pool_kind == GN_POOL_AVERAGE),
        scales_(step.src.scales),
        in_(step.src, device.block),
        out_(step.dst, device.block),
        windows_(step.attributes, in_, out_) {
    implementation = activations<Bf16>(device.isa).name;
    if (step.direction != GN_FORWARD || step.training || device.block != 16 ||
        out_.type != (average_ ? GN_BF16 : GN_U8))
      throw Failure(Code::INTERNAL, std::string("pooling '") + step.name + "' cannot work on bytes");
  }

  void run(const gn_bindings& bindings) override {
    const uint8_t* in = in_.bind<uint8_t>(bindings);
    for_rows(pool_, out_, [&](int64_t n, int64_t b, int y0, int y1) {
      const uint8_t* src = in + n * in_.image + b * in_.plane;
      const int64_t to = n * out_.image + b * out_.plane;
      if (average_)
        kernels_.average_forward(windows_.shape, scales_ + b * 16, src, out_.bind<Bf16>(bindings) + to, y0, y1);
      else
        kernels_.max_forward(windows_.shape, src, out_.bind<uint8_t>(bindings) + to, y0, y1);
    });
  }

 private:
  ThreadPool& pool_;
  const ByteKernels& kernels_;
  const bool average_;
  const float* const scales_;
  const View in_, out_;
  const PoolWindows windows_;
};

}  // namespace

Kernel make_byte_pool(gn_device& device, const gn_step& step) { return std::make_unique<BytePool>(device, step); }

}  // namespace googlenet::cpu
