// The methods of the library. Adding one is a line here.
#include "vitrail/recipes/methods/clip.h"
#include "vitrail/recipes/methods/dino.h"
#include "vitrail/recipes/methods/dinov2.h"
#include "vitrail/recipes/methods/llava.h"
#include "vitrail/recipes/methods/lm.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/run/registry.h"

namespace vitrail::recipes {

std::span<const Method> built_in_methods() {
  static const Method methods[] = {
      {"supervised", [] { return std::make_unique<SupervisedConfig>(); }},
      {"dino", [] { return std::make_unique<DinoConfig>(); }},
      {"dinov2", [] { return std::make_unique<Dinov2Config>(); }},
      {"clip", [] { return std::make_unique<ClipConfig>(); }},
      {"llava", [] { return std::make_unique<LlavaConfig>(); }},
      {"lm", [] { return std::make_unique<LmConfig>(); }},
  };
  return methods;
}

}  // namespace vitrail::recipes
