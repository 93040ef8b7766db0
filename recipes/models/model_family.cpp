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
  const nn::VitConfig& v = vision();
  nn::Unwritten result{.num_heads = v.num_heads, .ln_eps = v.ln_eps, .gelu = v.gelu, .pos_interp = v.pos_interp};
  if (v.pool == nn::Pool::avg && v.class_token && !v.fc_norm) result.pool = v.pool;  // else the weights show it
  if (v.norm_after_pool) result.norm_after_pool = true;
  if (const nn::TextConfig* const t = text()) {
    result.text_num_heads = t->num_heads;
    if (t->ln_eps != v.ln_eps) result.text_ln_eps = t->ln_eps;
    if (t->gelu != v.gelu) result.text_gelu = t->gelu;
    if (!t->causal) result.causal = false;
    if (t->pool != nn::TextPool::argmax) result.text_pool = t->pool;
  }
  return result;
}

}  // namespace vitrail::recipes
