// Hugging Face's ViT and DeiT.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr std::string_view kHfVitAnchor = "embeddings.patch_embeddings.projection.weight";

constexpr Rule kHfVitRules[] = {
    {"cls_token", "embeddings.cls_token"},
    {"pos_embed", "embeddings.position_embeddings"},
    {"patch_embed.proj.%", "embeddings.patch_embeddings.projection.%"},
    {"blocks.*.norm1.%", "encoder.layer.*.layernorm_before.%"},
    {"blocks.*.attn.qkv.%", "encoder.layer.*.attention.attention.{query,key,value}.%", Form::parts},
    {"blocks.*.attn.proj.%", "encoder.layer.*.attention.output.dense.%"},
    {"blocks.*.norm2.%", "encoder.layer.*.layernorm_after.%"},
    {"blocks.*.mlp.fc1.%", "encoder.layer.*.intermediate.dense.%"},
    {"blocks.*.mlp.fc2.%", "encoder.layer.*.output.dense.%"},
    {"norm.%", "layernorm.%"},
    // Modules of transformers 5, whose files have the names above.
    {"blocks.*.norm1.%", "layers.*.layernorm_before.%", Form::same, Use::module},
    {"blocks.*.attn.qkv.%", "layers.*.attention.{q,k,v}_proj.%", Form::parts, Use::module},
    {"blocks.*.attn.proj.%", "layers.*.attention.o_proj.%", Form::same, Use::module},
    {"blocks.*.norm2.%", "layers.*.layernorm_after.%", Form::same, Use::module},
    {"blocks.*.mlp.fc1.%", "layers.*.mlp.fc1.%", Form::same, Use::module},
    {"blocks.*.mlp.fc2.%", "layers.*.mlp.fc2.%", Form::same, Use::module},
};
constexpr Rule kVitHead[] = {{"head.%", "classifier.%"}};
constexpr Rule kDeitHead[] = {
    {"dist_token", "embeddings.distillation_token"},
    {"head.%", "cls_classifier.%"},
    {"head_dist.%", "distillation_classifier.%"},
};
// DeiTForImageClassification: its classifier reads the class token alone, and the other token is a register.
constexpr Rule kDeitOneHead[] = {{"reg_token", "embeddings.distillation_token"}, {"head.%", "classifier.%"}};
constexpr std::string_view kVitInner[] = {"vit."}, kDeitInner[] = {"deit."};
constexpr Unused kHfVitUnused[] = {{"pooler.", "a layer on the class token that no published image model uses"},
                                   {"embeddings.mask_token", "of training by masking"},
                                   {"decoder.", "of training by masking"}};

bool is_vit(const NameSet& names) { return names.contains("encoder.layer.0.layernorm_before.weight"); }
bool is_deit(const NameSet& names) { return names.contains("embeddings.distillation_token") && is_vit(names); }
bool is_deit_one_head(const NameSet& names) { return is_deit(names) && names.contains("classifier.weight"); }

std::string_view vit_prefix(const TensorMap& ours) { return ours.contains("head.weight") ? "vit." : ""; }
std::string_view deit_prefix(const TensorMap& ours) { return ours.contains("head.weight") ? "deit." : ""; }

}  // namespace

constinit const Layout kHfVitLayout{.name = "hf_vit",
                                    .title = "Hugging Face ViT",
                                    .anchor = kHfVitAnchor,
                                    .inner = kVitInner,
                                    .recognises = is_vit,
                                    .rules = kHfVitRules,
                                    .more_rules = kVitHead,
                                    .unused = kHfVitUnused,
                                    .ln_eps = 1e-12,
                                    .pos_interp = ag::PosInterp::size,
                                    .adapt = drop_mask_token,
                                    .written_prefix = vit_prefix};

constinit const Layout kHfDeitLayout{.name = "hf_deit",
                                     .title = "Hugging Face DeiT",
                                     .anchor = kHfVitAnchor,
                                     .inner = kDeitInner,
                                     .recognises = is_deit,
                                     .rules = kHfVitRules,
                                     .more_rules = kDeitHead,
                                     .unused = kHfVitUnused,
                                     .ln_eps = 1e-12,
                                     .pos_interp = ag::PosInterp::size,
                                     .adapt = drop_mask_token,
                                     .written_prefix = deit_prefix};

constinit const Layout kHfDeitOneHeadLayout{.name = "hf_deit_one_head",
                                            .title = "Hugging Face DeiT with one classifier",
                                            .anchor = kHfVitAnchor,
                                            .inner = kDeitInner,
                                            .recognises = is_deit_one_head,
                                            .rules = kHfVitRules,
                                            .more_rules = kDeitOneHead,
                                            .unused = kHfVitUnused,
                                            .ln_eps = 1e-12,
                                            .pos_interp = ag::PosInterp::size};

}  // namespace vitrail::nn
