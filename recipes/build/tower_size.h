// The size of a published tower, changed by a recipe.
#pragma once

namespace vitrail::recipes {

/// Copies the sizes that a section of a recipe gives to the configuration of a tower (nn::VitConfig, nn::TextConfig).
/// A null keeps the published size.
template <class Tower, class Section>
void override_size(Tower& tower, const Section& section) {
  tower.embed_dim = section.embed_dim.value_or(tower.embed_dim);
  tower.depth = section.depth.value_or(tower.depth);
  tower.num_heads = section.num_heads.value_or(tower.num_heads);
  if constexpr (requires { tower.patch_size, section.patch_size; }) {
    tower.patch_size = section.patch_size.value_or(tower.patch_size);
    tower.mlp_ratio = section.mlp_ratio.value_or(tower.mlp_ratio);
  }
}

}  // namespace vitrail::recipes
