// The `model:` section of a recipe, and the backbone that it describes.
#pragma once

#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/build/lora.h"
#include "vitrail/recipes/config/fields.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

/// A published model by name, and the changes that the recipe makes to it. A null keeps the published value.
struct ModelConfig {
  std::string arch = "vit_small";
  std::optional<int64_t> patch_size, embed_dim, depth, num_heads;
  std::optional<double> mlp_ratio;
  double drop_rate = 0;
  double drop_path_rate = 0;
  bool drop_path_uniform = false;
  nn::DropPathMode drop_path_mode = nn::DropPathMode::mask;
  double layerscale_init = 0;
  nn::Pool global_pool = nn::Pool::token;
  bool distilled = false;
  int64_t num_registers = 0;
  bool mask_token = false;
  nn::Ffn ffn = nn::Ffn::mlp;
  ag::Gelu gelu = ag::Gelu::erf;
  double ln_eps = 1e-6;
  bool pre_norm = false;
  ag::PosInterp pos_interp = ag::PosInterp::size;
  nn::PosEmbed pos = nn::PosEmbed::cls_and_patches;  // or rope
  int64_t window = 0, global_every = 0;
  std::optional<int64_t> width;
  bool small_images = false;
  bool checkpoint = false;
  std::vector<std::string> freeze;

  void describe(Fields& f);
};

/// The rules by which positions are resampled for another image size, by name.
std::span<const Named<ag::PosInterp>> position_rules();
std::string_view name_of(ag::PosInterp rule);

/// The value of arch that stands for the architecture of the initial weights, see settle_architecture.
inline constexpr std::string_view kFromInit = "from_init";

/// The names of the architectures that a recipe can build.
std::vector<std::string> architectures();

/// The configuration of a vision transformer. Throws ConfigError for a ResNet or an unknown name.
nn::VitConfig vit_config(const ModelConfig& config, int64_t img_size, int64_t num_classes);
/// Throws ConfigError for an unknown name, or a size that does not fit the architecture.
std::unique_ptr<nn::Backbone> build_model(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                          int64_t num_classes);
/// The same, with the adapters of lora, and with the parameters of config.freeze frozen. Throws ConfigError also as
/// LoraSection::adapt().
std::unique_ptr<nn::Backbone> build_trained_model(const nn::Scope& scope, const ModelConfig& config,
                                                  const LoraSection& lora, int64_t img_size, int64_t num_classes);

}  // namespace vitrail::recipes
