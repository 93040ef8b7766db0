// Engine, streams and the cache of primitives. Only the sources of this folder know oneDNN's types, of versions 2.6
// and 3.
#pragma once

#include "vitrail/core/dtype.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::core::dnnl {

const ::dnnl::engine& engine();

/// A primitive ready to run.
struct Primitive {
  ::dnnl::primitive primitive;
  ::dnnl::memory::desc scratchpad;
  std::string text;            // the operation and its shapes
  std::string implementation;  // oneDNN's name of it

  std::vector<::dnnl::memory::desc> layouts;  // of the arguments, where oneDNN chose them

  template <class Desc>
  Primitive(const Desc& desc, std::string what, std::vector<::dnnl::memory::desc> chosen = {})
      : primitive(desc.get()),
        scratchpad(desc.scratchpad_desc()),
        text(std::move(what)),
        implementation(desc.impl_info_str()),
        layouts(std::move(chosen)) {}
};

/// Everything that makes one primitive differ from another, in any fixed order.
using Key = std::vector<int64_t>;

/// The primitive of key. build() makes it at its first use and after it was dropped: the cache holds a fixed number and
/// drops the least recently used. Thread: safe. Each number of compute threads has its own primitives.
std::shared_ptr<const Primitive> cached(Key key, const std::function<Primitive()>& build);

/// Runs on the calling thread's stream with a scratchpad from the tensor pool.
struct Argument {
  int name;  // DNNL_ARG_...
  const ::dnnl::memory::desc& desc;
  const void* data;
};
void run(const Primitive& primitive, std::initializer_list<Argument> arguments);

/// Of every primitive: the scratchpad is given at each run.
::dnnl::primitive_attr attributes();

/// The descriptor of an operation, e.g. P = dnnl::matmul, from oneDNN's arguments for it. oneDNN 2 has a type for those
/// arguments, which oneDNN 3 takes one by one.
template <class P, class... Arguments>
typename P::primitive_desc describe(const Arguments&... arguments) {
  if constexpr (requires { typename P::desc; })
    return {typename P::desc(arguments...), attributes(), engine()};
  else
    return {engine(), arguments..., attributes()};
}
/// The same for a backward operation, which also needs the descriptor of the forward one.
template <class P, class Forward, class... Arguments>
typename P::primitive_desc describe_backward(const Forward& forward, const Arguments&... arguments) {
  if constexpr (requires { typename P::desc; })
    return {typename P::desc(arguments...), attributes(), engine(), forward};
  else
    return {engine(), arguments..., forward, attributes()};
}

}  // namespace vitrail::core::dnnl
