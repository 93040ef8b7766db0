#include "vitrail/recipes/models/random_model.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/suggest.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/vit_family.h"

#include <algorithm>

namespace vitrail::recipes {
namespace {

/// An image model: one of nn::vit_variants(), with its patch size and options.
struct Entry {
  std::string_view name, layout, variant;
  int64_t patch_size;
  bool registers = false;
};
constexpr Entry kEntries[] = {
    {"vit_tiny", "hf_vit", "vit_tiny", 16},
    {"vit_small", "hf_vit", "vit_small", 16},
    {"vit_base", "hf_vit", "vit_base", 16},
    {"vit_base_p32", "hf_vit", "vit_base", 32},
    {"vit_large", "hf_vit", "vit_large", 16},
    {"vit_huge", "hf_vit", "vit_huge", 14},
    {"deit_tiny", "hf_deit", "vit_tiny", 16},
    {"deit_small", "hf_deit", "vit_small", 16},
    {"deit_base", "hf_deit", "vit_base", 16},
    {"dino_vit_s16", "dino", "vit_small", 16},
    {"dino_vit_s8", "dino", "vit_small", 8},
    {"dino_vit_b16", "dino", "vit_base", 16},
    {"dino_vit_b8", "dino", "vit_base", 8},
    {"dinov2_vit_s14", "hf_dinov2", "vit_small", 14},
    {"dinov2_vit_b14", "hf_dinov2", "vit_base", 14},
    {"dinov2_vit_l14", "hf_dinov2", "vit_large", 14},
    {"dinov2_vit_g14", "hf_dinov2", "vit_giant", 14},
    {"dinov2_vit_s14_reg", "hf_dinov2", "vit_small", 14, true},
    {"dinov2_vit_b14_reg", "hf_dinov2", "vit_base", 14, true},
    {"dinov2_vit_l14_reg", "hf_dinov2", "vit_large", 14, true},
    {"dinov2_vit_g14_reg", "hf_dinov2", "vit_giant", 14, true},
};

/// OpenAI's models, with QuickGELU.
constexpr std::pair<std::string_view, std::string_view> kClips[] = {{"clip_vit_b32", "ViT-B-32-quickgelu"},
                                                                    {"clip_vit_b16", "ViT-B-16-quickgelu"},
                                                                    {"clip_vit_l14", "ViT-L-14-quickgelu"},
                                                                    {"clip_vit_l14_336", "ViT-L-14-336-quickgelu"}};

nn::VitConfig vit_config_of(const Entry& entry, int64_t num_classes) {
  const bool dinov2 = entry.layout == "hf_dinov2", giant = entry.variant == "vit_giant";
  nn::VitConfig c = nn::vit_variant(giant ? "vit_base" : entry.variant);
  c.patch_size = entry.patch_size;
  c.num_classes = num_classes;
  c.distilled = entry.layout == "hf_deit";
  c.pos_interp = nn::layout_named(entry.layout).pos_interp;
  if (!dinov2) return c;
  c.img_size = 518;
  c.layerscale_init = 1e-5;
  c.mask_token = true;
  if (num_classes > 0) c.pool = nn::Pool::token_and_avg;
  if (entry.registers) c.num_registers = 4, c.pos_interp = ag::PosInterp::size_antialias;
  if (giant) c.embed_dim = 1536, c.depth = 40, c.num_heads = 24, c.ffn = nn::Ffn::swiglu;
  return c;
}

PublishedModel image_model(const Entry& entry, const RandomModelOptions& options) {
  check<ConfigError>(!options.vocabulary, "init", "{} reads no text; a vocabulary is for CLIP", entry.name);
  const nn::VitConfig config = vit_config_of(entry, options.num_classes);
  const nn::VisionTransformer model(nn::Scope(options.seed), config);
  PublishedModel published;
  published.source = entry.name;
  published.layout = &nn::layout_named(entry.layout);
  published.architecture = vit_architecture(config);
  published.weights = nn::state(model);
  published.preprocessing = published_preprocessing(*published.layout, config.img_size);
  return published;
}

PublishedModel clip_model(std::string_view name, std::string_view variant, const RandomModelOptions& options) {
  check<ConfigError>(options.num_classes == 0, "init", "{} has no classifier", name);
  nn::ClipConfig config = nn::clip_variant(variant);
  PublishedModel published;
  if (options.vocabulary) {
    data::Vocabulary vocabulary = data::Vocabulary::read(*options.vocabulary);
    config.text.vocab_size = vocabulary.size();
    published.vocabulary = [vocabulary] { return vocabulary; };
  }
  const nn::Clip model(nn::Scope(options.seed), config);
  published.source = name;
  published.layout = &nn::layout_named("hf_clip");
  published.architecture = clip_architecture(config);
  published.weights = nn::state(model);
  published.preprocessing = published_preprocessing(*published.layout, config.vision.img_size);
  return published;
}

}  // namespace

std::vector<std::string> random_model_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  for (const auto& clip : kClips) names.emplace_back(clip.first);
  for (const std::string& name : nn::clip_variants()) names.push_back(name);
  return names;
}

PublishedModel random_model(std::string_view arch, const RandomModelOptions& options) {
  for (const Entry& entry : kEntries)
    if (entry.name == arch) return image_model(entry, options);
  for (const auto& [name, variant] : kClips)
    if (name == arch) return clip_model(name, variant, options);
  if (arch.starts_with("ViT-")) return clip_model(arch, arch, options);
  const std::vector<std::string> names = random_model_names();
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
  fail<ConfigError>("init", "there is no architecture '{}'{}; there are {}", arch, did_you_mean(arch, names), known);
}

}  // namespace vitrail::recipes
