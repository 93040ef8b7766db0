// The `model:` section of a recipe, and the backbone it asks for.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/recipes/config/fields.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// A published model by name, with what the recipe changes of it; what is null is as the name says.
struct ModelConfig {
  std::string arch = "vit_small";
  std::optional<int64_t> patch_size, embed_dim, depth, num_heads;
  std::optional<double> mlp_ratio;
  double drop_rate = 0;
  double drop_path_rate = 0;
  double layerscale_init = 0;
  std::string global_pool = "token";
  bool distilled = false;
  int64_t num_registers = 0;
  std::string ffn = "mlp";
  std::string pos_interp = "size";
  std::optional<int64_t> width;
  bool small_images = false;
  bool checkpoint = false;

  void describe(Fields& f);
};

/// The published models that arch may name.
std::vector<std::string> architectures();

/// Throws ConfigError for an unknown name, or a size that does not fit the architecture.
std::unique_ptr<nn::Backbone> build_model(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                          int64_t num_classes);

}  // namespace vitrail::recipes
