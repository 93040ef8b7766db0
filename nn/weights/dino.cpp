// facebookresearch/dino: bare backbones, and whole checkpoints with student, teacher and their heads.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr Rule kDinoRules[] = {
    // The head of DinoNetwork. Its numbers also count the activations between the layers.
    {"head.mlp.*.%", "head.mlp.*.%"},
    {"head.mlp.%", "head.mlp.%"},
    {"head.last_layer.weight_g", "head.last_layer.weight_g"},
    {"head.last_layer.weight_v", "head.last_layer.weight_v"},
    // The names of these two in newer versions of PyTorch
    {"head.last_layer.weight_g", "head.last_layer.parametrizations.weight.original0", Form::same, Use::reading},
    {"head.last_layer.weight_v", "head.last_layer.parametrizations.weight.original1", Form::same, Use::reading},
};
constexpr Unused kDinoHead[] = {{"head.mlp.", "the head of DINO's loss"},
                                {"head.last_layer.", "the head of DINO's loss"}};
constexpr std::string_view kDinoInner[] = {"backbone."};

/// The backbones have timm's names and no classifier, like timm's own copies of them.
bool is_dino(const NameSet& names) {
  if (any_begins(names, "head.last_layer.")) return true;
  const auto has = [&](const char* name) { return any_begins(names, name); };
  return has("cls_token") && !has("head.") && !has("dist_token") && !has("reg_token") && !has("norm_pre.") &&
         !has("fc_norm.") && !has("blocks.0.ls1.") && !has("blocks.0.gamma_1") && !has("blocks.0.attn.q_norm.");
}

std::string_view dino_prefix(const TensorMap& ours) {
  return ours.contains("head.last_layer.weight_v") ? "backbone." : "";
}

}  // namespace

constinit const Layout kDinoLayout{.name = "dino",
                                   .title = "DINO (facebookresearch/dino)",
                                   .anchor = "patch_embed.proj.weight",
                                   .inner = kDinoInner,
                                   .recognises = is_dino,
                                   .rules = kTimmNames,
                                   .more_rules = kDinoRules,
                                   .training_head = kDinoHead,
                                   .pos_interp = ag::PosInterp::scale_offset,
                                   .adapt = drop_mask_token,
                                   .written_prefix = dino_prefix};

}  // namespace vitrail::nn
