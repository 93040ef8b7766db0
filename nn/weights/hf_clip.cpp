// Hugging Face's CLIP, and its image tower alone.
#include "vitrail/nn/weights/table.h"

#include <array>
#include <cstddef>

namespace vitrail::nn {
namespace {

constexpr Rule kHfClipRules[] = {
    {"logit_scale", "logit_scale", Form::scalar},
    {"visual.cls_token", "vision_model.embeddings.class_embedding", Form::without_axes},
    {"visual.pos_embed", "vision_model.embeddings.position_embedding.weight", Form::without_axis},
    {"visual.patch_embed.proj.weight", "vision_model.embeddings.patch_embedding.weight"},
    {"visual.norm_pre.%", "vision_model.pre_layrnorm.%"},  // sic
    {"visual.blocks.*.norm1.%", "vision_model.encoder.layers.*.layer_norm1.%"},
    {"visual.blocks.*.attn.qkv.%", "vision_model.encoder.layers.*.self_attn.{q,k,v}_proj.%", Form::parts},
    {"visual.blocks.*.attn.proj.%", "vision_model.encoder.layers.*.self_attn.out_proj.%"},
    {"visual.blocks.*.norm2.%", "vision_model.encoder.layers.*.layer_norm2.%"},
    {"visual.blocks.*.mlp.fc1.%", "vision_model.encoder.layers.*.mlp.fc1.%"},
    {"visual.blocks.*.mlp.fc2.%", "vision_model.encoder.layers.*.mlp.fc2.%"},
    {"visual.norm.%", "vision_model.post_layernorm.%"},
    {"visual.head.weight", "visual_projection.weight"},
    {"text.token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"text.pos_embed", "text_model.embeddings.position_embedding.weight"},
    {"text.blocks.*.norm1.%", "text_model.encoder.layers.*.layer_norm1.%"},
    {"text.blocks.*.attn.qkv.%", "text_model.encoder.layers.*.self_attn.{q,k,v}_proj.%", Form::parts},
    {"text.blocks.*.attn.proj.%", "text_model.encoder.layers.*.self_attn.out_proj.%"},
    {"text.blocks.*.norm2.%", "text_model.encoder.layers.*.layer_norm2.%"},
    {"text.blocks.*.mlp.fc1.%", "text_model.encoder.layers.*.mlp.fc1.%"},
    {"text.blocks.*.mlp.fc2.%", "text_model.encoder.layers.*.mlp.fc2.%"},
    {"text.norm.%", "text_model.final_layer_norm.%"},
    {"text.proj.weight", "text_projection.weight"},
};
constexpr std::string_view kVisual = "visual.", kVisionModel = "vision_model.";

/// The rules of the image tower alone: our names have no prefix, and theirs need none.
constexpr auto tower_rules() {
  constexpr size_t kCount = 12;
  std::array<Rule, kCount> rules{};
  size_t n = 0;
  for (Rule rule : kHfClipRules) {
    if (!rule.ours.starts_with(kVisual)) continue;
    rule.ours.remove_prefix(kVisual.size());
    if (rule.theirs.starts_with(kVisionModel)) rule.theirs.remove_prefix(kVisionModel.size());
    rules[n++] = rule;
  }
  return rules;
}
constexpr auto kHfClipVisionRules = tower_rules();

constexpr std::string_view kHfClipBuffers[] = {"embeddings.position_ids"};
constexpr Unused kHfClipVisionUnused[] = {{"text_model.", "of the text tower"},
                                          {"text_projection.", "of the text tower"},
                                          {"logit_scale", "of the pair of towers"}};

constexpr std::string_view kHfClipVisionInner[] = {kVisionModel};  // CLIPVisionModel of transformers 5 has none

bool is_hf_clip(const NameSet& names) {
  return names.contains("vision_model.embeddings.class_embedding") && any_begins(names, "text_model.");
}
bool is_hf_clip_vision(const NameSet& names) { return names.contains("embeddings.class_embedding"); }
std::string_view hf_clip_vision_prefix(const TensorMap&) { return kVisionModel; }

}  // namespace

constinit const Layout kHfClipLayout{.name = "hf_clip",
                                     .title = "Hugging Face CLIP",
                                     .family = Family::clip,
                                     .anchor = "vision_model.embeddings.patch_embedding.weight",
                                     .recognises = is_hf_clip,
                                     .rules = kHfClipRules,
                                     .buffers = kHfClipBuffers,
                                     .ln_eps = 1e-5,
                                     .gelu = ag::Gelu::quick,
                                     .pos_interp = ag::PosInterp::size};

constinit const Layout kHfClipVisionLayout{.name = "hf_clip_vision",
                                           .title = "Hugging Face CLIP's image tower",
                                           .anchor = "embeddings.patch_embedding.weight",
                                           .inner = kHfClipVisionInner,
                                           .recognises = is_hf_clip_vision,
                                           .rules = kHfClipVisionRules,
                                           .unused = kHfClipVisionUnused,
                                           .buffers = kHfClipBuffers,
                                           .ln_eps = 1e-5,
                                           .gelu = ag::Gelu::quick,
                                           .pos_interp = ag::PosInterp::size,
                                           .adapt = drop_mask_token,
                                           .written_prefix = hf_clip_vision_prefix};

}  // namespace vitrail::nn
