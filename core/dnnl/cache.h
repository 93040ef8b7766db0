// Engine, streams and the cache of primitives: shared by the sources of this folder, which alone know oneDNN's types.
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
  std::string text;            // what it computes
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

/// The primitive of key, built by build() at its first use and when it was dropped since: the cache holds a fixed
/// number and drops those unused for longest. Thread: safe; each number of compute threads has primitives of its own.
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

}  // namespace vitrail::core::dnnl
