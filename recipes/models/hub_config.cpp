#include "vitrail/recipes/models/hub_config.h"

#include "vitrail/recipes/config/json_object.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace vitrail::recipes {
namespace {

// Beyond these nothing was ever published; they keep a bad file from asking for all of memory.
constexpr int64_t kMostWidth = 1 << 14, kMostBlocks = 256, kMostHidden = 1 << 17, kMostSide = 1 << 14,
                  kMostPatch = 1 << 10, kMostHeads = 1 << 10, kMostWords = 1 << 22, kMostTokens = 1 << 16,
                  kMostClasses = 1 << 20;

// ---- activations ----------------------------------------------------------------------------------------------------

struct Activation {
  std::string_view name;
  ag::Gelu gelu;
};
constexpr Activation kActivations[] = {{"gelu", ag::Gelu::erf},
                                       {"quick_gelu", ag::Gelu::quick},
                                       {"gelu_pytorch_tanh", ag::Gelu::tanh},
                                       {"gelu_new", ag::Gelu::tanh},
                                       {"gelu_fast", ag::Gelu::tanh}};

ag::Gelu activation(const JsonObject& c, const char* otherwise) {
  const std::string name = c.text("hidden_act", otherwise);
  std::string known;
  for (const Activation& a : kActivations) {
    if (a.name == name) return a.gelu;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  fail<IoError>("json", "{}: '{}' is \"{}\"; known are {}", c.file(), c.path("hidden_act"), name, known);
}

std::string activation_name(ag::Gelu gelu) {
  return std::string(
      std::find_if(std::begin(kActivations), std::end(kActivations), [&](auto& a) { return a.gelu == gelu; })->name);
}

// ---- reading --------------------------------------------------------------------------------------------------------

/// The names of "id2label", {"0": "tench", ...}.
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
    if (!known[size_t(i)]) labels.text(std::to_string(i));  // throws an error that says what is there
  return names;
}

/// What ViT, DeiT, Dinov2 and both towers of CLIP call alike.
nn::VitConfig parse_transformer(const JsonObject& c, double ln_eps, int64_t patch_size, int64_t img_size,
                                const char* activation_name) {
  nn::VitConfig v;
  v.embed_dim = c.integer("hidden_size", 1, kMostWidth, 768);
  v.depth = c.integer("num_hidden_layers", 1, kMostBlocks, 12);
  v.num_heads = c.integer("num_attention_heads", 1, kMostHeads, 12);
  check<IoError>(v.embed_dim % v.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("hidden_size"), v.embed_dim, c.path("num_attention_heads"), v.num_heads);
  v.ln_eps = c.number("layer_norm_eps", 0, 1, ln_eps);
  v.gelu = activation(c, activation_name);
  v.patch_size = c.integer("patch_size", 1, kMostPatch, patch_size);
  v.img_size = c.integer("image_size", 1, kMostSide, img_size);
  v.in_chans = c.integer("num_channels", 1, 64, 3);
  check<IoError>(v.img_size % v.patch_size == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(),
                 c.path("image_size"), v.img_size, c.path("patch_size"), v.patch_size);
  return v;
}

void set_hidden(nn::VitConfig& v, int64_t hidden) {
  v.mlp_hidden = hidden;
  v.mlp_ratio = double(hidden) / double(v.embed_dim);
}

HubConfig parse_vit(const JsonObject& c, const nn::Layout& layout) {
  nn::VitConfig v = parse_transformer(c, 1e-12, 16, 224, "gelu");
  set_hidden(v, c.integer("intermediate_size", 1, kMostHidden, 3072));
  v.qkv_bias = c.flag("qkv_bias", true);
  v.distilled = layout.name == "hf_deit";
  v.pos_interp = layout.pos_interp;
  return {.layout = &layout, .architecture = v, .classes = class_names(c)};
}

HubConfig parse_dinov2(const JsonObject& c, const nn::Layout& layout, bool registers) {
  nn::VitConfig v = parse_transformer(c, 1e-6, registers ? 16 : 14, 224, "gelu");
  const double ratio = c.number("mlp_ratio", 0.01, 64, 4);
  v.ffn = c.flag("use_swiglu_ffn", false) ? nn::Ffn::swiglu : nn::Ffn::mlp;
  const auto hidden = int64_t(double(v.embed_dim) * ratio);
  set_hidden(v, v.ffn == nn::Ffn::swiglu ? nn::swiglu_hidden(v.embed_dim, ratio) : hidden);
  v.mlp_ratio = ratio;
  v.qkv_bias = c.flag("qkv_bias", true);
  v.layerscale_init = c.number("layerscale_value", -1e6, 1e6, 1);
  if (v.layerscale_init == 0) v.layerscale_init = 1;  // there is one all the same; the weights have its values
  v.mask_token = c.flag("use_mask_token", true);
  if (registers) v.num_registers = c.integer("num_register_tokens", 0, 1024, 4);
  v.pos_interp = registers ? ag::PosInterp::size_antialias : layout.pos_interp;
  return {.layout = &layout, .architecture = v, .classes = class_names(c)};
}

HubConfig parse_clip(const JsonObject& c, const nn::Layout& layout) {
  const JsonObject vision = c.object("vision_config"), text = c.object("text_config");
  nn::ClipConfig clip;
  nn::VitConfig& v = clip.vision = parse_transformer(vision, 1e-5, 32, 224, "quick_gelu");
  set_hidden(v, vision.integer("intermediate_size", 1, kMostHidden, 3072));
  v.num_classes = c.integer("projection_dim", 1, kMostWidth, 512);
  v.pre_norm = true;
  v.head_bias = false;
  v.pos_interp = layout.pos_interp;

  nn::TextConfig& t = clip.text;
  t.vocab_size = text.integer("vocab_size", 1, kMostWords, 49408);
  t.context_length = text.integer("max_position_embeddings", 1, kMostTokens, 77);
  t.embed_dim = text.integer("hidden_size", 1, kMostWidth, 512);
  t.depth = text.integer("num_hidden_layers", 1, kMostBlocks, 12);
  t.num_heads = text.integer("num_attention_heads", 1, kMostHeads, 8);
  check<IoError>(t.embed_dim % t.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", text.file(),
                 text.path("hidden_size"), t.embed_dim, text.path("num_attention_heads"), t.num_heads);
  t.mlp_ratio = double(text.integer("intermediate_size", 1, kMostHidden, 2048)) / double(t.embed_dim);
  t.gelu = activation(text, "quick_gelu");
  t.ln_eps = text.number("layer_norm_eps", 0, 1, 1e-5);
  t.out_dim = v.num_classes;
  // The feature is taken at the first of the largest ids. 2 stands in old files, whose models are used that way.
  const int64_t end = text.integer("eos_token_id", 0, kMostWords, 49407);
  check<IoError>(end == 2 || end == t.vocab_size - 1, "json",
                 "{}: '{}' is {}; models here need the end of text to be the largest id, {}", text.file(),
                 text.path("eos_token_id"), end, t.vocab_size - 1);
  clip.init_logit_scale = c.number("logit_scale_init_value", -100, 100, clip.init_logit_scale);
  return {.layout = &layout, .architecture = clip};
}

/// "pretrained_cfg" of timm.
Preprocessing parse_timm_preprocessing(const JsonObject& c) {
  Preprocessing p;
  int64_t side = 224;
  const Json* const size = c.find("input_size");
  if (size && size->is_array() && size->as_array().size() == 3 && size->as_array()[2].is_integer()) {
    side = size->as_array()[2].as_int64();
    check<IoError>(side >= 1 && side <= kMostSide, "json", "{}: '{}' is {}", c.file(), c.path("input_size"),
                   size->excerpt());
  }
  p.crop = side;
  p.size = int64_t(std::floor(double(side) / c.number("crop_pct", 0.1, 1, 0.875)));
  p.filter = data::parse_filter(c.text("interpolation", "bicubic"));
  p.mean = c.triple("mean", -256, p.mean);
  p.std = c.triple("std", 0, p.std);
  return p;
}

HubConfig parse_timm(const JsonObject& c) {
  HubConfig config{.layout = &nn::layout_named("timm")};
  const JsonObject pretrained = c.object("pretrained_cfg");
  config.preprocessing = parse_timm_preprocessing(pretrained);
  const Json* const labels = pretrained.find("label_names");
  if (labels && labels->is_array() && int64_t(labels->as_array().size()) <= kMostClasses)
    for (const Json& label : labels->as_array())
      if (label.is_string()) config.classes.push_back(label.as_string());
  return config;
}

// ---- writing --------------------------------------------------------------------------------------------------------

void refuse(bool refused, const nn::Layout& layout, const char* what) {
  check<ConfigError>(!refused, "layout", "models of {} have no {}", layout.title, what);
}

void check_plain(const nn::VitConfig& c, const nn::Layout& layout) {
  refuse(!c.class_token, layout, "average in place of the class token");
  refuse(c.pos_embed != nn::PosEmbed::cls_and_patches, layout,
         "table of positions without the class token's, or with the registers'");
  refuse(c.pool == nn::Pool::avg, layout, "classifier on the mean of the patches alone");
  refuse(c.pre_norm || c.qk_norm, layout, "norm before the blocks or of queries and keys");
}

Json transformer_json(const nn::VitConfig& c) {
  return Json::object({{"hidden_size", c.embed_dim},
                       {"num_hidden_layers", c.depth},
                       {"num_attention_heads", c.num_heads},
                       {"hidden_act", activation_name(c.gelu)},
                       {"layer_norm_eps", c.ln_eps},
                       {"image_size", c.img_size},
                       {"patch_size", c.patch_size},
                       {"num_channels", c.in_chans}});
}

int64_t hidden_of(const nn::VitConfig& c) {
  return c.mlp_hidden > 0 ? c.mlp_hidden : std::llround(c.mlp_ratio * double(c.embed_dim));
}

/// DINOv2's files have the ratio and not the width, of which this is the rule.
void add_mlp_ratio(Json& json, const nn::VitConfig& c, const nn::Layout& layout) {
  const bool swiglu = c.ffn == nn::Ffn::swiglu;
  double ratio = c.mlp_ratio;
  const auto hidden = [&](double r) {
    return swiglu ? nn::swiglu_hidden(c.embed_dim, r) : int64_t(double(c.embed_dim) * r);
  };
  if (c.mlp_hidden > 0)  // an architecture from weights has the width alone
    for (const double r :
         {4.0, double(c.mlp_hidden) / double(c.embed_dim), 1.5 * double(c.mlp_hidden) / double(c.embed_dim)})
      if (hidden(r) == c.mlp_hidden) {
        ratio = r;
        break;
      }
  refuse(c.mlp_hidden > 0 && hidden(ratio) != c.mlp_hidden, layout, "feed-forward of that width");
  if (ratio == std::floor(ratio))
    json["mlp_ratio"] = int64_t(ratio);
  else
    json["mlp_ratio"] = ratio;
  json["use_swiglu_ffn"] = swiglu;
}

}  // namespace

const nn::Layout& hugging_face_layout(const nn::VitConfig& c) {
  const bool dinov2 = c.layerscale_init != 0 || c.num_registers > 0 || c.ffn == nn::Ffn::swiglu;
  return nn::layout_named(dinov2 ? "hf_dinov2" : c.distilled ? "hf_deit" : "hf_vit");
}

HubConfig parse_config(std::string_view text, const std::string& name) {
  const JsonObject c = JsonObject::parse(text, name);
  if (!c.has("model_type") && c.has("pretrained_cfg")) return parse_timm(c);
  const std::string type = c.text("model_type");
  if (type == "vit") return parse_vit(c, nn::layout_named("hf_vit"));
  if (type == "deit") return parse_vit(c, nn::layout_named("hf_deit"));
  if (type == "dinov2") return parse_dinov2(c, nn::layout_named("hf_dinov2"), false);
  if (type == "dinov2_with_registers") return parse_dinov2(c, nn::layout_named("hf_dinov2"), true);
  if (type == "clip") return parse_clip(c, nn::layout_named("hf_clip"));
  fail<IoError>("json", "{}: 'model_type' is \"{}\"; known are vit, deit, dinov2, dinov2_with_registers and clip", name,
                type);
}

HubConfig parse_open_clip_config(std::string_view text, const std::string& name) {
  const JsonObject c = JsonObject::parse(text, name);
  const JsonObject model = c.object("model_cfg"), vision = model.object("vision_cfg"), words = model.object("text_cfg");
  HubConfig config{.layout = &nn::layout_named("open_clip")};
  const int64_t width = vision.integer("width", 1, kMostWidth, 768);
  const int64_t head_width = vision.integer("head_width", 1, kMostWidth, 64);
  check<IoError>(width % head_width == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", name,
                 vision.path("width"), width, vision.path("head_width"), head_width);
  config.unwritten.num_heads = width / head_width;
  config.unwritten.text_num_heads = words.integer("heads", 1, kMostHeads, 8);
  config.unwritten.gelu = model.flag("quick_gelu", false) ? ag::Gelu::quick : ag::Gelu::erf;

  const JsonObject pixels = c.object("preprocess_cfg");
  Preprocessing p = published_preprocessing(*config.layout, vision.integer("image_size", 1, kMostSide, 224));
  const std::string mode = pixels.text("resize_mode", "shortest");
  check<IoError>(mode == "shortest" || mode == "squash", "json",
                 "{}: '{}' is \"{}\"; known are \"shortest\" and \"squash\"", name, pixels.path("resize_mode"), mode);
  if (mode == "squash") p.resize = Preprocessing::Resize::exact;
  p.filter = data::parse_filter(pixels.text("interpolation", "bicubic"));
  p.mean = pixels.triple("mean", -256, p.mean);
  p.std = pixels.triple("std", 0, p.std);
  config.preprocessing = p;
  return config;
}

std::string to_config_json(const nn::VitConfig& c, const nn::Layout& layout, const std::vector<std::string>& classes) {
  check_plain(c, layout);
  const bool dinov2 = layout.name == "hf_dinov2", deit = layout.name == "hf_deit", head = c.num_classes > 0;
  refuse(dinov2 && c.layerscale_init == 0, layout, "blocks without LayerScale");
  refuse(!dinov2 && c.pool != nn::Pool::token, layout, "classifier on the mean of the patches");
  refuse(c.distilled != deit, layout, c.distilled ? "distillation token" : "model without a distillation token");
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
      json["use_mask_token"] = true;  // to_layout writes one in any case
  } else {
    json["intermediate_size"] = hidden_of(c);
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
  json["torch_dtype"] = "float32";
  return json.text(2) + "\n";
}

std::string to_config_json(const nn::ClipConfig& c) {
  const nn::TextConfig& t = c.text;
  Json vision = transformer_json(c.vision);
  vision["model_type"] = "clip_vision_model";
  vision["intermediate_size"] = hidden_of(c.vision);
  vision["projection_dim"] = c.text.out_dim;
  const Json text = Json::object({{"model_type", "clip_text_model"},
                                  {"vocab_size", t.vocab_size},
                                  {"max_position_embeddings", t.context_length},
                                  {"hidden_size", t.embed_dim},
                                  {"intermediate_size", std::llround(t.mlp_ratio * double(t.embed_dim))},
                                  {"num_hidden_layers", t.depth},
                                  {"num_attention_heads", t.num_heads},
                                  {"hidden_act", activation_name(t.gelu)},
                                  {"layer_norm_eps", t.ln_eps},
                                  {"projection_dim", t.out_dim},
                                  {"bos_token_id", t.vocab_size - 2},
                                  {"eos_token_id", t.vocab_size - 1},
                                  {"pad_token_id", t.vocab_size - 1}});
  const Json json = Json::object({{"architectures", Json::array({"CLIPModel"})},
                                  {"model_type", "clip"},
                                  {"projection_dim", t.out_dim},
                                  {"logit_scale_init_value", c.init_logit_scale},
                                  {"text_config", text},
                                  {"vision_config", vision},
                                  {"torch_dtype", "float32"}});
  return json.text(2) + "\n";
}

std::string to_open_clip_config_json(const nn::ClipConfig& c, const Preprocessing& p) {
  const nn::Layout& layout = nn::layout_named("open_clip");
  refuse(c.vision.embed_dim % c.vision.num_heads != 0, layout, "heads of unequal width");
  const bool quick = c.text.gelu == ag::Gelu::quick;
  refuse(c.text.gelu == ag::Gelu::tanh || c.vision.gelu != c.text.gelu, layout, "such activation");
  Json model = Json::object(
      {{"embed_dim", c.text.out_dim},
       {"vision_cfg", Json::object({{"image_size", c.vision.img_size},
                                    {"layers", c.vision.depth},
                                    {"width", c.vision.embed_dim},
                                    {"head_width", c.vision.embed_dim / c.vision.num_heads},
                                    {"mlp_ratio", double(hidden_of(c.vision)) / double(c.vision.embed_dim)},
                                    {"patch_size", c.vision.patch_size}})},
       {"text_cfg", Json::object({{"context_length", c.text.context_length},
                                  {"vocab_size", c.text.vocab_size},
                                  {"width", c.text.embed_dim},
                                  {"heads", c.text.num_heads},
                                  {"layers", c.text.depth},
                                  {"mlp_ratio", c.text.mlp_ratio}})}});
  if (c.vision.layerscale_init != 0) model["vision_cfg"]["ls_init_value"] = c.vision.layerscale_init;
  if (c.text.layerscale_init != 0) model["text_cfg"]["ls_init_value"] = c.text.layerscale_init;
  if (quick) model["quick_gelu"] = true;
  if (c.init_logit_bias) model["init_logit_bias"] = *c.init_logit_bias;
  const Json json = Json::object(
      {{"model_cfg", model},
       {"preprocess_cfg",
        Json::object({{"mean", p.mean},
                      {"std", p.std},
                      {"interpolation", data::to_string(p.filter)},
                      {"resize_mode", p.resize == Preprocessing::Resize::exact ? "squash" : "shortest"}})}});
  return json.text(2) + "\n";
}

}  // namespace vitrail::recipes
