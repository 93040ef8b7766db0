#include "vitrail/recipes/build/build_model.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/models/resnet.h"
#include "vitrail/nn/models/vision_transformer.h"

namespace vitrail::recipes {
namespace {

constexpr std::pair<const char*, ag::PosInterp> kPosInterps[] = {
    {"size", ag::PosInterp::size},
    {"size_antialias", ag::PosInterp::size_antialias},
    {"scale_offset", ag::PosInterp::scale_offset},
    {"align_corners", ag::PosInterp::align_corners},
    {"zoom_linear", ag::PosInterp::zoom_linear},
};

std::vector<std::string> pos_interp_names() {
  std::vector<std::string> names;
  for (const auto& [name, mode] : kPosInterps) names.emplace_back(name);
  return names;
}

ag::PosInterp parse_pos_interp(const std::string& text) {
  for (const auto& [name, mode] : kPosInterps)
    if (text == name) return mode;
  fail<ConfigError>("model.pos_interp", "unknown rule '{}'", text);
}

std::unique_ptr<nn::Backbone> build_vit(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                        int64_t num_classes) {
  check<ConfigError>(!config.width && !config.small_images, "model",
                     "{} takes neither width nor small_images: those are for ResNets", config.arch);
  nn::VitConfig vit = nn::vit_variant(config.arch);
  vit.img_size = img_size;
  vit.num_classes = num_classes;
  vit.patch_size = config.patch_size.value_or(vit.patch_size);
  vit.embed_dim = config.embed_dim.value_or(vit.embed_dim);
  vit.depth = config.depth.value_or(vit.depth);
  vit.num_heads = config.num_heads.value_or(vit.num_heads);
  vit.mlp_ratio = config.mlp_ratio.value_or(vit.mlp_ratio);
  vit.drop_rate = config.drop_rate;
  vit.drop_path_rate = config.drop_path_rate;
  vit.layerscale_init = config.layerscale_init;
  vit.distilled = config.distilled;
  vit.num_registers = config.num_registers;
  if (config.ffn == "swiglu") vit.ffn = nn::Ffn::swiglu;
  vit.pos_interp = parse_pos_interp(config.pos_interp);
  if (config.global_pool == "avg") {
    check<ConfigError>(!config.distilled, "model.distilled", "needs global_pool: token: the heads read the two tokens");
    vit.pool = nn::Pool::avg;
    vit.class_token = false;
    vit.pos_embed = nn::PosEmbed::patches;
    vit.fc_norm = true;
  }
  auto model = std::make_unique<nn::VisionTransformer>(scope, vit);
  model->checkpoint_blocks = config.checkpoint;
  return model;
}

std::unique_ptr<nn::Backbone> build_resnet(const nn::Scope& scope, const ModelConfig& config, int64_t num_classes) {
  const bool vit_only = config.patch_size || config.embed_dim || config.depth || config.num_heads || config.mlp_ratio ||
                        config.drop_rate != 0 || config.drop_path_rate != 0 || config.layerscale_init != 0 ||
                        config.checkpoint || config.distilled || config.num_registers != 0 || config.ffn != "mlp";
  check<ConfigError>(!vit_only, "model",
                     "{} takes none of patch_size, embed_dim, depth, num_heads, mlp_ratio, drop_rate, drop_path_rate, "
                     "layerscale_init, checkpoint, distilled, num_registers, ffn: those are for vision transformers",
                     config.arch);
  nn::ResNetConfig resnet = nn::resnet_variant(config.arch);
  resnet.num_classes = num_classes;
  resnet.width = config.width.value_or(resnet.width);
  resnet.small_images |= config.small_images;
  return std::make_unique<nn::ResNet>(scope, resnet);
}

}  // namespace

std::vector<std::string> architectures() {
  std::vector<std::string> names = nn::vit_variants();
  for (const std::string& name : nn::resnet_variants()) names.push_back(name);
  return names;
}

void ModelConfig::describe(Fields& f) {
  f("arch", arch, "published model", one_of(architectures()));
  f("patch_size", patch_size, "side of a patch; null: as arch says", at_least(1));
  f("embed_dim", embed_dim, "width of the transformer; null: as arch says", at_least(1));
  f("depth", depth, "number of blocks; null: as arch says", at_least(1));
  f("num_heads", num_heads, "attention heads; null: as arch says", at_least(1));
  f("mlp_ratio", mlp_ratio, "hidden width of the feed-forward / embed_dim; null: as arch says", positive());
  f("drop_rate", drop_rate, "dropout in the blocks", between(0, 0.99));
  f("drop_path_rate", drop_path_rate, "stochastic depth of the last block, rising from 0", between(0, 0.99));
  f("layerscale_init", layerscale_init, "initial gain of the branches; 0: no LayerScale", at_least(0));
  f("global_pool", global_pool, "what the head of a ViT sees: class token or mean of the patches",
    one_of({"token", "avg"}));
  f("distilled", distilled, "ViT: a distillation token with a head of its own, as DeiT");
  f("num_registers", num_registers, "ViT: tokens that belong to no patch and that nothing reads", at_least(0));
  f("ffn", ffn, "ViT: feed-forward part of a block; swiglu: as DINOv2's giant", one_of({"mlp", "swiglu"}));
  f("pos_interp", pos_interp, "ViT: how positions are resampled for another image size; size: as DeiT",
    one_of(pos_interp_names()));
  f("width", width, "ResNet: channels of the first stage, doubled in each later one; null: as arch says", at_least(1));
  f("small_images", small_images, "ResNet: stem for images of about 32x32 pixels");
  f("checkpoint", checkpoint, "ViT: compute blocks again in the backward pass instead of keeping them");
}

std::unique_ptr<nn::Backbone> build_model(const nn::Scope& scope, const ModelConfig& config, int64_t img_size,
                                          int64_t num_classes) {
  if (config.arch.starts_with("resnet")) return build_resnet(scope, config, num_classes);
  return build_vit(scope, config, img_size, num_classes);
}

}  // namespace vitrail::recipes
