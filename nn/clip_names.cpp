#include "nn/clip_names.h"

#include <utility>

namespace vitrail::nn {
namespace {

using Names = std::pair<std::string_view, std::string_view>;  // ours, OpenAI's

constexpr Names kBeginnings[] = {
    {"visual.blocks.", "visual.transformer.resblocks."},
    {"visual.cls_token", "visual.class_embedding"},
    {"visual.pos_embed", "visual.positional_embedding"},
    {"visual.patch_embed.proj.", "visual.conv1."},
    {"visual.norm_pre.", "visual.ln_pre."},
    {"visual.norm.", "visual.ln_post."},
    {"visual.head.weight", "visual.proj"},
    {"text.token_embedding.", "token_embedding."},
    {"text.pos_embed", "positional_embedding"},
    {"text.blocks.", "transformer.resblocks."},
    {"text.norm.", "ln_final."},
    {"text.proj.weight", "text_projection"},
};
constexpr Names kInsideBlocks[] = {
    {".norm1.", ".ln_1."},
    {".norm2.", ".ln_2."},
    {".ls1.", ".ls_1."},
    {".ls2.", ".ls_2."},
    {".attn.qkv.", ".attn.in_proj_"},
    {".attn.proj.", ".attn.out_proj."},
    {".mlp.fc1.", ".mlp.c_fc."},
    {".mlp.fc2.", ".mlp.c_proj."},
};

/// name with the parts `from` of the tables replaced by their other side.
std::string renamed(std::string_view name, std::string_view Names::*from, std::string_view Names::*to) {
  std::string result(name);
  for (const Names& n : kBeginnings) {
    if (!name.starts_with(n.*from)) continue;
    result.replace(0, (n.*from).size(), n.*to);
    break;
  }
  for (const Names& n : kInsideBlocks) {
    const size_t at = result.find(n.*from);
    if (at == std::string::npos) continue;
    result.replace(at, (n.*from).size(), n.*to);
    break;
  }
  return result;
}

bool is_projection(std::string_view ours) { return ours == "visual.head.weight" || ours == "text.proj.weight"; }

}  // namespace

std::string openai_clip_name(std::string_view ours) { return renamed(ours, &Names::first, &Names::second); }
std::string our_clip_name(std::string_view openais) { return renamed(openais, &Names::second, &Names::first); }

TensorMap to_openai_clip(const TensorMap& ours) {
  TensorMap map;
  for (const auto& [name, t] : ours) {
    Tensor& out = map[openai_clip_name(name)];
    out = t;
    if (is_projection(name)) out = t.transpose(0, 1).contiguous();      // [D, C] -> [C, D]
    if (name == "visual.pos_embed") out = t.select(0, 0);               // [1, rows, C] -> [rows, C]
    if (name == "visual.cls_token") out = t.select(0, 0).select(0, 0);  // [1, 1, C] -> [C]
  }
  return map;
}

TensorMap from_openai_clip(const TensorMap& openais) {
  TensorMap map;
  for (const auto& [theirs, t] : openais) {
    const std::string name = our_clip_name(theirs);
    Tensor& out = map[name];
    out = t;
    if (is_projection(name)) out = t.transpose(0, 1).contiguous();
    if (name == "visual.pos_embed") out = t.unsqueeze(0);
    if (name == "visual.cls_token") out = t.unsqueeze(0).unsqueeze(0);
  }
  return map;
}

}  // namespace vitrail::nn
