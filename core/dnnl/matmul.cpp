#include "vitrail/core/dnnl/matmul.h"

#include "vitrail/core/dnnl/cache.h"
#include "vitrail/core/dtype.h"

namespace vitrail::core::dnnl {
namespace {

using ::dnnl::memory;

template <class T>
constexpr memory::data_type type_of() {
  return std::is_same_v<T, float> ? memory::data_type::f32 : memory::data_type::bf16;
}

/// The stride of an axis of size 1 has no meaning, but oneDNN reads the layout from it. Sets it to the dense stride.
template <class T>
memory::dims strides_of(const Matrix<T>& m) {
  if (m.col_stride == 1) return {m.rows == 1 ? m.cols : m.row_stride, 1};
  return {1, m.cols == 1 ? m.rows : m.col_stride};
}

template <class T>
memory::desc desc_of(const Matrix<T>& m) {
  return {{m.rows, m.cols}, type_of<std::remove_const_t<T>>(), strides_of(m)};
}

template <class T>
std::string text_of(const Matrix<T>& m) {
  return std::to_string(m.rows) + "x" + std::to_string(m.cols) + (m.col_stride == 1 ? "" : "'");
}

}  // namespace

template <class In, class Out>
void matmul(const Matrix<const In>& a, const Matrix<const In>& b, const Matrix<Out>& c, const float* bias) {
  const memory::desc a_desc = desc_of(a), b_desc = desc_of(b), c_desc = desc_of(c);
  const memory::desc bias_desc({1, c.cols}, memory::data_type::f32, memory::format_tag::ab);
  Key key{'m', int64_t(type_of<In>()), int64_t(type_of<Out>()), bias != nullptr, a.rows, a.cols, b.cols};
  for (const auto& strides : {strides_of(a), strides_of(b), strides_of(c)})
    key.insert(key.end(), strides.begin(), strides.end());
  const auto primitive = cached(std::move(key), [&] {
    const auto desc = bias ? describe<::dnnl::matmul>(a_desc, b_desc, bias_desc, c_desc)
                           : describe<::dnnl::matmul>(a_desc, b_desc, c_desc);
    return Primitive(desc, "matmul " + to_string(dtype_of<In>()) + " " + text_of(a) + " " + text_of(b));
  });
  run(*primitive, {{DNNL_ARG_SRC, a_desc, a.data},
                   {DNNL_ARG_WEIGHTS, b_desc, b.data},
                   {DNNL_ARG_BIAS, bias_desc, bias},
                   {DNNL_ARG_DST, c_desc, c.data}});
}

template void matmul(const Matrix<const float>&, const Matrix<const float>&, const Matrix<float>&, const float*);
template void matmul(const Matrix<const bf16>&, const Matrix<const bf16>&, const Matrix<bf16>&, const float*);
template void matmul(const Matrix<const bf16>&, const Matrix<const bf16>&, const Matrix<float>&, const float*);

}  // namespace vitrail::core::dnnl
