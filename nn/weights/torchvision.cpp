// torchvision's ViT.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr Rule kTorchvisionRules[] = {
    {"cls_token", "class_token"},
    {"pos_embed", "encoder.pos_embedding"},
    {"patch_embed.proj.%", "conv_proj.%"},
    {"blocks.*.norm1.%", "encoder.layers.encoder_layer_*.ln_1.%"},
    {"blocks.*.attn.qkv.%", "encoder.layers.encoder_layer_*.self_attention.in_proj_%"},
    {"blocks.*.attn.proj.%", "encoder.layers.encoder_layer_*.self_attention.out_proj.%"},
    {"blocks.*.norm2.%", "encoder.layers.encoder_layer_*.ln_2.%"},
    {"blocks.*.mlp.fc1.%", "encoder.layers.encoder_layer_*.mlp.0.%"},
    {"blocks.*.mlp.fc2.%", "encoder.layers.encoder_layer_*.mlp.3.%"},
    {"norm.%", "encoder.ln.%"},
    {"head.%", "heads.head.%"},
    // Before torchvision 0.13
    {"blocks.*.mlp.fc1.%", "encoder.layers.encoder_layer_*.mlp.linear_1.%", Form::same, Use::reading},
    {"blocks.*.mlp.fc2.%", "encoder.layers.encoder_layer_*.mlp.linear_2.%", Form::same, Use::reading},
};

bool is_torchvision(const NameSet& names) { return names.contains("encoder.pos_embedding"); }

}  // namespace

constinit const Layout kTorchvisionLayout{.name = "torchvision",
                                          .title = "torchvision",
                                          .anchor = "conv_proj.weight",
                                          .recognises = is_torchvision,
                                          .rules = kTorchvisionRules,
                                          .pos_interp = ag::PosInterp::align_corners,
                                          .adapt = drop_mask_token};

}  // namespace vitrail::nn
