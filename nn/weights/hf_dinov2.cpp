// Hugging Face's Dinov2 and Dinov2 with registers.
#include "vitrail/core/ops.h"
#include "vitrail/nn/weights/table.h"

#include <fmt/format.h>

namespace vitrail::nn {
namespace {

constexpr Rule kHfDinov2Rules[] = {
    {"cls_token", "embeddings.cls_token"},
    {"pos_embed", "embeddings.position_embeddings"},
    {"mask_token", "embeddings.mask_token"},
    {"reg_token", "embeddings.register_tokens"},
    {"patch_embed.proj.%", "embeddings.patch_embeddings.projection.%"},
    {"blocks.*.norm1.%", "encoder.layer.*.norm1.%"},
    {"blocks.*.attn.qkv.%", "encoder.layer.*.attention.attention.{query,key,value}.%", Form::parts},
    {"blocks.*.attn.proj.%", "encoder.layer.*.attention.output.dense.%"},
    {"blocks.*.ls1.gamma", "encoder.layer.*.layer_scale1.lambda1"},
    {"blocks.*.norm2.%", "encoder.layer.*.norm2.%"},
    {"blocks.*.mlp.fc1.%", "encoder.layer.*.mlp.weights_in.%", Form::same, Use::swiglu},
    {"blocks.*.mlp.fc2.%", "encoder.layer.*.mlp.weights_out.%", Form::same, Use::swiglu},
    {"blocks.*.mlp.fc1.%", "encoder.layer.*.mlp.fc1.%"},
    {"blocks.*.mlp.fc2.%", "encoder.layer.*.mlp.fc2.%"},
    {"blocks.*.ls2.gamma", "encoder.layer.*.layer_scale2.lambda1"},
    {"norm.%", "layernorm.%"},
    {"head.%", "classifier.%"},
    // Modules of transformers 5, whose files have the names above.
    {"blocks.*.attn.qkv.%", "encoder.layer.*.attention.{q,k,v}_proj.%", Form::parts, Use::module},
    {"blocks.*.attn.proj.%", "encoder.layer.*.attention.o_proj.%", Form::same, Use::module},
};
constexpr std::string_view kHfDinov2Inner[] = {"dinov2.", "dinov2_with_registers."};

bool is_hf_dinov2(const NameSet& names) { return names.contains("encoder.layer.0.norm1.weight"); }

/// Gives every block a LayerScale of ones, which changes nothing: theirs always have one.
void add_layer_scale(TensorMap& ours, std::vector<std::string>& notes) {
  if (ours.contains("blocks.0.ls1.gamma") || !ours.contains("cls_token")) return;
  const Tensor& token = ours.at("cls_token");
  const Tensor scale = ones({token.size(2)}, token.dtype());
  for (int64_t i = 0; ours.contains(fmt::format("blocks.{}.norm1.weight", i)); ++i)
    for (const char* name : {"ls1", "ls2"}) ours[fmt::format("blocks.{}.{}.gamma", i, name)] = scale.clone();
  notes.emplace_back("the blocks get a LayerScale of ones, because models of Hugging Face Dinov2 always have one");
}

/// Their classifier reads the class token and the mean of the patches, side by side.
void adapt_to_hf_dinov2(TensorMap& ours, std::vector<std::string>& notes) {
  add_mask_token(ours);
  add_layer_scale(ours, notes);
  const auto head = ours.find("head.weight");
  if (head == ours.end() || !ours.contains("cls_token")) return;
  Tensor& weight = head->second;
  if (weight.size(1) != ours.at("cls_token").size(2)) return;
  weight = core::concat({weight, zeros(weight.shape(), weight.dtype())}, 1);
  notes.emplace_back(
      "classifier.weight gets columns of zeros for the mean of the patches, which this model does not read");
}

std::string_view hf_dinov2_prefix(const TensorMap& ours) {
  if (!ours.contains("head.weight")) return "";
  return ours.contains("reg_token") ? "dinov2_with_registers." : "dinov2.";
}

}  // namespace

constinit const Layout kHfDinov2Layout{.name = "hf_dinov2",
                                       .title = "Hugging Face Dinov2",
                                       .anchor = "embeddings.patch_embeddings.projection.weight",
                                       .inner = kHfDinov2Inner,
                                       .recognises = is_hf_dinov2,
                                       .rules = kHfDinov2Rules,
                                       .pos_interp = ag::PosInterp::size,
                                       .adapt = adapt_to_hf_dinov2,
                                       .written_prefix = hf_dinov2_prefix};

}  // namespace vitrail::nn
