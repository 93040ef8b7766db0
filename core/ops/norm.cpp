#include "vitrail/core/ops/norm.h"

#include "vitrail/core/kernels/rows.h"

#include <cmath>

namespace vitrail::core {
namespace {

/// A weight or bias as one dense run of the compute type.
Tensor channel_values(const char* op, const char* name, const Tensor& t, int64_t channels, DType dtype) {
  check<ShapeError>(t.defined() && t.shape() == Shape{channels}, op, "{} is {}, it must be [{}]", name,
                    t.defined() ? to_string(t.shape()) : "undefined", channels);
  return t.to(compute_dtype(dtype)).contiguous();
}

int64_t last_size(const char* op, const Tensor& x) {
  check<ShapeError>(x.rank() > 0, op, "x needs at least one axis, it is {}", x.shape());
  return x.size(-1);
}

void check_gradient(const char* op, const Tensor& dy, const Tensor& x) {
  check<ShapeError>(dy.shape() == x.shape(), op, "dy is {}, x is {}", dy.shape(), x.shape());
}

/// Checks a statistic that the forward kept: one number for each row or channel.
void check_statistics(const char* op, const char* name, const Tensor& t, const Shape& shape) {
  check<ShapeError>(t.shape() == shape, op, "{} is {}; needs {}", name, t.shape(), shape);
}

/// dx row by row, and the weight and bias gradients, summed in parts that do not depend on the thread count.
/// kernel(row, dy, x, dx, dw, db) writes dx and adds to dw and db.
template <class C, class Kernel>
NormGrads backward(const Tensor& dy, const Tensor& x, Kernel&& kernel) {
  const int64_t n = x.size(-1);
  NormGrads g{Tensor::empty(x.shape(), x.dtype()), zeros({n}, dtype_of<C>()), zeros({n}, dtype_of<C>())};
  const Rows<C> dy_rows(dy), x_rows(x);
  Rows<C> dx_rows(g.x);
  const int64_t rows = x_rows.count(), rows_per_part = std::max<int64_t>(16, (rows + 63) / 64);
  const int64_t parts = (rows + rows_per_part - 1) / rows_per_part;
  std::vector<C> partial(size_t(parts * 2 * n), C(0));
  parallel_for(rows, rows_per_part, [&](int64_t begin, int64_t end) {
    C* dw = partial.data() + begin / rows_per_part * 2 * n;
    Buffers<C> buffers(3, n);
    for (int64_t row = begin; row < end; ++row) {
      C* dx = dx_rows.place(row, buffers[2]);
      kernel(row, dy_rows.read(row, buffers[0]), x_rows.read(row, buffers[1]), dx, dw, dw + n);
      dx_rows.write(row, dx);
    }
  });
  for (int64_t i = 0; i < n; ++i) {
    double dw = 0, db = 0;
    for (int64_t part = 0; part < parts; ++part) {
      dw += partial[size_t(part * 2 * n + i)];
      db += partial[size_t(part * 2 * n + n + i)];
    }
    g.weight.data<C>()[i] = C(dw);
    g.bias.data<C>()[i] = C(db);
  }
  return g;
}

/// Views x [B, C, H, W] or [B, C] as rows, first all rows of channel 0, then all rows of channel 1, and so on.
Tensor by_channel(const char* op, const Tensor& x) {
  check<ShapeError>(x.rank() == 2 || x.rank() == 4, op, "x is {}, it must be [B, C, H, W] or [B, C]", x.shape());
  if (x.rank() == 2) return x.transpose(0, 1);
  return x.contiguous().reshape({x.size(0), x.size(1), x.size(2) * x.size(3)}).transpose(0, 1);
}

/// fn(channel, first row, end row, buffers) for each channel.
template <class C, class F>
void for_each_channel(const Rows<C>& rows, int64_t channels, F&& fn) {
  const int64_t each = channels ? rows.count() / channels : 0;
  parallel_for(channels, rows_per_chunk(each * rows.length()), [&](int64_t begin, int64_t end) {
    Buffers<C> buffers(3, rows.length());
    for (int64_t c = begin; c < end; ++c) fn(c, c * each, (c + 1) * each, buffers);
  });
}

/// y = x scale[c] + offset[c].
template <class C>
void scale_channels(const Rows<C>& x, Rows<C> y, const std::vector<double>& scale, const std::vector<double>& offset) {
  for_each_channel(x, int64_t(scale.size()), [&](int64_t c, int64_t begin, int64_t end, Buffers<C>& buffers) {
    for (int64_t row = begin; row < end; ++row) {
      C* out = y.place(row, buffers[1]);
      kernels::table<C>().affine(x.read(row, buffers[0]), C(scale[size_t(c)]), C(offset[size_t(c)]), out, x.length());
      y.write(row, out);
    }
  });
}

}  // namespace

LayerNormOut layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                        std::optional<DType> out_dtype) {
  const int64_t n = last_size("layer_norm", x);
  const Tensor w = channel_values("layer_norm", "weight", weight, n, x.dtype());
  const Tensor b = channel_values("layer_norm", "bias", bias, n, x.dtype());
  const Shape rows = x.shape().without(-1);
  const DType stats = compute_dtype(x.dtype());
  LayerNormOut out{Tensor::empty(x.shape(), out_dtype.value_or(x.dtype())), Tensor::empty(rows, stats),
                   Tensor::empty(rows, stats)};
  dispatch_compute(x.dtype(), "layer_norm", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({x}, {out.y}, [&](int64_t row, auto& in, auto& to) {
      kernels::table<C>().layer_norm(in[0], w.data<C>(), b.data<C>(), C(eps), to[0], out.mean.data<C>() + row,
                                     out.rstd.data<C>() + row, n);
    });
  });
  return out;
}

NormGrads layer_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                              const Tensor& rstd) {
  const int64_t n = last_size("layer_norm_backward", x);
  check_gradient("layer_norm_backward", dy, x);
  check_statistics("layer_norm_backward", "mean", mean, x.shape().without(-1));
  check_statistics("layer_norm_backward", "rstd", rstd, x.shape().without(-1));
  const Tensor w = channel_values("layer_norm_backward", "weight", weight, n, x.dtype());
  return dispatch_compute(x.dtype(), "layer_norm_backward", [&](auto c) {
    using C = decltype(c);
    const auto m = mean.span<C>(), r = rstd.span<C>();
    return backward<C>(dy, x, [&](int64_t row, const C* g, const C* in, C* dx, C* dw, C* db) {
      kernels::table<C>().layer_norm_backward(g, in, w.data<C>(), m[size_t(row)], r[size_t(row)], dx, dw, db, n);
    });
  });
}

LayerNormOut rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  const int64_t n = last_size("rms_norm", x);
  const Tensor w = channel_values("rms_norm", "weight", weight, n, x.dtype());
  LayerNormOut out{
      Tensor::empty(x.shape(), x.dtype()), {}, Tensor::empty(x.shape().without(-1), compute_dtype(x.dtype()))};
  dispatch_compute(x.dtype(), "rms_norm", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({x}, {out.y}, [&](int64_t row, auto& in, auto& to) {
      kernels::table<C>().rms_norm(in[0], w.data<C>(), C(eps), to[0], out.rstd.data<C>() + row, n);
    });
  });
  return out;
}

NormGrads rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd) {
  const int64_t n = last_size("rms_norm_backward", x);
  check_gradient("rms_norm_backward", dy, x);
  check_statistics("rms_norm_backward", "rstd", rstd, x.shape().without(-1));
  const Tensor w = channel_values("rms_norm_backward", "weight", weight, n, x.dtype());
  return dispatch_compute(x.dtype(), "rms_norm_backward", [&](auto c) {
    using C = decltype(c);
    const auto r = rstd.span<C>();
    NormGrads g = backward<C>(dy, x, [&](int64_t row, const C* dy_row, const C* in, C* dx, C* dw, C*) {
      kernels::table<C>().rms_norm_backward(dy_row, in, w.data<C>(), r[size_t(row)], dx, dw, n);
    });
    g.bias = {};
    return g;
  });
}

BatchNormOut batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  const Tensor in = by_channel("batch_norm", x);
  const int64_t channels = x.size(1), count = channels ? x.numel() / channels : 0;
  check<ShapeError>(count > 0 || channels == 0, "batch_norm", "x {} has no elements to average", x.shape());
  BatchNormOut out;
  out.mean = Tensor::empty({channels}, compute_dtype(x.dtype()));
  out.var = Tensor::empty({channels}, compute_dtype(x.dtype()));
  dispatch_compute(x.dtype(), "batch_norm", [&](auto v) {
    using C = decltype(v);
    const Rows<C> rows(in);
    for_each_channel(rows, channels, [&](int64_t c, int64_t begin, int64_t end, Buffers<C>& buffers) {
      double total = 0, squares = 0;
      for (int64_t row = begin; row < end; ++row)
        total += kernels::table<C>().sum(rows.read(row, buffers[0]), rows.length());
      const C mean = C(total / double(count));
      for (int64_t row = begin; row < end; ++row)
        squares += kernels::table<C>().squared_distance(rows.read(row, buffers[0]), mean, rows.length());
      out.mean.data<C>()[c] = mean;
      out.var.data<C>()[c] = C(squares / double(count));
    });
  });
  out.y = batch_norm_eval(x, weight, bias, out.mean, out.var, eps);
  return out;
}

Tensor batch_norm_eval(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean, const Tensor& var,
                       double eps) {
  const Tensor in = by_channel("batch_norm", x);
  const int64_t channels = x.size(1);
  std::array<std::vector<double>, 4> values;
  size_t i = 0;
  for (const auto& [name, t] : {std::pair{"weight", &weight}, {"bias", &bias}, {"mean", &mean}, {"var", &var}})
    values[i++] = channel_values("batch_norm", name, *t, channels, x.dtype()).to_vector();
  auto& [scale, offset, centre, variance] = values;
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] /= std::sqrt(variance[c] + eps);
    offset[c] -= centre[c] * scale[c];
  }
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_compute(x.dtype(), "batch_norm", [&](auto v) {
    using C = decltype(v);
    scale_channels(Rows<C>(in), Rows<C>(by_channel("batch_norm", y)), values[0], values[1]);
  });
  return y;
}

NormGrads batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                              const Tensor& var, double eps) {
  check_gradient("batch_norm_backward", dy, x);
  const Tensor in = by_channel("batch_norm_backward", x), dy_in = by_channel("batch_norm_backward", dy);
  const int64_t channels = x.size(1);
  check_statistics("batch_norm_backward", "mean", mean, {channels});
  check_statistics("batch_norm_backward", "var", var, {channels});
  const double count = channels ? double(x.numel()) / double(channels) : 0;
  const Tensor w = channel_values("batch_norm_backward", "weight", weight, channels, x.dtype());
  const DType dtype = compute_dtype(x.dtype());
  NormGrads g{Tensor::empty(x.shape(), x.dtype()), Tensor::empty({channels}, dtype), Tensor::empty({channels}, dtype)};
  dispatch_compute(x.dtype(), "batch_norm_backward", [&](auto v) {
    using C = decltype(v);
    const auto& table = kernels::table<C>();
    const Rows<C> rows(in), dy_rows(dy_in);
    Rows<C> dx_rows(by_channel("batch_norm_backward", g.x));
    const auto means = mean.span<C>(), vars = var.span<C>();
    // With h = (x - mean) rstd: dx = weight rstd (dy - mean(dy) - h mean(dy h)), linear in dy and x.
    for_each_channel(rows, channels, [&](int64_t c, int64_t begin, int64_t end, Buffers<C>& buffers) {
      const int64_t n = rows.length();
      const double centre = means[size_t(c)], rstd = 1 / std::sqrt(double(vars[size_t(c)]) + eps);
      double sum_dy = 0, sum_dyx = 0;
      for (int64_t row = begin; row < end; ++row) {
        const C* d = dy_rows.read(row, buffers[0]);
        sum_dy += table.sum(d, n);
        sum_dyx += table.dot(d, rows.read(row, buffers[1]), n);
      }
      const double sum_dyh = (sum_dyx - centre * sum_dy) * rstd;
      const double of_dy = double(w.data<C>()[c]) * rstd, of_x = -of_dy * rstd * sum_dyh / count;
      const double offset = -of_dy * sum_dy / count - of_x * centre;
      for (int64_t row = begin; row < end; ++row) {
        C* dx = dx_rows.place(row, buffers[2]);
        table.blend(dy_rows.read(row, buffers[0]), C(of_dy), rows.read(row, buffers[1]), C(of_x), C(offset), dx, n);
        dx_rows.write(row, dx);
      }
      g.weight.data<C>()[c] = C(sum_dyh);
      g.bias.data<C>()[c] = C(sum_dy);
    });
  });
  return g;
}

L2NormOut l2_normalize(const Tensor& x, double eps) {
  const int64_t n = last_size("l2_normalize", x);
  L2NormOut out{Tensor::empty(x.shape(), x.dtype()), Tensor::empty(x.shape().without(-1), compute_dtype(x.dtype()))};
  dispatch_compute(x.dtype(), "l2_normalize", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({x}, {out.y}, [&](int64_t row, auto& in, auto& to) {
      const double norm = std::sqrt(kernels::table<C>().dot(in[0], in[0], n));
      kernels::table<C>().affine(in[0], C(1 / std::max(norm, eps)), 0, to[0], n);
      out.norm.data<C>()[row] = C(norm);
    });
  });
  return out;
}

Tensor l2_norm(const Tensor& x) {
  const int64_t n = last_size("l2_norm", x);
  Tensor norm = Tensor::empty(x.shape().without(-1), compute_dtype(x.dtype()));
  dispatch_compute(x.dtype(), "l2_norm", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 0>({x}, {}, [&](int64_t row, auto& in, auto&) {
      norm.data<C>()[row] = C(std::sqrt(kernels::table<C>().dot(in[0], in[0], n)));
    });
  });
  return norm;
}

WeightNorm weight_norm(const Tensor& v, const Tensor& g, DType type) {
  check<ShapeError>(v.rank() == 2, "weight_norm", "v is {}; needs [out, in]", v.shape());
  const int64_t n = v.size(1);
  const Tensor lengths = channel_values("weight_norm", "g", g.reshape({-1}), v.size(0), v.dtype());
  WeightNorm out{Tensor::empty(v.shape(), type), Tensor::empty({v.size(0)}, compute_dtype(v.dtype()))};
  dispatch_compute(v.dtype(), "weight_norm", [&](auto c) {
    using C = decltype(c);
    for_each_row<C, 1, 1>({v}, {out.w}, [&](int64_t row, auto& in, auto& to) {
      const double norm = std::sqrt(kernels::table<C>().dot(in[0], in[0], n));
      kernels::table<C>().affine(in[0], C(double(lengths.data<C>()[row]) / norm), 0, to[0], n);
      out.norm.data<C>()[row] = C(norm);
    });
  });
  return out;
}

Tensor weight_norm_backward_(Tensor& dw, const Tensor& v, const Tensor& g, const Tensor& norm) {
  check<ShapeError>(v.rank() == 2 && dw.shape() == v.shape() && dw.dtype() == v.dtype() && dw.is_contiguous(),
                    "weight_norm_backward_", "dw is {} {}, v is {} {}; needs two dense matrices of one type",
                    dw.dtype(), dw.shape(), v.dtype(), v.shape());
  const int64_t n = v.size(1);
  check_statistics("weight_norm_backward_", "norm", norm, {v.size(0)});
  const Tensor lengths = channel_values("weight_norm_backward_", "g", g.reshape({-1}), v.size(0), v.dtype());
  Tensor dg = Tensor::empty(g.shape(), compute_dtype(v.dtype()));
  dispatch_compute(v.dtype(), "weight_norm_backward_", [&](auto c) {
    using C = decltype(c);
    const auto norms = norm.span<C>();
    for_each_row<C, 2, 1>({dw, v}, {dw}, [&](int64_t row, auto& in, auto& to) {
      const double length = norms[size_t(row)], along = kernels::table<C>().dot(in[0], in[1], n) / length;
      const double scale = double(lengths.data<C>()[row]) / length;
      kernels::table<C>().blend(in[0], C(scale), in[1], C(-scale * along / length), 0, to[0], n);
      dg.data<C>()[row] = C(along);
    });
  });
  return dg;
}

Tensor l2_normalize_backward(const Tensor& dy, const Tensor& y, const Tensor& norm, double eps) {
  const int64_t n = last_size("l2_normalize_backward", y);
  check<ShapeError>(dy.shape() == y.shape(), "l2_normalize_backward", "dy is {}, y is {}", dy.shape(), y.shape());
  check_statistics("l2_normalize_backward", "norm", norm, y.shape().without(-1));
  Tensor dx = Tensor::empty(y.shape(), y.dtype());
  dispatch_compute(y.dtype(), "l2_normalize_backward", [&](auto c) {
    using C = decltype(c);
    const auto norms = norm.span<C>();
    for_each_row<C, 2, 1>({dy, y}, {dx}, [&](int64_t row, auto& in, auto& to) {
      const double length = norms[size_t(row)];
      const double along = length > eps ? kernels::table<C>().dot(in[0], in[1], n) : 0;  // below eps y = x / eps
      const double scale = 1 / std::max(length, eps);
      kernels::table<C>().blend(in[0], C(scale), in[1], C(-along * scale), 0, to[0], n);
    });
  });
  return dx;
}

}  // namespace vitrail::core
