// facebookresearch/dinov2, with and without registers, Mlp or SwiGLU.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr Rule kDinov2Rules[] = {
    {"reg_token", "register_tokens"},
    {"mask_token", "mask_token"},
    {"blocks.*.ls1.gamma", "blocks.*.ls1.gamma"},
    {"blocks.*.ls2.gamma", "blocks.*.ls2.gamma"},
    {"blocks.*.mlp.fc1.%", "blocks.*.mlp.w12.%", Form::same, Use::swiglu},
    {"blocks.*.mlp.fc2.%", "blocks.*.mlp.w3.%", Form::same, Use::swiglu},
    // Training checkpoints keep blocks in chunks; the second number counts all blocks.
    {"blocks.*.norm1.%", "blocks.?.*.norm1.%", Form::same, Use::reading},
    {"blocks.*.attn.qkv.%", "blocks.?.*.attn.qkv.%", Form::same, Use::reading},
    {"blocks.*.attn.proj.%", "blocks.?.*.attn.proj.%", Form::same, Use::reading},
    {"blocks.*.ls1.gamma", "blocks.?.*.ls1.gamma", Form::same, Use::reading},
    {"blocks.*.norm2.%", "blocks.?.*.norm2.%", Form::same, Use::reading},
    {"blocks.*.mlp.fc1.%", "blocks.?.*.mlp.fc1.%", Form::same, Use::reading},
    {"blocks.*.mlp.fc2.%", "blocks.?.*.mlp.fc2.%", Form::same, Use::reading},
    {"blocks.*.mlp.fc1.%", "blocks.?.*.mlp.w12.%", Form::same, Use::reading},
    {"blocks.*.mlp.fc2.%", "blocks.?.*.mlp.w3.%", Form::same, Use::reading},
    {"blocks.*.ls2.gamma", "blocks.?.*.ls2.gamma", Form::same, Use::reading},
};
constexpr std::string_view kDinov2Inner[] = {"backbone."};
constexpr Unused kDinov2Unused[] = {{"dino_head.", "the head of DINO's loss"},
                                    {"ibot_head.", "the head of iBOT's loss"}};

bool is_dinov2(const NameSet& names) {
  return names.contains("mask_token") || names.contains("register_tokens") || names.contains("blocks.0.mlp.w12.weight");
}

void add_unread_mask_token(TensorMap& ours, std::vector<std::string>&) { add_mask_token(ours); }

}  // namespace

constinit const Layout kDinov2Layout{.name = "dinov2",
                                     .title = "DINOv2 (facebookresearch/dinov2)",
                                     .anchor = "patch_embed.proj.weight",
                                     .inner = kDinov2Inner,
                                     .recognises = is_dinov2,
                                     .rules = kDinov2Rules,
                                     .more_rules = kTimmNames,
                                     .unused = kDinov2Unused,
                                     .pos_interp = ag::PosInterp::scale_offset,
                                     .adapt = add_unread_mask_token};

}  // namespace vitrail::nn
