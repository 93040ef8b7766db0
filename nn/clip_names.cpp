#include "nn/clip_names.h"

#include "nn/layouts/table.h"

namespace vitrail::nn {

TensorMap to_openai_clip(const TensorMap& ours) { return to_layout(kOpenClipLayout, ours).weights; }
TensorMap from_openai_clip(const TensorMap& openais) { return from_layout(kOpenClipLayout, openais).weights; }

}  // namespace vitrail::nn
