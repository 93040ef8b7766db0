#include "vitrail/recipes/models/model_family.h"

#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/vit_json.h"

#include <algorithm>

namespace vitrail::recipes {

std::span<const ModelFamily> model_families() {
  static const ModelFamily families[] = {
      {nn::Family::vit, "ViT", vit_model_types(), vit_from_weights},
      {nn::Family::clip, "CLIP", clip_model_types(), clip_from_weights},
  };
  return families;
}

const ModelFamily& model_family(nn::Family family) {
  const auto families = model_families();
  return *std::find_if(families.begin(), families.end(), [&](const ModelFamily& f) { return f.family == family; });
}

std::unique_ptr<nn::Backbone> Architecture::untrained(uint64_t seed) const {
  return std::make_unique<nn::VisionTransformer>(nn::Scope(seed), vision());
}

nn::Unwritten Architecture::unwritten() const {
  nn::Unwritten result{.num_heads = vision().num_heads,
                       .ln_eps = vision().ln_eps,
                       .gelu = vision().gelu,
                       .pos_interp = vision().pos_interp};
  if (text()) result.text_num_heads = text()->num_heads;
  return result;
}

}  // namespace vitrail::recipes
