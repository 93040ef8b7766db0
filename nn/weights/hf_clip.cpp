// Hugging Face's CLIP.
#include "vitrail/nn/weights/table.h"

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
constexpr std::string_view kHfClipBuffers[] = {"embeddings.position_ids"};

bool is_hf_clip(const NameSet& names) { return names.contains("vision_model.embeddings.class_embedding"); }

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

}  // namespace vitrail::nn
