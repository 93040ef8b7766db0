#include "vitrail/nn/weights/clip_names.h"

#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {

TensorMap to_openai_clip(const TensorMap& ours) { return to_layout(kOpenClipLayout, ours).weights; }
TensorMap from_openai_clip(const TensorMap& openais) { return from_layout(kOpenClipLayout, openais).weights; }

}  // namespace vitrail::nn
