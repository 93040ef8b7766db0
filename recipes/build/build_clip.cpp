#include "vitrail/recipes/build/build_clip.h"

#include "vitrail/core/error.h"

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
  vit.patch_size = v.patch_size.value_or(vit.patch_size);
  vit.embed_dim = v.embed_dim.value_or(vit.embed_dim);
  vit.depth = v.depth.value_or(vit.depth);
  vit.num_heads = v.num_heads.value_or(vit.num_heads);
  vit.mlp_ratio = v.mlp_ratio.value_or(vit.mlp_ratio);
  vit.drop_path_rate = v.drop_path_rate;
  vit.patch_drop_rate = v.patch_drop_rate;
}

void set_text_tower(nn::TextConfig& text, const ClipModelConfig::Text& t, int64_t vocab_size) {
  text.vocab_size = vocab_size;
  text.context_length = t.context_length;
  text.embed_dim = t.embed_dim.value_or(text.embed_dim);
  text.depth = t.depth.value_or(text.depth);
  text.num_heads = t.num_heads.value_or(text.num_heads);
}

}  // namespace

void ClipModelConfig::Model::describe(Fields& f) {
  f("arch", arch, "published pair of towers, by open_clip's name; with -quickgelu as OpenAI's weights need it",
    one_of(clip_architectures()));
  f("embed_dim", embed_dim, "dimensions of the space both towers end in; null: as arch says", at_least(1));
  f("logit_scale", logit_scale, "logarithm of the factor of similarities at the start; null: that of the loss",
    at_least(0));
  f("logit_bias", logit_bias, "added to similarities, at the start; null: that of the loss");
}

void ClipModelConfig::Vision::describe(Fields& f) {
  f("arch", arch, "image tower; clip: as model.arch says; another ViT gets a projection as its head",
    one_of(image_towers()));
  f("patch_size", patch_size, "side of a patch; null: as arch says", at_least(1));
  f("embed_dim", embed_dim, "width of the image tower; null: as arch says", at_least(1));
  f("depth", depth, "its blocks; null: as arch says", at_least(1));
  f("num_heads", num_heads, "its attention heads; null: as arch says", at_least(1));
  f("mlp_ratio", mlp_ratio, "hidden width of its feed-forward / embed_dim; null: as arch says", positive());
  f("drop_path_rate", drop_path_rate, "stochastic depth of its last block, rising from 0", between(0, 0.99));
  f("patch_drop_rate", patch_drop_rate, "share of the patches left out in training", between(0, 0.99));
  f("checkpoint", checkpoint, "compute blocks again in the backward pass instead of keeping them");
  f("init", init, "weights that the image tower starts from: safetensors, checkpoint or folder of a run");
  f("lock", lock, "the image tower is not trained (LiT)");
  f("unlocked_groups", unlocked_groups, "lock: so many of its last parts are trained all the same; 1: the projection",
    at_least(0));
}

void ClipModelConfig::Text::describe(Fields& f) {
  f("vocab", vocab, "merges of a vocabulary, or a folder with merges.txt; empty: learned from the training captions");
  f("vocab_size", vocab_size, "symbols of a vocabulary that is learned", at_least(515));
  f("context_length", context_length, "longest caption in symbols, with start and end; longer ones are cut",
    at_least(2));
  f("embed_dim", embed_dim, "width of the text tower; null: as model.arch says", at_least(1));
  f("depth", depth, "its blocks; null: as model.arch says", at_least(1));
  f("num_heads", num_heads, "its attention heads; null: as model.arch says", at_least(1));
  f("checkpoint", checkpoint, "compute blocks again in the backward pass instead of keeping them");
  f("lock", lock, "the text tower is not trained");
  f("unlocked_groups", unlocked_groups, "lock: so many of its last parts are trained all the same; 1: the projection",
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
