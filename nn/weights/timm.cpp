// timm, and DeiT's repository, whose models are timm's.
#include "vitrail/core/ops.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr Rule kTimmRules[] = {
    {"dist_token", "dist_token"},
    {"reg_token", "reg_token"},
    {"norm_pre.%", "norm_pre.%"},
    {"blocks.*.ls1.gamma", "blocks.*.ls1.gamma"},
    {"blocks.*.ls2.gamma", "blocks.*.ls2.gamma"},
    {"blocks.*.attn.q_norm.%", "blocks.*.attn.q_norm.%"},
    {"blocks.*.attn.k_norm.%", "blocks.*.attn.k_norm.%"},
    {"fc_norm.%", "fc_norm.%"},
    {"head.%", "head.%"},
    {"head_dist.%", "head_dist.%"},
    // DeiT III
    {"blocks.*.ls1.gamma", "blocks.*.gamma_1", Form::same, Use::reading},
    {"blocks.*.ls2.gamma", "blocks.*.gamma_2", Form::same, Use::reading},
    // SwiGLU that is not packed
    {"blocks.*.mlp.fc1.%", "blocks.*.mlp.{fc1_g,fc1_x}.%", Form::parts, Use::reading},
};

/// In a DINOv2 with registers, timm's table of positions covers the patches only; the class token includes its row.
void fold_class_position(TensorMap& ours, std::vector<std::string>& notes) {
  drop_mask_token(ours, notes);
  if (!ours.contains("reg_token") || !ours.contains("cls_token") || !ours.contains("pos_embed")) return;
  Tensor& table = ours.at("pos_embed");
  const auto positions = position_table(table, 1, ours.at("reg_token").size(1));
  if (!positions || positions->kind != PosEmbed::cls_and_patches) return;
  ours.at("cls_token") = core::add(ours.at("cls_token"), table.slice(1, 0, 1).contiguous());
  table = table.slice(1, 1, table.size(1));
  notes.emplace_back(
      "the class token's position is added to cls_token: timm's models with registers have no row for it");
}

bool any_names(const NameSet&) { return true; }

}  // namespace

constinit const Layout kTimmLayout{.name = "timm",
                                   .title = "timm and DeiT",
                                   .anchor = "patch_embed.proj.weight",
                                   .recognises = any_names,
                                   .rules = kTimmNames,
                                   .more_rules = kTimmRules,
                                   .adapt = fold_class_position};

}  // namespace vitrail::nn
