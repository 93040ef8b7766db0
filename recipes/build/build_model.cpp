#include "vitrail/recipes/build/build_model.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/recipes/build/tower_size.h"

#include <algorithm>
#include <iterator>

namespace vitrail::recipes {
namespace {

constexpr Named<nn::Pool> kPools[] = {{"token", nn::Pool::token}, {"avg", nn::Pool::avg}};
constexpr Named<nn::Ffn> kFfns[] = {{"mlp", nn::Ffn::mlp}, {"swiglu", nn::Ffn::swiglu}};
constexpr Named<nn::DropPathMode> kDropPathModes[] = {{"mask", nn::DropPathMode::mask},
                                                      {"subset", nn::DropPathMode::subset}};
constexpr Named<ag::Gelu> kGelus[] = {{"erf", ag::Gelu::erf}, {"tanh", ag::Gelu::tanh}, {"quick", ag::Gelu::quick}};
constexpr Named<nn::PosEmbed> kPosKinds[] = {{"learned", nn::PosEmbed::cls_and_patches}, {"rope", nn::PosEmbed::rope}};
constexpr Named<ag::PosInterp> kPosInterps[] = {
    {"size", ag::PosInterp::size},
    {"size_antialias", ag::PosInterp::size_antialias},
    {"scale_offset", ag::PosInterp::scale_offset},
    {"align_corners", ag::PosInterp::align_corners},
    {"zoom_linear", ag::PosInterp::zoom_linear},
};

std::unique_ptr<nn::Backbone> build_vit(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                        int64_t num_classes) {
  auto model = std::make_unique<nn::VisionTransformer>(scope, vit_config(config, img_size, num_classes));
  model->checkpoint_blocks = config.checkpoint;
  return model;
}

std::unique_ptr<nn::Backbone> build_resnet(const nn::Scope& scope, const ModelConfig& config, int64_t num_classes) {
  const bool vit_only = config.patch_size || config.embed_dim || config.depth || config.num_heads || config.mlp_ratio ||
                        config.drop_rate != 0 || config.drop_path_rate != 0 || config.layerscale_init != 0 ||
                        config.checkpoint || config.distilled || config.num_registers != 0 ||
                        config.drop_path_uniform || config.mask_token || config.ffn != nn::Ffn::mlp ||
                        config.gelu != ag::Gelu::erf || config.pre_norm || config.pos == nn::PosEmbed::rope ||
                        config.window != 0 || config.global_every != 0;
  check<ConfigError>(!vit_only, "model",
                     "{} takes none of patch_size, embed_dim, depth, num_heads, mlp_ratio, drop_rate, drop_path_rate, "
                     "drop_path_uniform, layerscale_init, checkpoint, distilled, num_registers, mask_token, ffn, gelu, "
                     "pre_norm, pos, window, global_every: those are for vision transformers",
                     config.arch);
  nn::ResNetConfig resnet = nn::resnet_variant(config.arch);
  resnet.num_classes = num_classes;
  resnet.width = config.width.value_or(resnet.width);
  resnet.small_images |= config.small_images;
  return std::make_unique<nn::ResNet>(scope, resnet);
}

}  // namespace

std::span<const Named<ag::PosInterp>> position_rules() { return kPosInterps; }

std::string_view name_of(ag::PosInterp rule) {
  return std::find_if(std::begin(kPosInterps), std::end(kPosInterps), [&](auto& r) { return r.value == rule; })->name;
}

std::vector<std::string> architectures() {
  std::vector<std::string> names = nn::vit_variants();
  for (const std::string& name : nn::resnet_variants()) names.push_back(name);
  return names;
}

void ModelConfig::describe(Fields& f) {
  std::vector<std::string> names = architectures();
  names.emplace_back(kFromInit);
  f("arch", arch, "architecture; from_init: of the initial weights, with all sizes", one_of(std::move(names)));
  f("patch_size", patch_size, "side of a patch; null: the default of arch", at_least(1));
  f("embed_dim", embed_dim, "width of the transformer; null: the default of arch", at_least(1));
  f("depth", depth, "number of blocks; null: the default of arch", at_least(1));
  f("num_heads", num_heads, "attention heads; null: the default of arch", at_least(1));
  f("mlp_ratio", mlp_ratio, "hidden width of the feed-forward / embed_dim; null: the default of arch", positive());
  f("drop_rate", drop_rate, "dropout in the blocks", between(0, 0.99));
  f("drop_path_rate", drop_path_rate, "stochastic depth of the last block; rises linearly from 0 in the first",
    between(0, 0.99));
  f("drop_path_uniform", drop_path_uniform, "ViT: drop_path_rate in all blocks alike, as in DINOv2");
  f("drop_path_mode", drop_path_mode,
    "ViT: mask: every sample goes through every branch, and some outputs are set to 0; subset: only a random part of "
    "the batch goes through a branch, which saves the time of the others, as in DINOv2",
    kDropPathModes);
  f("layerscale_init", layerscale_init, "initial gain of the branches; 0: no LayerScale", at_least(0));
  f("global_pool", global_pool, "ViT: input of the head: the class token, or the mean of the patch tokens", kPools);
  f("distilled", distilled, "ViT: adds a distillation token with its own head, as in DeiT");
  f("num_registers", num_registers, "ViT: register tokens, which belong to no patch", at_least(0));
  f("mask_token", mask_token, "ViT: a learned token in the place of masked patches; dinov2 needs it");
  f("ffn", ffn, "ViT: feed-forward part of a block; swiglu: as in DINOv2's giant", kFfns);
  f("gelu", gelu, "ViT: activation; erf: GELU; tanh: its approximation; quick: QuickGELU, of OpenAI's CLIP", kGelus);
  f("ln_eps", ln_eps, "ViT: epsilon of the norms; CLIP's image towers have 1e-5", positive());
  f("pre_norm", pre_norm, "ViT: a norm before the blocks and no bias of the patches, as in CLIP's image towers");
  f("pos_interp", pos_interp, "ViT: resampling of positions for another image size; size: as in DeiT", kPosInterps);
  f("pos", pos, "ViT: positions; learned: a table; rope: rotations of queries and keys by row and column, as in DINOv3",
    kPosKinds);
  f("window", window, "ViT: side of the windows in which patches attend to each other, in patches; 0: no windows",
    at_least(0));
  f("global_every", global_every, "ViT with windows: every so many blocks, one has global attention; 0: none has",
    at_least(0));
  f("width", width, "ResNet: channels of the first stage, doubled in each later one; null: the default of arch",
    at_least(1));
  f("small_images", small_images, "ResNet: stem for images of about 32x32 pixels");
  f("checkpoint", checkpoint, "ViT: recompute blocks in the backward pass instead of storing their activations");
  f("freeze", freeze,
    "parameters that are not trained: names or their beginnings, as in [patch_embed, blocks.0, blocks.*.attn]; * "
    "stands "
    "for any characters, a minus takes out again: [\"*\", -head]");
}

nn::VitConfig vit_config(const ModelConfig& config, int64_t img_size, int64_t num_classes) {
  check<ConfigError>(!config.width && !config.small_images, "model",
                     "{} takes neither width nor small_images: those are for ResNets", config.arch);
  nn::VitConfig vit = nn::vit_variant(config.arch);
  vit.img_size = img_size;
  vit.num_classes = num_classes;
  override_size(vit, config);
  vit.drop_rate = config.drop_rate;
  vit.drop_path_rate = config.drop_path_rate;
  vit.drop_path_uniform = config.drop_path_uniform;
  vit.drop_path_mode = config.drop_path_mode;
  vit.layerscale_init = config.layerscale_init;
  vit.distilled = config.distilled;
  vit.num_registers = config.num_registers;
  vit.mask_token = config.mask_token;
  vit.ffn = config.ffn;
  vit.gelu = config.gelu;
  vit.ln_eps = config.ln_eps;
  vit.pre_norm = config.pre_norm;
  vit.pos_interp = config.pos_interp;
  vit.pos_embed = config.pos;
  vit.window = config.window;
  vit.global_every = config.global_every;
  if (config.global_pool == nn::Pool::avg) {
    check<ConfigError>(!config.distilled, "model.distilled", "needs global_pool: token: the heads read the two tokens");
    vit.pool = nn::Pool::avg;
    vit.class_token = false;
    if (config.pos != nn::PosEmbed::rope) vit.pos_embed = nn::PosEmbed::patches;
    vit.fc_norm = true;
  }
  return vit;
}

std::unique_ptr<nn::Backbone> build_model(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                          int64_t num_classes) {
  check<ConfigError>(config.arch != kFromInit, "model.arch", "from_init: this method has no init to take a model from");
  if (config.arch.starts_with("resnet")) return build_resnet(scope, config, num_classes);
  return build_vit(scope, config, img_size, num_classes);
}

std::unique_ptr<nn::Backbone> build_trained_model(const nn::Scope& scope, const ModelConfig& config,
                                                  const LoraSection& lora, int64_t img_size, int64_t num_classes) {
  auto model = build_model(scope, config, img_size, num_classes);
  lora.adapt(*model, config.freeze);
  return model;
}

}  // namespace vitrail::recipes
