#include "cpu/onednn.h"

namespace googlenet::cpu {

using dnnl::memory;

Onednn::Onednn(const gn_device& device, const Onednn* beside)
    : pool(*device.pool),
      engine(beside ? beside->engine : dnnl::engine(dnnl::engine::kind::cpu, 0)),
      stream(dnnl::threadpool_interop::make_stream(engine, &pool)),
      copies_(device.copies) {}

Weights::Weights(int64_t offset, const memory::desc& master, const memory::desc& permuted, const memory::desc& viewed,
                 const memory::desc& target, dnnl::engine& engine)
    : offset_(offset), permutes_(master != permuted), reorders_(viewed != target) {
  master_ = dnnl::memory(master, engine, nullptr);
  if (permutes_) {
    permuted_ = dnnl::memory(permuted, engine);
    permute_ = dnnl::reorder(master_, permuted_);
  }
  viewed_ = dnnl::memory(viewed, engine, permutes_ ? permuted_.get_data_handle() : nullptr);
  if (reorders_) {
    target_ = dnnl::memory(target, engine);
    reorder_ = dnnl::reorder(viewed_, target_);
  } else {
    target_ = viewed_;
  }
}

void Weights::refresh(const gn_bindings& bindings, dnnl::stream& stream) {
  float* parameter = bindings.parameters + offset_;
  fresh_.ensure(parameter, bindings.version, [&] {
    master_.set_data_handle(parameter);
    if (permutes_)
      permute_.execute(stream, master_, permuted_);
    else
      viewed_.set_data_handle(parameter);
    if (reorders_) reorder_.execute(stream, viewed_, target_);
    stream.wait();
  });
}

bool Weights::matches(int64_t offset, const memory::desc& viewed, const memory::desc& target) const {
  return offset == offset_ && viewed == viewed_.get_desc() && target == target_.get_desc();
}

int64_t Weights::bytes() const {
  return (permutes_ ? int64_t(permuted_.get_desc().get_size()) : 0) +
         (reorders_ ? int64_t(target_.get_desc().get_size()) : 0);
}

std::shared_ptr<Weights> Onednn::weights(int64_t offset, const memory::desc& master, const memory::desc& permuted,
                                         const memory::desc& viewed, const memory::desc& target) {
  return copies_->onednn.shared(
      [&](const Weights& copy) { return copy.matches(offset, viewed, target); },
      [&] { return std::make_shared<Weights>(offset, master, permuted, viewed, target, engine); });
}

static memory::format_tag blocked(const gn_device& device) {
  return device.block == 16 ? memory::format_tag::nChw16c : memory::format_tag::nChw8c;
}

memory::desc describe(const gn_device& device, const gn_tensor& t) {
  const memory::data_type type = data_type_of(t.type);
  if (t.planar) return memory::desc({t.n, t.c, t.h, t.w}, type, memory::format_tag::nchw);
  const memory::desc buffer({t.n, t.channels, t.h, t.w}, type, blocked(device));
  return is_slice(t) ? buffer.submemory_desc({t.n, t.span, t.h, t.w}, {0, t.channel, 0, 0}) : buffer;
}

memory::desc describe_dense(const gn_device& device, const gn_tensor& t) {
  gn_tensor own = t;
  own.channel = 0, own.channels = t.span;
  return describe(device, own);
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace googlenet::cpu
