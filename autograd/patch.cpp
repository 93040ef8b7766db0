#include "vitrail/autograd/ops.h"

namespace vitrail::ag {

Var patchify(const Var& images, int64_t patch_size) {
  return record("patchify", core::patchify(images.value(), patch_size), {images},
                [patch_size, shape = images.shape()](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::unpatchify(dy, patch_size, shape));
                });
}

Var resample_positions(const Var& table, Grid from, Grid to, PosInterp mode) {
  return record("resample_positions", core::resample_positions(table.value(), from, to, mode), {table},
                [from, to, mode](const Tensor& dy, Sink& dx) {
                  dx.add(0, core::resample_positions_backward(dy, from, to, mode));
                });
}

}  // namespace vitrail::ag
