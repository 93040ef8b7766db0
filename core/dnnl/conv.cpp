#include "vitrail/core/dnnl/conv.h"

#include "vitrail/core/dnnl/cache.h"
#include "vitrail/core/memory.h"

namespace vitrail::core::dnnl {
namespace {

using ::dnnl::memory;
using Dims = memory::dims;

memory::desc plain(const Dims& dims) {
  return {dims, memory::data_type::f32, dims.size() == 4 ? memory::format_tag::nchw : memory::format_tag::x};
}
memory::desc any(const Dims& dims) { return {dims, memory::data_type::f32, memory::format_tag::any}; }

/// The descriptors of one convolution and of the three primitives on it.
struct Conv {
  explicit Conv(const ConvShape& s)
      : x({s.batch, s.in_chans, s.height, s.width}),
        weight({s.out_chans, s.in_chans, s.kernel_h, s.kernel_w}),
        y({s.batch, s.out_chans, s.out_height(), s.out_width()}),
        strides({s.stride, s.stride}),
        padding({s.padding, s.padding}) {}

  ::dnnl::convolution_forward::primitive_desc forward(bool with_bias) const {
    using Forward = ::dnnl::convolution_forward;
    const auto kind = ::dnnl::prop_kind::forward_training;
    if (!with_bias) return describe<Forward>(kind, kAlgorithm, any(x), any(weight), any(y), strides, padding, padding);
    return describe<Forward>(kind, kAlgorithm, any(x), any(weight), plain({y[1]}), any(y), strides, padding, padding);
  }
  ::dnnl::convolution_backward_data::primitive_desc backward_input() const {
    return describe_backward<::dnnl::convolution_backward_data>(forward(false), kAlgorithm, any(x), any(weight), any(y),
                                                                strides, padding, padding);
  }
  ::dnnl::convolution_backward_weights::primitive_desc backward_weight() const {
    return describe_backward<::dnnl::convolution_backward_weights>(forward(false), kAlgorithm, any(x), any(weight),
                                                                   any(y), strides, padding, padding);
  }

  static constexpr auto kAlgorithm = ::dnnl::algorithm::convolution_direct;
  Dims x, weight, y, strides, padding;
};

Key key_of(int64_t kind, const ConvShape& s) {
  return {kind, s.batch, s.in_chans, s.height, s.width, s.out_chans, s.kernel_h, s.kernel_w, s.stride, s.padding};
}

std::string text_of(const char* name, const Conv& c) {
  std::string text = name;
  for (const Dims* dims : {&c.x, &c.weight})
    for (size_t i = 0; i < dims->size(); ++i) text += (i ? "x" : " ") + std::to_string((*dims)[i]);
  return text;
}

/// Converts a dense NCHW argument to the layout that the primitive needs. Returns the same memory if the layouts agree.
class Laid {
 public:
  Laid(int name, const Dims& dims, const memory::desc& wanted, const void* data, const Key& conv)
      : name_(name), outside_(plain(dims)), inside_(wanted), data_(data), key_(conv) {
    if (outside_ != inside_) copy_ = Storage(int64_t(inside_.get_size()));
  }
  Argument argument() const { return {name_, inside_, copy_ ? copy_.data() : data_}; }
  const Laid& bring_in() const {
    if (copy_) reorder('>', outside_, data_, inside_, copy_.data());
    return *this;
  }
  void bring_out() const {
    if (copy_) reorder('<', inside_, copy_.data(), outside_, data_);
  }

 private:
  void reorder(int64_t way, const memory::desc& from, const void* source, const memory::desc& to,
               const void* target) const {
    Key key = key_;
    key.insert(key.end(), {'r', way, name_});
    const auto primitive = cached(std::move(key), [&] {
      return Primitive(::dnnl::reorder::primitive_desc(engine(), from, engine(), to, attributes()), "reorder");
    });
    run(*primitive, {{DNNL_ARG_FROM, from, source}, {DNNL_ARG_TO, to, target}});
  }

  int name_;
  memory::desc outside_, inside_;
  const void* data_;
  const Key& key_;
  Storage copy_;
};

}  // namespace

void conv_forward(const ConvShape& shape, const float* x, const float* weight, const float* bias, float* y) {
  const Conv conv(shape);
  const Key key = key_of(bias ? 'b' : 'f', shape);
  const auto primitive = cached(key, [&] {
    const auto desc = conv.forward(bias);
    return Primitive(desc, text_of("conv", conv), {desc.src_desc(), desc.weights_desc(), desc.dst_desc()});
  });
  const auto& layouts = primitive->layouts;
  const memory::desc bias_desc = plain({conv.y[1]});
  const Laid in(DNNL_ARG_SRC, conv.x, layouts[0], x, key),
      filter(DNNL_ARG_WEIGHTS, conv.weight, layouts[1], weight, key);
  const Laid out(DNNL_ARG_DST, conv.y, layouts[2], y, key);
  run(*primitive,
      {in.bring_in().argument(), filter.bring_in().argument(), {DNNL_ARG_BIAS, bias_desc, bias}, out.argument()});
  out.bring_out();
}

void conv_backward_input(const ConvShape& shape, const float* dy, const float* weight, float* dx) {
  const Conv conv(shape);
  const Key key = key_of('i', shape);
  const auto primitive = cached(key, [&] {
    const auto desc = conv.backward_input();
    return Primitive(desc, text_of("conv_backward_input", conv),
                     {desc.diff_dst_desc(), desc.weights_desc(), desc.diff_src_desc()});
  });
  const auto& layouts = primitive->layouts;
  const Laid in(DNNL_ARG_DIFF_DST, conv.y, layouts[0], dy, key);
  const Laid filter(DNNL_ARG_WEIGHTS, conv.weight, layouts[1], weight, key);
  const Laid out(DNNL_ARG_DIFF_SRC, conv.x, layouts[2], dx, key);
  run(*primitive, {in.bring_in().argument(), filter.bring_in().argument(), out.argument()});
  out.bring_out();
}

void conv_backward_weight(const ConvShape& shape, const float* dy, const float* x, float* dweight) {
  const Conv conv(shape);
  const Key key = key_of('w', shape);
  const auto primitive = cached(key, [&] {
    const auto desc = conv.backward_weight();
    return Primitive(desc, text_of("conv_backward_weight", conv),
                     {desc.diff_dst_desc(), desc.src_desc(), desc.diff_weights_desc()});
  });
  const auto& layouts = primitive->layouts;
  const Laid gradient(DNNL_ARG_DIFF_DST, conv.y, layouts[0], dy, key), in(DNNL_ARG_SRC, conv.x, layouts[1], x, key);
  const Laid out(DNNL_ARG_DIFF_WEIGHTS, conv.weight, layouts[2], dweight, key);
  run(*primitive, {gradient.bring_in().argument(), in.bring_in().argument(), out.argument()});
  out.bring_out();
}

}  // namespace vitrail::core::dnnl
