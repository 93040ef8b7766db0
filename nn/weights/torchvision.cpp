// torchvision's ViT.
#include "vitrail/core/ops.h"
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

/// torchvision's queries, keys and values always have a bias.
void adapt_to_torchvision(TensorMap& ours, std::vector<std::string>& notes) {
  drop_mask_token(ours, notes);
  constexpr std::string_view kWeight = ".attn.qkv.weight", kLeaf = "weight";
  TensorMap biases;
  for (const auto& [name, weight] : ours) {
    if (!name.ends_with(kWeight)) continue;
    const std::string bias = name.substr(0, name.size() - kLeaf.size()) + "bias";
    if (!ours.contains(bias)) biases[bias] = zeros({weight.size(0)}, weight.dtype());
  }
  if (!biases.empty()) notes.emplace_back("queries, keys and values get biases of zeros, which torchvision always has");
  ours.merge(biases);
}

}  // namespace

constinit const Layout kTorchvisionLayout{.name = "torchvision",
                                          .title = "torchvision",
                                          .anchor = "conv_proj.weight",
                                          .recognises = is_torchvision,
                                          .rules = kTorchvisionRules,
                                          .pos_interp = ag::PosInterp::align_corners,
                                          .adapt = adapt_to_torchvision};

}  // namespace vitrail::nn
