#include "vitrail/recipes/build/build_llava.h"

#include "vitrail/core/error.h"

namespace vitrail::recipes {
namespace {

using nn::FeatureSelect;
using nn::VisionTower;

constexpr Named<VisionTower> kTowers[] = {{"vit", VisionTower::vit}, {"patches", VisionTower::patches}};
constexpr Named<FeatureSelect> kFeatureSelects[] = {{"patch", FeatureSelect::patch}, {"full", FeatureSelect::full}};

}  // namespace

void LlavaModelConfig::Tower::describe(Fields& f) {
  f("init", init, "initial weights of the tower: safetensors, folder of a published model (also of a CLIP), or a run",
    is_path());
  f("kind", kind, "vit: a vision transformer; patches: early fusion, each patch of the image is embedded by one layer",
    kTowers);
  vit.describe(f);
  f("class_token", class_token, "whether the tower has a class token, as CLIP's; false: none, as in SigLIP");
  f("feature_layer", feature_layer,
    "block whose output is read, -1 for the last one, -2 for LLaVA's; several: their outputs side by side",
    one_or_more());
  f("feature_norm", feature_norm, "the tower's final norm on what is read; for towers that are trained here");
  f("select", select, "patch: the tokens of patches; full: class token and registers too", kFeatureSelects);
  f("pixel_shuffle", pixel_shuffle, "so many by so many patches become one wider token, as in Idefics3", at_least(1));
  f("prefix", prefix, "all tokens up to the end of the image see each other; false: each sees those before it");
}

void LlavaModelConfig::Projector::describe(Fields& f) {
  f("depth", depth, "linear layers from the tower to the decoder, with GELU between them; early fusion has none",
    at_least(1));
  f("bias", bias, "whether they have biases");
}

void LlavaModelConfig::Decoder::describe(Fields& f) {
  f("init", init, "initial weights: folder of a Llama or Qwen2, or file of llama2.c", is_path());
  f("tokenizer", tokenizer, "tokenizer.json, tokenizer.model, tokenizer.bin, or a folder with one; empty: beside init",
    is_path());
  DecoderSection::describe(f);
  f("context_length", context_length, "most tokens of a conversation, its image among them", at_least(1));
}

void LlavaModelConfig::describe(Fields& f) {
  f("tower", tower);
  f("projector", projector);
  f("decoder", decoder);
}

nn::VitConfig whole_tower(const LlavaModelConfig& config, int64_t img_size) {
  check<ConfigError>(config.tower.kind == VisionTower::vit, "tower.kind", "patches: there is no tower");
  check<ConfigError>(config.tower.vit.arch != kFromInit, "tower.arch",
                     "from_init: tower.init=RUN or FOLDER takes a tower; tower.arch=vit_tiny begins a new one");
  nn::VitConfig vit = vit_config(config.tower.vit, img_size, 0);
  vit.img_size = img_size / vit.patch_size * vit.patch_size;  // a margin that fills no patch is not read
  if (config.tower.class_token) return vit;
  check<ConfigError>(vit.pool == nn::Pool::token && !vit.distilled, "tower.class_token",
                     "false goes with neither global_pool: avg, which leaves out the final norm of tokens, nor "
                     "distilled");
  vit.class_token = false;
  vit.pool = nn::Pool::avg;
  return vit;
}

nn::LlavaConfig llava_config(const LlavaModelConfig& config, int64_t img_size) {
  const LlavaModelConfig::Tower& t = config.tower;
  nn::LlavaConfig llava;
  llava.tower = t.kind;
  llava.text = config.decoder.llama();
  llava.feature_layers = t.feature_layer;
  llava.feature_norm = t.feature_norm;
  llava.select = t.select;
  llava.pixel_shuffle = t.pixel_shuffle;
  llava.prefix = t.prefix;
  llava.projector = {.depth = config.projector.depth, .bias = config.projector.bias};
  if (t.kind == VisionTower::patches) {
    llava.vision.img_size = img_size;
    llava.vision.patch_size = t.vit.patch_size.value_or(llava.vision.patch_size);
    llava.projector.depth = 0;
    return llava;
  }
  llava.vision = whole_tower(config, img_size);
  return llava.without_unread_blocks();
}

}  // namespace vitrail::recipes
