#include "vitrail/recipes/build/build_clip.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/build/tower_size.h"

#include <utility>

namespace vitrail::recipes {
namespace {

std::vector<std::string> clip_architectures() {
  std::vector<std::string> names;
  for (const std::string& name : nn::clip_variants())
    for (const char* gelu : {"", "-quickgelu"}) names.push_back(name + gelu);
  return names;
}

std::vector<std::string> image_towers() {
  std::vector<std::string> names = nn::vit_variants();
  names.insert(names.begin(), "clip");
  return names;
}

void set_image_tower(nn::VitConfig& vit, const ClipModelConfig::Vision& v, int64_t img_size) {
  if (v.arch != "clip") {
    const int64_t out_dim = vit.num_classes;
    vit = nn::vit_variant(v.arch);
    vit.num_classes = out_dim;
    vit.head_bias = false;
  }
  vit.img_size = img_size;
  override_size(vit, v);
  vit.drop_path_rate = v.drop_path_rate;
  vit.patch_drop_rate = v.patch_drop_rate;
}

void set_text_tower(nn::TextConfig& text, const ClipModelConfig::Text& t, int64_t vocab_size) {
  text.vocab_size = vocab_size;
  text.context_length = t.context_length;
  override_size(text, t);
}

}  // namespace

void ClipModelConfig::Model::describe(Fields& f) {
  f("arch", arch, "architecture by open_clip's name; OpenAI's weights need the ones with -quickgelu",
    one_of(clip_architectures()));
  f("embed_dim", embed_dim, "dimensions of the common feature space; null: the default of arch", at_least(1));
  f("logit_scale", logit_scale, "logarithm of the factor of similarities at the start; null: the default of the loss",
    at_least(0));
  f("logit_bias", logit_bias, "added to similarities, at the start; null: the default of the loss");
}

void ClipModelConfig::Vision::describe(Fields& f) {
  f("arch", arch, "image tower; clip: the tower of model.arch; another ViT gets a projection as its head",
    one_of(image_towers()));
  f("patch_size", patch_size, "side of a patch; null: the default of arch", at_least(1));
  f("embed_dim", embed_dim, "width of the image tower; null: the default of arch", at_least(1));
  f("depth", depth, "its blocks; null: the default of arch", at_least(1));
  f("num_heads", num_heads, "its attention heads; null: the default of arch", at_least(1));
  f("mlp_ratio", mlp_ratio, "hidden width of its feed-forward / embed_dim; null: the default of arch", positive());
  f("drop_path_rate", drop_path_rate, "stochastic depth of its last block, rising from 0", between(0, 0.99));
  f("patch_drop_rate", patch_drop_rate, "share of the patches left out in training", between(0, 0.99));
  f("checkpoint", checkpoint, "recompute blocks in the backward pass instead of storing their activations");
  f("init", init, "initial weights of the image tower: safetensors, checkpoint or folder of a run", is_path());
  f("lock", lock, "the image tower is not trained (LiT)");
  f("unlocked_groups", unlocked_groups, "lock: number of last parts that are trained nevertheless; 1: the projection",
    at_least(0));
}

void ClipModelConfig::Text::describe(Fields& f) {
  f("vocab", vocab,
    "merges of a vocabulary, a tokenizer.json, or a folder with either; empty: learn it from the training captions",
    is_path());
  f("vocab_size", vocab_size, "symbols of a learned vocabulary", at_least(515));
  f("context_length", context_length, "longest caption in symbols, including start and end; longer ones are cut",
    at_least(2));
  f("embed_dim", embed_dim, "width of the text tower; null: the default of model.arch", at_least(1));
  f("depth", depth, "its blocks; null: the default of model.arch", at_least(1));
  f("num_heads", num_heads, "its attention heads; null: the default of model.arch", at_least(1));
  f("checkpoint", checkpoint, "recompute blocks in the backward pass instead of storing their activations");
  f("lock", lock, "the text tower is not trained");
  f("unlocked_groups", unlocked_groups, "lock: number of last parts that are trained nevertheless; 1: the projection",
    at_least(0));
}

void ClipModelConfig::describe(Fields& f) {
  f("model", model);
  f("vision", vision);
  f("text", text);
}

nn::ClipConfig clip_config(const ClipModelConfig& config, int64_t img_size, int64_t vocab_size) {
  nn::ClipConfig clip = nn::clip_variant(config.model.arch);
  if (config.model.embed_dim) clip.vision.num_classes = clip.text.out_dim = *config.model.embed_dim;
  set_image_tower(clip.vision, config.vision, img_size);
  set_text_tower(clip.text, config.text, vocab_size);
  clip.init_logit_scale = config.model.logit_scale.value_or(clip.init_logit_scale);
  clip.init_logit_bias = config.model.logit_bias;
  return clip;
}

std::unique_ptr<nn::Clip> build_clip(const nn::Scope& scope, const ClipModelConfig& config, int64_t img_size,
                                     int64_t vocab_size) {
  auto clip = std::make_unique<nn::Clip>(scope, clip_config(config, img_size, vocab_size));
  clip->visual.checkpoint_blocks = config.vision.checkpoint;
  clip->text.checkpoint_blocks = config.text.checkpoint;
  if (config.vision.lock) clip->lock_image(config.vision.unlocked_groups);
  if (config.text.lock) clip->lock_text(config.text.unlocked_groups);
  return clip;
}

std::unique_ptr<nn::VisionTransformer> build_image_tower(const nn::Scope& scope, const ClipModelConfig& config,
                                                         int64_t img_size) {
  const int64_t any = config.text.vocab_size;
  return std::make_unique<nn::VisionTransformer>(scope, clip_config(config, img_size, any).vision);
}

}  // namespace vitrail::recipes
