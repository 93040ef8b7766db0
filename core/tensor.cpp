#include "vitrail/core/tensor.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/table.h"
#include "vitrail/core/parallel.h"

#include <cstring>
#include <utility>

namespace vitrail {
namespace {

constexpr int64_t kChunk = 1 << 15;

/// Copies n elements, converting.
template <class To, class From>
void copy_dense(To* to, const From* from, int64_t n) {
  if constexpr (std::is_same_v<To, From>)
    std::memcpy(to, from, size_t(n) * sizeof(To));
  else if constexpr (std::is_same_v<To, bf16> && std::is_same_v<From, float>)
    kernels::table<float>().narrow(from, 1, to, n);
  else if constexpr (std::is_same_v<To, float> && std::is_same_v<From, bf16>)
    kernels::table<float>().widen(from, to, n);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = To(compute_cast<To>(from[i]));
}

/// Copies a strided source to a strided target of the same shape, converting; the last axis runs innermost.
template <class To, class From>
void copy_strided(To* to, const Strides& to_strides, const From* from, const Strides& from_strides,
                  const Shape& shape) {
  const int rank = shape.rank();
  const int64_t inner = rank ? shape[rank - 1] : 1;
  const int64_t to_step = rank ? to_strides[size_t(rank - 1)] : 1;
  const int64_t from_step = rank ? from_strides[size_t(rank - 1)] : 1;
  const int64_t rows = inner ? shape.numel() / inner : 0;
  parallel_for(rows, std::max<int64_t>(1, kChunk / std::max<int64_t>(inner, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t rest = row, to_at = 0, from_at = 0;
      for (int axis = rank - 2; axis >= 0; --axis) {
        const int64_t i = rest % shape[axis];
        rest /= shape[axis];
        to_at += i * to_strides[size_t(axis)];
        from_at += i * from_strides[size_t(axis)];
      }
      To* t = to + to_at;
      const From* f = from + from_at;
      if (to_step == 1 && from_step == 1) {
        copy_dense(t, f, inner);
        continue;
      }
      for (int64_t i = 0; i < inner; ++i) t[i * to_step] = To(compute_cast<To>(f[i * from_step]));
    }
  });
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  Tensor t;
  t.numel_ = shape.numel();
  int64_t bytes = 0;
  check<ShapeError>(!__builtin_mul_overflow(t.numel_, size_of(dtype), &bytes), "tensor",
                    "{} of {} has more than 2^63 bytes", shape, dtype);
  t.storage_ = Storage(bytes);
  t.shape_ = shape;
  t.strides_ = dense_strides(shape);
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::in(Storage storage, const Shape& shape, DType dtype) {
  Tensor t;
  t.numel_ = shape.numel();
  check<ShapeError>(t.numel_ <= storage.bytes() / size_of(dtype), "tensor", "{} bytes are too few for {} of {}",
                    storage.bytes(), shape, dtype);
  t.storage_ = std::move(storage);
  t.shape_ = shape;
  t.strides_ = dense_strides(shape);
  t.dtype_ = dtype;
  return t;
}

void Tensor::expect(DType dtype) const {
  check<ShapeError>(defined(), "tensor", "has no elements: it is undefined");
  check<ShapeError>(dtype_ == dtype, "tensor", "has elements of type {}, not {}", dtype_, dtype);
}

void Tensor::expect_contiguous(std::string_view op) const {
  check<ShapeError>(contiguous_, op, "{} is strided; call contiguous() first", shape_);
}

double Tensor::item() const {
  check<ShapeError>(defined() && numel_ == 1, "item", "needs exactly one element, was given {}", shape_);
  return dispatch_all(dtype_, [&](auto v) { return double(data<decltype(v)>()[0]); });
}

std::vector<double> Tensor::to_vector() const {
  const Tensor dense = to(DType::f64).contiguous();
  const auto values = dense.span<double>();
  return {values.begin(), values.end()};
}

Tensor Tensor::view(const Shape& shape, const Strides& strides, int64_t offset_elements) const {
  check<ShapeError>(defined(), "tensor", "an undefined tensor has no views");
  Tensor t = *this;
  t.shape_ = shape;
  t.strides_ = strides;
  t.numel_ = shape.numel();
  t.offset_ += t.numel_ == 0 ? 0 : offset_elements * size_of(dtype_);
  const Strides dense = dense_strides(shape);
  t.contiguous_ = true;
  for (int i = 0; i < shape.rank() && t.numel_ > 1; ++i)
    if (shape[i] != 1 && strides[size_t(i)] != dense[size_t(i)]) t.contiguous_ = false;
  return t;
}

Tensor Tensor::reshape(std::initializer_list<int64_t> sizes) const {
  std::vector<int64_t> known = sizes;
  int64_t product = 1, holes = 0;
  for (int64_t n : sizes) n == -1 ? ++holes : product *= n;
  check<ShapeError>(holes <= 1, "reshape", "only one size may be -1");
  if (holes == 1) {
    check<ShapeError>(product > 0 && numel_ % product == 0, "reshape", "{} has {} elements, not a multiple of {}",
                      shape_, numel_, product);
    std::replace(known.begin(), known.end(), int64_t{-1}, product ? numel_ / product : 0);
  }
  return reshape(Shape(known));
}

Tensor Tensor::reshape(const Shape& shape) const {
  check<ShapeError>(shape.numel() == numel_, "reshape", "{} has {} elements, {} has {}", shape_, numel_, shape,
                    shape.numel());
  if (contiguous_) return view(shape, dense_strides(shape), 0);
  // Walk both shapes from the left, matching runs of equal element counts; a run must be dense within itself.
  Strides strides{};
  int from = 0;
  for (int to = 0; to < shape.rank();) {
    int64_t have = 1, want = shape[to];
    const int to_begin = to++;
    const int from_begin = from;
    if (from < rank()) have = shape_[from++];
    while (have != want) {
      if (have < want)
        have *= shape_[from++];
      else
        want *= shape[to++];
    }
    while (to < shape.rank() && shape[to] == 1) ++to;
    while (from < rank() && shape_[from] == 1) ++from;
    int64_t stride = 1, next = 0;  // of the run's innermost axis; of the next axis outwards if the run is dense
    bool first = true;
    for (int i = from - 1; i >= from_begin; --i) {
      if (shape_[i] == 1) continue;
      const int64_t step = strides_[size_t(i)];
      check<ShapeError>(first || step == next, "reshape",
                        "{} is strided and cannot be viewed as {}; call contiguous() first", shape_, shape);
      if (std::exchange(first, false)) stride = step;
      next = step * shape_[i];
    }
    for (int i = to - 1; i >= to_begin; --i) {
      strides[size_t(i)] = stride;
      stride *= shape[i];
    }
  }
  return view(shape, strides, 0);
}

Tensor Tensor::transpose(int a, int b) const {
  const int i = shape_.normalize_axis(a), j = shape_.normalize_axis(b);
  Strides strides = strides_;
  std::swap(strides[size_t(i)], strides[size_t(j)]);
  return view(shape_.with(i, shape_[j]).with(j, shape_[i]), strides, 0);
}

Tensor Tensor::permute(std::span<const int> axes) const {
  check<ShapeError>(int(axes.size()) == rank(), "permute", "{} axes for {}", axes.size(), shape_);
  Shape shape = shape_;
  Strides strides{};
  unsigned seen = 0;
  int to = 0;
  for (int axis : axes) {
    const int from = shape_.normalize_axis(axis);
    seen |= 1u << from;
    shape = shape.with(to, shape_[from]);
    strides[size_t(to++)] = strides_[size_t(from)];
  }
  check<ShapeError>(seen + 1 == 1u << rank(), "permute", "an axis of {} is named twice", shape_);
  return view(shape, strides, 0);
}

Tensor Tensor::slice(int axis, int64_t begin, int64_t end, int64_t step) const {
  const int i = shape_.normalize_axis(axis);
  check<ShapeError>(0 <= begin && begin <= end && end <= shape_[i] && step > 0, "slice",
                    "[{}, {}) by {} is not inside axis {} of {}", begin, end, step, axis, shape_);
  Strides strides = strides_;
  strides[size_t(i)] *= step;
  return view(shape_.with(i, (end - begin + step - 1) / step), strides, begin * strides_[size_t(i)]);
}

Tensor Tensor::select(int axis, int64_t index) const { return slice(axis, index, index + 1).squeeze(axis); }

Tensor Tensor::squeeze(int axis) const {
  const int i = shape_.normalize_axis(axis);
  check<ShapeError>(shape_[i] == 1, "squeeze", "axis {} of {} is not of size 1", axis, shape_);
  Strides strides{};
  for (int from = 0, to = 0; from < rank(); ++from)
    if (from != i) strides[size_t(to++)] = strides_[size_t(from)];
  return view(shape_.without(i), strides, 0);
}

Tensor Tensor::unsqueeze(int axis) const {
  const Shape shape = shape_.insert(axis < 0 ? axis + rank() + 1 : axis, 1);
  const int i = axis < 0 ? axis + rank() + 1 : axis;
  Strides strides{};
  for (int from = 0, to = 0; to < shape.rank(); ++to) strides[size_t(to)] = to == i ? 0 : strides_[size_t(from++)];
  return view(shape, strides, 0);
}

Tensor Tensor::expand(const Shape& shape) const {
  check<ShapeError>(broadcast(shape_, shape, "expand") == shape, "expand", "{} does not expand to {}", shape_, shape);
  Strides strides{};
  for (int i = 1; i <= rank(); ++i)
    strides[size_t(shape.rank() - i)] = shape_[-i] == 1 && shape[-i] != 1 ? 0 : strides_[size_t(rank() - i)];
  return view(shape, strides, 0);
}

Tensor Tensor::contiguous() const { return contiguous_ ? *this : clone(); }

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_);
  t.copy_(*this);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype);
  t.copy_(*this);
  return t;
}

Tensor& Tensor::zero_() {
  if (!contiguous_) return fill_(0);
  std::memset(raw(), 0, size_t(nbytes()));
  return *this;
}

Tensor& Tensor::fill_(double value) { return copy_(scalar(value, dtype_)); }

Tensor& Tensor::copy_(const Tensor& src) {
  const Tensor from = src.shape() == shape_ ? src : src.expand(shape_);
  dispatch_all(dtype_, [&](auto to) {
    dispatch_all(from.dtype(), [&](auto element) {
      auto* const target = data<decltype(to)>();
      const auto* const source = from.data<decltype(element)>();
      if (!contiguous_ || !from.contiguous_) return copy_strided(target, strides_, source, from.strides_, shape_);
      parallel_for(numel_, kChunk,
                   [&](int64_t begin, int64_t end) { copy_dense(target + begin, source + begin, end - begin); });
    });
  });
  return *this;
}

Tensor zeros(const Shape& shape, DType dtype) { return std::move(Tensor::empty(shape, dtype).zero_()); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor full(const Shape& shape, double value, DType dtype) {
  return std::move(Tensor::empty(shape, dtype).fill_(value));
}

Tensor scalar(double value, DType dtype) {
  Tensor t = Tensor::empty({}, dtype);
  dispatch_all(dtype,
               [&](auto v) { *t.data<decltype(v)>() = static_cast<decltype(v)>(compute_cast<decltype(v)>(value)); });
  return t;
}

Tensor arange(int64_t n, DType dtype) {
  Tensor t = Tensor::empty({n}, dtype);
  dispatch_all(dtype, [&](auto v) {
    auto values = t.span<decltype(v)>();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<decltype(v)>(compute_cast<decltype(v)>(int64_t(i)));
  });
  return t;
}

template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape) {
  check<ShapeError>(int64_t(values.size()) == shape.numel(), "tensor", "{} values for shape {}", values.size(), shape);
  Tensor t = Tensor::empty(shape, dtype_of<T>());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}
template Tensor tensor(std::span<const float>, const Shape&);
template Tensor tensor(std::span<const bf16>, const Shape&);
template Tensor tensor(std::span<const double>, const Shape&);
template Tensor tensor(std::span<const int64_t>, const Shape&);
template Tensor tensor(std::span<const uint8_t>, const Shape&);

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "undefined";
  std::string text = to_string(t.dtype()) + " " + to_string(t.shape()) + " {";
  const auto values = t.to_vector();
  constexpr size_t kShown = 8;
  for (size_t i = 0; i < std::min(values.size(), kShown); ++i) text += (i ? ", " : "") + detail::to_text(values[i]);
  return text + (values.size() > kShown ? ", ...}" : "}");
}

}  // namespace vitrail
