#include "vitrail/core/ops/window_attention.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/rows.h"
#include "vitrail/core/parallel.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace vitrail::core {
namespace {

/// Elements of q that the windows of one chunk have, for each thread. A chunk is copied, computed and copied back while
/// it is in the cache, so that no second copy of q, k and v exists.
constexpr int64_t kChunkElements = 1 << 17;

/// A part of an axis of the grid: `count` windows of `size` patches each, from `begin` on.
struct AxisPart {
  int64_t begin, count, size;
};
std::vector<AxisPart> axis_parts(int64_t extent, int64_t side) {
  std::vector<AxisPart> parts;
  const int64_t rest = extent % side;
  if (extent >= side) parts.push_back({0, extent / side, side});
  if (rest > 0) parts.push_back({extent - rest, 1, rest});
  return parts;
}

/// The windows of one shape.
struct WindowGroup {
  AxisPart rows, columns;

  int64_t count() const { return rows.count * columns.count; }
  int64_t patches() const { return rows.size * columns.size; }
  /// fn(token, patch) for the patches of a window, in order.
  template <class F>
  void for_each_patch(const Windows& windows, int64_t window, F&& fn) const {
    const int64_t top = rows.begin + window / columns.count * rows.size;
    const int64_t left = columns.begin + window % columns.count * columns.size;
    int64_t patch = 0;
    for (int64_t y = top; y < top + rows.size; ++y)
      for (int64_t x = left; x < left + columns.size; ++x) fn(windows.prefix + y * windows.grid.width + x, patch++);
  }
};
std::vector<WindowGroup> window_groups(const Windows& windows) {
  std::vector<WindowGroup> all;
  for (const AxisPart& rows : axis_parts(windows.grid.height, windows.side))
    for (const AxisPart& columns : axis_parts(windows.grid.width, windows.side)) all.push_back({rows, columns});
  return all;
}

/// Windows first .. first + n - 1 of a group, counted over all images.
struct WindowChunk {
  const Windows& windows;
  const WindowGroup& group;
  int64_t first, n;

  int64_t image(int64_t i) const { return (first + i) / group.count(); }
  /// fn(image, token, i, head, patch) for all patches of the chunk's windows i and all heads, on all threads.
  template <class F>
  void for_each_patch(int64_t heads, F&& fn) const {
    parallel_for(n * heads, 1, [&](int64_t task, int64_t) {
      const int64_t i = task / heads, head = task % heads;
      group.for_each_patch(windows, (first + i) % group.count(),
                           [&](int64_t token, int64_t patch) { fn(image(i), token, i, head, patch); });
    });
  }
};

/// Rows of a tensor [B, H, T, D] with dense rows.
template <class T>
T* token_row(const Tensor& t, int64_t image, int64_t head, int64_t token) {
  const int64_t offset = image * t.stride(0) + head * t.stride(1) + token * t.stride(2);
  return reinterpret_cast<T*>(const_cast<std::byte*>(t.raw())) + offset;
}

/// x [B, H, T, D] -> to [n, H, prefix + patches, D], or without the prefix tokens if `to` has no room for them.
template <class T>
void gather_windows(const WindowChunk& c, const Tensor& x, const Tensor& to) {
  const int64_t prefix = to.size(2) - c.group.patches();
  const auto bytes = size_t(x.size(3)) * sizeof(T);
  for (int64_t i = 0; i < c.n; ++i)
    for (int64_t head = 0; head < x.size(1); ++head)
      for (int64_t p = 0; p < prefix; ++p)
        std::memcpy(token_row<T>(to, i, head, p), token_row<T>(x, c.image(i), head, p), bytes);
  c.for_each_patch(x.size(1), [&](int64_t image, int64_t token, int64_t i, int64_t head, int64_t patch) {
    std::memcpy(token_row<T>(to, i, head, prefix + patch), token_row<T>(x, image, head, token), bytes);
  });
}
/// from [n, H, patches, D] -> the patches' rows of x [B, H, T, D].
template <class T>
void scatter_windows(const WindowChunk& c, const Tensor& from, const Tensor& x) {
  const auto bytes = size_t(x.size(3)) * sizeof(T);
  c.for_each_patch(x.size(1), [&](int64_t image, int64_t token, int64_t i, int64_t head, int64_t patch) {
    std::memcpy(token_row<T>(x, image, head, token), token_row<T>(from, i, head, patch), bytes);
  });
}
template <class T, class From>
void add_token(const From* from, T* to, int64_t n) {
  for (int64_t j = 0; j < n; ++j)
    to[j] = T(compute_cast<T>(compute_cast<compute_t<T>>(to[j]) + compute_cast<compute_t<T>>(from[j])));
}
/// Adds the gradients of a chunk's keys or values, `from` [n, H, prefix + patches, D]. Those of patches go to x
/// [B, H, T, D]. All windows share the prefix tokens, so theirs go to `shared` [B, H, prefix, D], in the compute type.
template <class T>
void add_windows(const WindowChunk& c, const Tensor& from, const Tensor& x, const Tensor& shared) {
  const int64_t prefix = shared.size(2), dim = x.size(3);
  c.for_each_patch(x.size(1), [&](int64_t image, int64_t token, int64_t i, int64_t head, int64_t patch) {
    add_token(token_row<const T>(from, i, head, prefix + patch), token_row<T>(x, image, head, token), dim);
  });
  parallel_for(x.size(1), 1, [&](int64_t head, int64_t) {  // windows add in their order, whatever the threads
    for (int64_t i = 0; i < c.n; ++i)
      for (int64_t p = 0; p < prefix; ++p)
        add_token(token_row<const T>(from, i, head, p), token_row<compute_t<T>>(shared, c.image(i), head, p), dim);
  });
}
/// Adds the finished gradients of prefix tokens to x.
template <class T>
void add_shared(const Tensor& shared, const Tensor& x) {
  for (int64_t image = 0; image < x.size(0); ++image)
    for (int64_t head = 0; head < x.size(1); ++head)
      for (int64_t p = 0; p < shared.size(2); ++p)
        add_token(token_row<const compute_t<T>>(shared, image, head, p), token_row<T>(x, image, head, p), x.size(3));
}

void check_windows(const Tensor& q, const Tensor& k, const Tensor& v, const Windows& w, std::string_view op) {
  check<ShapeError>(w.side > 0 && w.prefix >= 0 && w.grid.height > 0 && w.grid.width > 0, op,
                    "windows of side {} over {} x {} patches after {} tokens; needs a positive side and one patch",
                    w.side, w.grid.height, w.grid.width, w.prefix);
  check<ShapeError>(q.rank() == 4 && q.size(2) == w.tokens() && q.size(3) > 0, op,
                    "q is {}; needs [B, H, {}, D]: {} tokens and {} x {} patches", q.shape(), w.tokens(), w.prefix,
                    w.grid.height, w.grid.width);
  for (const Tensor* t : {&k, &v})
    check<ShapeError>(t->shape() == q.shape() && t->dtype() == q.dtype(), op, "q is {} {}, k is {} {}, v is {} {}",
                      q.dtype(), q.shape(), k.dtype(), k.shape(), v.dtype(), v.shape());
  for (const Tensor* t : {&q, &k, &v})
    check<ShapeError>(t->stride(3) == 1 || t->size(3) == 1, op, "rows of q, k and v must be dense");
}

/// [B, T, H * D] as [B, H, T, D].
Tensor rows_by_heads(const Tensor& t, int64_t heads) {
  return t.reshape({t.size(0), t.size(1), heads, t.size(2) / heads}).transpose(1, 2);
}

/// fn(chunk, lse) for all chunks; lse is the chunk's part [n, H, patches] of all.
template <class F>
void for_each_window_chunk(const Tensor& q, const Windows& windows, const Tensor& lse, F&& fn) {
  const int64_t batch = q.size(0), heads = q.size(1);
  int64_t done = batch * heads * windows.prefix;  // the prefix tokens come first
  for (const WindowGroup& group : window_groups(windows)) {
    const int64_t all = batch * group.count(), of_window = heads * group.patches();
    const int64_t most = std::max<int64_t>(kChunkElements * num_threads() / (of_window * q.size(3)), 1);
    for (int64_t first = 0; first < all; first += most) {
      const int64_t n = std::min(most, all - first);
      fn(WindowChunk{windows, group, first, n},
         lse.slice(0, done, done + n * of_window).reshape({n, heads, group.patches()}));
      done += n * of_window;
    }
  }
}
/// The part of lse that belongs to the prefix tokens, [B, H, prefix].
Tensor prefix_lse(const Tensor& lse, const Tensor& q, const Windows& windows) {
  return lse.slice(0, 0, q.size(0) * q.size(1) * windows.prefix).reshape({q.size(0), q.size(1), windows.prefix});
}

}  // namespace

AttentionOut window_attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Windows& windows) {
  check_windows(q, k, v, windows, "window_attention");
  const int64_t batch = q.size(0), heads = q.size(1), tokens = q.size(2), dim = q.size(3);
  const AttentionOptions options{.scale = scale};
  AttentionOut out{Tensor::empty({batch, tokens, heads * dim}, q.dtype()),
                   Tensor::empty({batch * heads * tokens}, compute_dtype(q.dtype()))};
  if (windows.prefix > 0) {
    const AttentionOut of_prefix = attention(q.slice(2, 0, windows.prefix), k, v, options);
    out.y.slice(1, 0, windows.prefix).copy_(of_prefix.y);
    prefix_lse(out.lse, q, windows).copy_(of_prefix.lse);
  }
  const Tensor y = rows_by_heads(out.y, heads);
  dispatch_floating(q.dtype(), "window_attention", [&](auto zero) {
    using T = decltype(zero);
    for_each_window_chunk(q, windows, out.lse, [&](const WindowChunk& c, Tensor lse) {
      const int64_t patches = c.group.patches();
      const Tensor queries = Tensor::empty({c.n, heads, patches, dim}, q.dtype());
      const Tensor keys = Tensor::empty({c.n, heads, windows.prefix + patches, dim}, q.dtype());
      const Tensor values = Tensor::empty(keys.shape(), q.dtype());
      gather_windows<T>(c, q, queries);
      gather_windows<T>(c, k, keys);
      gather_windows<T>(c, v, values);
      const AttentionOut of_chunk = attention(queries, keys, values, options);
      scatter_windows<T>(c, rows_by_heads(of_chunk.y, heads), y);
      lse.copy_(of_chunk.lse);
    });
  });
  return out;
}

void window_attention_backward(const Tensor& dy, const Tensor& q, const Tensor& k, const Tensor& v,
                               const AttentionOut& out, double scale, const Windows& windows, Tensor dq, Tensor dk,
                               Tensor dv) {
  check_windows(q, k, v, windows, "window_attention_backward");
  check_windows(dq, dk, dv, windows, "window_attention_backward");
  check<ShapeError>(dy.shape() == out.y.shape() && dy.dtype() == q.dtype() && dq.shape() == q.shape(),
                    "window_attention_backward", "dy is {} {}, y is {} {}, dq is {}, q is {}", dy.dtype(), dy.shape(),
                    out.y.dtype(), out.y.shape(), dq.shape(), q.shape());
  const int64_t batch = q.size(0), heads = q.size(1), dim = q.size(3), prefix = windows.prefix;
  const AttentionOptions options{.scale = scale};
  if (prefix > 0) {  // writes dk and dv of all tokens; the windows add theirs
    const Tensor dy_prefix = dy.slice(1, 0, prefix).contiguous();
    attention_backward(dy_prefix, q.slice(2, 0, prefix), k, v, {dy_prefix, prefix_lse(out.lse, q, windows)}, options,
                       dq.slice(2, 0, prefix), dk, dv);
  } else {
    dk.zero_();
    dv.zero_();
  }
  const Tensor dy_rows = rows_by_heads(dy.contiguous(), heads);
  const Tensor dk_shared = zeros({batch, heads, prefix, dim}, compute_dtype(q.dtype()));
  const Tensor dv_shared = dk_shared.clone();
  dispatch_floating(q.dtype(), "window_attention_backward", [&](auto zero) {
    using T = decltype(zero);
    for_each_window_chunk(q, windows, out.lse, [&](const WindowChunk& c, const Tensor& lse) {
      const int64_t patches = c.group.patches();
      const auto of_queries = [&] { return Tensor::empty({c.n, heads, patches, dim}, q.dtype()); };
      const auto of_keys = [&] { return Tensor::empty({c.n, heads, prefix + patches, dim}, q.dtype()); };
      const Tensor queries = of_queries(), d_queries = of_queries(), keys = of_keys(), d_keys = of_keys(),
                   values = of_keys(), d_values = of_keys();
      const Tensor dy_chunk = Tensor::empty({c.n, patches, heads * dim}, q.dtype());
      gather_windows<T>(c, q, queries);
      gather_windows<T>(c, k, keys);
      gather_windows<T>(c, v, values);
      gather_windows<T>(c, dy_rows, rows_by_heads(dy_chunk, heads));
      attention_backward(dy_chunk, queries, keys, values, {dy_chunk, lse}, options, d_queries, d_keys, d_values);
      scatter_windows<T>(c, d_queries, dq);
      add_windows<T>(c, d_keys, dk, dk_shared);
      add_windows<T>(c, d_values, dv, dv_shared);
    });
    add_shared<T>(dk_shared, dk);
    add_shared<T>(dv_shared, dv);
  });
}

Tensor window_mask(const Windows& windows) {
  const int64_t tokens = windows.tokens();
  Tensor mask = zeros({1, 1, tokens, tokens}, DType::u8);
  uint8_t* const seen = mask.data<uint8_t>();
  std::fill_n(seen, windows.prefix * tokens, uint8_t(1));
  for (const WindowGroup& group : window_groups(windows))
    for (int64_t window = 0; window < group.count(); ++window)
      group.for_each_patch(windows, window, [&](int64_t query, int64_t) {
        std::fill_n(seen + query * tokens, windows.prefix, uint8_t(1));
        group.for_each_patch(windows, window, [&](int64_t key, int64_t) { seen[query * tokens + key] = 1; });
      });
  return mask;
}

int64_t window_pairs(const Windows& windows) {
  int64_t pairs = windows.prefix * windows.tokens();
  for (const WindowGroup& group : window_groups(windows))
    pairs += group.count() * group.patches() * (windows.prefix + group.patches());
  return pairs;
}

}  // namespace vitrail::core
