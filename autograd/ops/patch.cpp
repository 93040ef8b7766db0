#include "vitrail/autograd/ops/image.h"

namespace vitrail::ag {

Var patchify(const Var& images, int64_t patch_size) {
  return record("patchify", core::patchify(images.value(), patch_size), {images},
                [patch_size, shape = images.shape()](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::unpatchify(dy, patch_size, shape));
                });
}

Var unpatchify(const Var& patches, int64_t patch_size, const Shape& image_shape) {
  return record("unpatchify", core::unpatchify(patches.value(), patch_size, image_shape), {patches},
                [patch_size](const Tensor& dy, Sink& dx) { dx.add(0, core::patchify(dy, patch_size)); });
}

Var interpolate(const Var& x, Grid size, Interpolation mode) {
  return record("interpolate", core::interpolate(x.value(), size, mode), {x},
                [from = Grid{x.size(2), x.size(3)}, mode](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::interpolate_backward(dy, from, mode));
                });
}

Var resample_positions(const Var& table, Grid from, Grid to, PosInterp mode) {
  return record("resample_positions", core::resample_positions(table.value(), from, to, mode), {table},
                [from, to, mode](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::resample_positions_backward(dy, from, to, mode));
                });
}

}  // namespace vitrail::ag
