// Hugging Face's SigLIP: the image tower alone, as language models have it. The pooling head, which makes SigLIP's own
// features, is not built. So the layout is not in the table of those that commands recognise.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr Rule kHfSiglipRules[] = {
    {"pos_embed", "embeddings.position_embedding.weight", Form::without_axis},
    {"patch_embed.proj.%", "embeddings.patch_embedding.%"},
    {"blocks.*.norm1.%", "encoder.layers.*.layer_norm1.%"},
    {"blocks.*.attn.qkv.%", "encoder.layers.*.self_attn.{q,k,v}_proj.%", Form::parts},
    {"blocks.*.attn.proj.%", "encoder.layers.*.self_attn.out_proj.%"},
    {"blocks.*.norm2.%", "encoder.layers.*.layer_norm2.%"},
    {"blocks.*.mlp.fc1.%", "encoder.layers.*.mlp.fc1.%"},
    {"blocks.*.mlp.fc2.%", "encoder.layers.*.mlp.fc2.%"},
    {"norm.%", "post_layernorm.%"},
};
constexpr std::string_view kHfSiglipInner[] = {"vision_model."}, kHfSiglipBuffers[] = {"embeddings.position_ids"};
constexpr Unused kHfSiglipUnused[] = {{"head.", "the pooling of SigLIP's own features"}};

bool is_hf_siglip(const NameSet& names) {
  return names.contains("embeddings.patch_embedding.bias") && !names.contains("embeddings.class_embedding");
}

}  // namespace

constinit const Layout kHfSiglipVisionLayout{.name = "hf_siglip_vision",
                                             .title = "Hugging Face SigLIP's image tower",
                                             .anchor = "embeddings.patch_embedding.weight",
                                             .inner = kHfSiglipInner,
                                             .recognises = is_hf_siglip,
                                             .rules = kHfSiglipRules,
                                             .unused = kHfSiglipUnused,
                                             .buffers = kHfSiglipBuffers,
                                             .gelu = ag::Gelu::tanh,
                                             .pos_interp = ag::PosInterp::size};

}  // namespace vitrail::nn
