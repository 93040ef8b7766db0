#include "vitrail/nn/pixel_shuffle.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {

ag::Var pixel_shuffle(const ag::Var& x, ag::Grid grid, int64_t factor) {
  const auto [height, width] = grid;
  check<ShapeError>(x.rank() == 3 && x.size(1) == height * width, "pixel_shuffle", "x is {}; needs [B, {} x {}, C]",
                    x.shape(), height, width);
  check<ShapeError>(factor > 0 && height % factor == 0 && width % factor == 0, "pixel_shuffle",
                    "a grid of {} x {} tokens is not made of squares of {} x {}", height, width, factor, factor);
  const int64_t batch = x.size(0), rows = height / factor, columns = width / factor;
  const ag::Var squares = reshape(x, {batch, rows, factor, columns, factor, x.size(2)});
  return reshape(permute(squares, {0, 1, 3, 2, 4, 5}), {batch, rows * columns, factor * factor * x.size(2)});
}

}  // namespace vitrail::nn
