// All layouts, and the rules that several of them share. A new layout is a file in this folder, a line here and a line
// in layout.cpp.
#pragma once

#include "vitrail/nn/weights/layout.h"

namespace vitrail::nn {

extern const Layout kTimmLayout, kDinoLayout, kDinov2Layout, kTorchvisionLayout;
extern const Layout kHfVitLayout, kHfDeitLayout, kHfDeitOneHeadLayout, kHfDinov2Layout;
extern const Layout kHfClipLayout, kHfClipVisionLayout;
extern const Layout kHfSiglipVisionLayout;  // of the towers of language models; see its file
extern const Layout kOpenaiClipLayout, kOpenClipLayout;

/// Names that timm, DINO and DINOv2 share with us.
inline constexpr Rule kTimmNames[] = {
    {"cls_token", "cls_token"},
    {"pos_embed", "pos_embed"},
    {"patch_embed.proj.%", "patch_embed.proj.%"},
    {"blocks.*.norm1.%", "blocks.*.norm1.%"},
    {"blocks.*.attn.qkv.%", "blocks.*.attn.qkv.%"},
    {"blocks.*.attn.proj.%", "blocks.*.attn.proj.%"},
    {"blocks.*.norm2.%", "blocks.*.norm2.%"},
    {"blocks.*.mlp.fc1.%", "blocks.*.mlp.fc1.%"},
    {"blocks.*.mlp.fc2.%", "blocks.*.mlp.fc2.%"},
    {"norm.%", "norm.%"},
};

/// Whether any name has this beginning.
inline bool any_begins(const NameSet& names, std::string_view beginning) {
  const auto found = names.lower_bound(beginning);
  return found != names.end() && found->starts_with(beginning);
}

/// Adds a mask token of zeros if ours has none: DINOv2 and Hugging Face always have one.
void add_mask_token(TensorMap& ours);
/// Removes the mask token, which only training by masking reads.
void drop_mask_token(TensorMap& ours, std::vector<std::string>& notes);

}  // namespace vitrail::nn
