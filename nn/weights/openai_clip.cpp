// openai/CLIP and open_clip, which have the same names. A file does not tell the activation: OpenAI's models have
// QuickGELU, open_clip's have GELU unless their name ends in -quickgelu.
#include "vitrail/nn/weights/table.h"

namespace vitrail::nn {
namespace {

constexpr std::string_view kOpenaiClipAnchor = "visual.conv1.weight";

constexpr Rule kOpenaiClipRules[] = {
    {"logit_scale", "logit_scale", Form::scalar},
    {"visual.cls_token", "visual.class_embedding", Form::without_axes},
    {"visual.pos_embed", "visual.positional_embedding", Form::without_axis},
    {"visual.patch_embed.proj.weight", "visual.conv1.weight"},
    {"visual.norm_pre.%", "visual.ln_pre.%"},
    {"visual.blocks.*.norm1.%", "visual.transformer.resblocks.*.ln_1.%"},
    {"visual.blocks.*.attn.qkv.%", "visual.transformer.resblocks.*.attn.in_proj_%"},
    {"visual.blocks.*.attn.proj.%", "visual.transformer.resblocks.*.attn.out_proj.%"},
    {"visual.blocks.*.norm2.%", "visual.transformer.resblocks.*.ln_2.%"},
    {"visual.blocks.*.mlp.fc1.%", "visual.transformer.resblocks.*.mlp.c_fc.%"},
    {"visual.blocks.*.mlp.fc2.%", "visual.transformer.resblocks.*.mlp.c_proj.%"},
    {"visual.norm.%", "visual.ln_post.%"},
    {"visual.head.weight", "visual.proj", Form::transposed},
    {"text.token_embedding.weight", "token_embedding.weight"},
    {"text.pos_embed", "positional_embedding"},
    {"text.blocks.*.norm1.%", "transformer.resblocks.*.ln_1.%"},
    {"text.blocks.*.attn.qkv.%", "transformer.resblocks.*.attn.in_proj_%"},
    {"text.blocks.*.attn.proj.%", "transformer.resblocks.*.attn.out_proj.%"},
    {"text.blocks.*.norm2.%", "transformer.resblocks.*.ln_2.%"},
    {"text.blocks.*.mlp.fc1.%", "transformer.resblocks.*.mlp.c_fc.%"},
    {"text.blocks.*.mlp.fc2.%", "transformer.resblocks.*.mlp.c_proj.%"},
    {"text.norm.%", "ln_final.%"},
    {"text.proj.weight", "text_projection", Form::transposed},
};
constexpr Rule kOpenClipRules[] = {
    {"logit_bias", "logit_bias", Form::scalar},
    {"visual.blocks.*.ls1.gamma", "visual.transformer.resblocks.*.ls_1.gamma"},
    {"visual.blocks.*.ls2.gamma", "visual.transformer.resblocks.*.ls_2.gamma"},
    {"text.blocks.*.ls1.gamma", "transformer.resblocks.*.ls_1.gamma"},
    {"text.blocks.*.ls2.gamma", "transformer.resblocks.*.ls_2.gamma"},
    // CustomTextCLIP keeps its text tower in a separate module.
    {"text.token_embedding.weight", "text.token_embedding.weight", Form::same, Use::reading},
    {"text.pos_embed", "text.positional_embedding", Form::same, Use::reading},
    {"text.blocks.*.norm1.%", "text.transformer.resblocks.*.ln_1.%", Form::same, Use::reading},
    {"text.blocks.*.attn.qkv.%", "text.transformer.resblocks.*.attn.in_proj_%", Form::same, Use::reading},
    {"text.blocks.*.attn.proj.%", "text.transformer.resblocks.*.attn.out_proj.%", Form::same, Use::reading},
    {"text.blocks.*.ls1.gamma", "text.transformer.resblocks.*.ls_1.gamma", Form::same, Use::reading},
    {"text.blocks.*.norm2.%", "text.transformer.resblocks.*.ln_2.%", Form::same, Use::reading},
    {"text.blocks.*.mlp.fc1.%", "text.transformer.resblocks.*.mlp.c_fc.%", Form::same, Use::reading},
    {"text.blocks.*.mlp.fc2.%", "text.transformer.resblocks.*.mlp.c_proj.%", Form::same, Use::reading},
    {"text.blocks.*.ls2.gamma", "text.transformer.resblocks.*.ls_2.gamma", Form::same, Use::reading},
    {"text.norm.%", "text.ln_final.%", Form::same, Use::reading},
    {"text.proj.weight", "text.text_projection", Form::transposed, Use::reading},
};
/// Extra entries of OpenAI's JIT archives, and masks that older versions saved.
constexpr std::string_view kOpenaiClipBuffers[] = {"input_resolution", "context_length", "vocab_size", "attn_mask"};

bool is_open_clip(const NameSet& names) {
  return any_begins(names, "text.") || names.contains("logit_bias") ||
         names.contains("visual.transformer.resblocks.0.ls_1.gamma");
}
bool is_openai_clip(const NameSet& names) { return any_begins(names, "visual.transformer.resblocks."); }

}  // namespace

constinit const Layout kOpenaiClipLayout{.name = "openai_clip",
                                         .title = "OpenAI CLIP",
                                         .family = Family::clip,
                                         .anchor = kOpenaiClipAnchor,
                                         .recognises = is_openai_clip,
                                         .rules = kOpenaiClipRules,
                                         .buffers = kOpenaiClipBuffers,
                                         .ln_eps = 1e-5,
                                         .gelu = ag::Gelu::quick};

constinit const Layout kOpenClipLayout{.name = "open_clip",
                                       .title = "open_clip",
                                       .family = Family::clip,
                                       .anchor = kOpenaiClipAnchor,
                                       .recognises = is_open_clip,
                                       .rules = kOpenaiClipRules,
                                       .more_rules = kOpenClipRules,
                                       .buffers = kOpenaiClipBuffers,
                                       .ln_eps = 1e-5};

}  // namespace vitrail::nn
