#include "vitrail/recipes/models/vit_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/timm_json.h"
#include "vitrail/recipes/models/vit_family.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace vitrail::recipes {
namespace {

/// Reads the class names from "id2label", such as {"0": "tench", ...}.
std::vector<std::string> class_names(const JsonObject& c) {
  const JsonObject labels = c.object("id2label");
  const Json::Object& members = labels.json().as_object();
  const auto count = int64_t(members.size());
  check<IoError>(count <= kMostClasses, "json", "{}: 'id2label' has {} names; at most {} are read", c.file(), count,
                 kMostClasses);
  std::vector<std::string> names(members.size());
  std::vector<bool> known(members.size());
  for (const auto& [id, label] : members) {
    size_t i = members.size();
    std::from_chars(id.data(), id.data() + id.size(), i);
    if (i >= members.size() || std::to_string(i) != id || !label.is_string()) continue;
    names[i] = label.as_string();
    known[i] = true;
  }
  for (int64_t i = 0; i < count; ++i)
    if (!known[size_t(i)]) labels.text(std::to_string(i));  // throws: the entry is missing or not a text
  return names;
}

HubConfig parse_vit(const JsonObject& c, const nn::Layout& layout, double ln_eps = 1e-12) {
  nn::VitConfig v = parse_transformer(c, ln_eps, 16, 224, "gelu");
  set_hidden_width(v, c.integer("intermediate_size", 1, kMostHidden, 3072));
  v.qkv_bias = c.flag("qkv_bias", true);
  v.distilled = layout.name == "hf_deit";
  if (layout.name == "hf_deit_one_head") {
    v.num_registers = 1;
    v.pos_embed = nn::PosEmbed::all_tokens;
  }
  v.pos_interp = layout.pos_interp;
  return {.layout = &layout, .architecture = vit_architecture(v), .classes = class_names(c)};
}

HubConfig parse_vit_mae(const JsonObject& c) {
  c.pass_over({"decoder_hidden_size", "decoder_intermediate_size", "decoder_num_attention_heads",
               "decoder_num_hidden_layers", "mask_ratio", "norm_pix_loss"});  // of training: nothing is masked here
  return parse_vit(c, nn::layout_named("hf_vit"));
}

HubConfig parse_deit(const JsonObject& c) {
  return parse_vit(c, nn::layout_named(has_class(c, "DeiTForImageClassification") ? "hf_deit_one_head" : "hf_deit"));
}

HubConfig parse_dinov2(const JsonObject& c, const nn::Layout& layout, bool registers) {
  nn::VitConfig v = parse_transformer(c, 1e-6, registers ? 16 : 14, 224, "gelu");
  const double ratio = c.number("mlp_ratio", 0.01, 64, 4);
  v.ffn = c.flag("use_swiglu_ffn", false) ? nn::Ffn::swiglu : nn::Ffn::mlp;
  const auto hidden = int64_t(double(v.embed_dim) * ratio);
  set_hidden_width(v, v.ffn == nn::Ffn::swiglu ? nn::swiglu_hidden(v.embed_dim, ratio) : hidden);
  v.mlp_ratio = ratio;
  v.qkv_bias = c.flag("qkv_bias", true);
  v.layerscale_init = c.number("layerscale_value", -1e6, 1e6, 1);
  if (v.layerscale_init == 0) v.layerscale_init = 1;  // LayerScale exists even then; its values come from the weights
  v.mask_token = c.flag("use_mask_token", true);
  if (registers) v.num_registers = c.integer("num_register_tokens", 0, 1024, 4);
  v.pos_interp = registers ? ag::PosInterp::size_antialias : layout.pos_interp;
  return {.layout = &layout, .architecture = vit_architecture(v), .classes = class_names(c)};
}

void check_plain(const nn::VitConfig& c, const nn::Layout& layout) {
  refuse_in_layout(!c.class_token, layout, "average in place of the class token");
  refuse_in_layout(c.pos_embed != nn::PosEmbed::cls_and_patches, layout,
                   "table of positions without the class token's, or with the registers'");
  refuse_in_layout(c.pool == nn::Pool::avg, layout, "classifier on the mean of the patches alone");
  refuse_in_layout(c.norm_after_pool, layout, "norm after the mean of the patches");
  refuse_in_layout(c.pre_norm || c.qk_norm, layout, "norm before the blocks or of queries and keys");
}

void add_mlp_ratio(Json& json, const nn::VitConfig& c, const nn::Layout& layout) {
  const std::optional<double> ratio = dinov2_mlp_ratio(c);
  refuse_in_layout(!ratio, layout, "feed-forward of that width");
  if (*ratio == std::floor(*ratio))
    json["mlp_ratio"] = int64_t(*ratio);
  else
    json["mlp_ratio"] = *ratio;
  json["use_swiglu_ffn"] = c.ffn == nn::Ffn::swiglu;
}

constexpr HubModelType kVitTypes[] = {
    {"vit", [](const JsonObject& c) { return parse_vit(c, nn::layout_named("hf_vit")); }},
    {"deit", parse_deit},
    {"dinov2", [](const JsonObject& c) { return parse_dinov2(c, nn::layout_named("hf_dinov2"), false); }},
    {"dinov2_with_registers", [](const JsonObject& c) { return parse_dinov2(c, nn::layout_named("hf_dinov2"), true); }},
    {"vit_mae", parse_vit_mae},
    {"vit_msn", [](const JsonObject& c) { return parse_vit(c, nn::layout_named("hf_vit"), 1e-6); }},
    {"clip_vision_model", parse_clip_vision_config},
    {"timm_wrapper", parse_timm_config},
};

}  // namespace

std::span<const HubModelType> vit_model_types() { return kVitTypes; }

std::optional<double> dinov2_mlp_ratio(const nn::VitConfig& c) {
  if (c.mlp_hidden == 0) return c.mlp_ratio;
  const auto hidden = [&](double r) {
    return c.ffn == nn::Ffn::swiglu ? nn::swiglu_hidden(c.embed_dim, r) : int64_t(double(c.embed_dim) * r);
  };
  const double width = double(c.mlp_hidden) / double(c.embed_dim);
  for (const double ratio : {c.mlp_ratio, 4.0, width, 1.5 * width})
    if (hidden(ratio) == c.mlp_hidden) return ratio;
  return std::nullopt;
}

const nn::Layout& hugging_face_layout(const nn::VitConfig& c) {
  if (c.pre_norm) return nn::layout_named("hf_clip_vision");
  const bool dinov2 = c.layerscale_init != 0 || c.num_registers > 0 || c.ffn == nn::Ffn::swiglu;
  return nn::layout_named(dinov2 ? "hf_dinov2" : c.distilled ? "hf_deit" : "hf_vit");
}

std::string to_config_json(const nn::VitConfig& c, const nn::Layout& layout, const std::vector<std::string>& classes,
                           const std::string& dtype) {
  if (layout.name == "hf_clip_vision") return to_clip_vision_config_json(c, dtype);
  check_plain(c, layout);
  const bool dinov2 = layout.name == "hf_dinov2", deit = layout.name == "hf_deit", head = c.num_classes > 0;
  refuse_in_layout(!dinov2 && c.pool != nn::Pool::token, layout, "classifier on the mean of the patches");
  refuse_in_layout(c.distilled && !deit, layout, "distillation token");
  const std::string kind = deit ? "DeiT" : !dinov2 ? "ViT" : c.num_registers > 0 ? "Dinov2WithRegisters" : "Dinov2";
  const char* type = deit ? "deit" : !dinov2 ? "vit" : c.num_registers > 0 ? "dinov2_with_registers" : "dinov2";
  const char* task = !head ? "Model" : deit ? "ForImageClassificationWithTeacher" : "ForImageClassification";
  Json json = Json::object({{"architectures", Json::array({kind + task})}, {"model_type", type}});
  json.update(transformer_json(c));
  if (dinov2) {
    add_mlp_ratio(json, c, layout);
    json["layerscale_value"] = 1.0;
    if (c.num_registers > 0)
      json["num_register_tokens"] = c.num_registers;
    else
      json["use_mask_token"] = true;  // to_layout() always writes a mask token
  } else {
    json["intermediate_size"] = hidden_width(c);
  }
  json["qkv_bias"] = c.qkv_bias;
  if (head) {
    Json names = Json::object(), ids = Json::object();
    for (int64_t i = 0; i < c.num_classes; ++i) {
      const std::string id = std::to_string(i);
      const std::string label = size_t(i) < classes.size() ? classes[size_t(i)] : "LABEL_" + id;
      names[id] = label;
      ids[label] = i;
    }
    json["id2label"] = names;
    json["label2id"] = ids;
  }
  json["torch_dtype"] = dtype;
  return json.text(2) + "\n";
}

}  // namespace vitrail::recipes
