#include "vitrail/recipes/models/clip_json.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/foreign_keys.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/vit_family.h"

#include <fmt/format.h>

#include <cmath>

namespace vitrail::recipes {
namespace {

// ---- Hugging Face ---------------------------------------------------------------------------------------------------

/// The keys of an image tower. projection: the width of the space of both towers.
nn::VitConfig parse_image_tower(const JsonObject& c, int64_t projection) {
  nn::VitConfig v = parse_transformer(c, 1e-5, 32, 224, "quick_gelu");
  set_hidden_width(v, c.integer("intermediate_size", 1, kMostHidden, 3072));
  v.num_classes = projection;
  v.pre_norm = true;
  v.head_bias = false;
  v.pos_interp = nn::layout_named("hf_clip").pos_interp;
  return v;
}

/// A tower's keys. Old files have a second section, "vision_config_dict", whose values go before those of the first.
JsonObject tower(const JsonObject& c, const char* key, const char* older) {
  return c.has(older) ? c.object(key).updated(c.object(older)) : c.object(key);
}

HubConfig parse_hf_clip(const JsonObject& c) {
  const nn::Layout& layout = nn::layout_named("hf_clip");
  const JsonObject vision = tower(c, "vision_config", "vision_config_dict"),
                   text = tower(c, "text_config", "text_config_dict");
  for (const JsonObject* const part : {&vision, &text}) part->pass_over({"projection_dim"});  // the outer one counts
  nn::ClipConfig clip;
  clip.vision = parse_image_tower(vision, c.integer("projection_dim", 1, kMostWidth, 512));

  nn::TextConfig& t = clip.text;
  t.vocab_size = text.integer("vocab_size", 1, kMostWords, 49408);
  t.context_length = text.integer("max_position_embeddings", 1, kMostTokens, 77);
  t.embed_dim = text.integer("hidden_size", 1, kMostWidth, 512);
  t.depth = text.integer("num_hidden_layers", 1, kMostBlocks, 12);
  t.num_heads = text.integer("num_attention_heads", 1, kMostHeads, 8);
  check<IoError>(t.embed_dim % t.num_heads == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", text.file(),
                 text.path("hidden_size"), t.embed_dim, text.path("num_attention_heads"), t.num_heads);
  t.mlp_ratio = double(text.integer("intermediate_size", 1, kMostHidden, 2048)) / double(t.embed_dim);
  t.gelu = parse_activation(text, "quick_gelu");
  t.ln_eps = text.number("layer_norm_eps", 0, 1, 1e-5);
  t.out_dim = clip.vision.num_classes;
  // The feature of a text is read at its largest id, the first one on ties. Old files say 2 and mean the same.
  const int64_t end = text.integer("eos_token_id", 0, kMostWords, 49407);
  check<IoError>(end == 2 || end == t.vocab_size - 1, "json",
                 "{}: '{}' is {}; models here need the end of text to be the largest id, {}", text.file(),
                 text.path("eos_token_id"), end, t.vocab_size - 1);
  clip.init_logit_scale = c.number("logit_scale_init_value", -100, 100, clip.init_logit_scale);
  for (const JsonObject* const part : {&vision, &text}) expect_all_read(*part);
  return {.layout = &layout, .architecture = clip_architecture(clip)};
}

constexpr HubModelType kClipTypes[] = {{"clip", parse_hf_clip}};

// ---- open_clip ------------------------------------------------------------------------------------------------------

/// The activation of a tower: QuickGELU for both by "quick_gelu", else GELU or, by "act_kwargs", its approximation.
ag::Gelu tower_gelu(const JsonObject& c, bool quick) {
  constexpr Named<ag::Gelu> kApproximations[] = {{"none", ag::Gelu::erf}, {"tanh", ag::Gelu::tanh}};
  const JsonObject arguments = c.object("act_kwargs");
  const ag::Gelu gelu = arguments.choice("approximate", kApproximations, "none");
  check<IoError>(!quick || !arguments.has("approximate"), "json", "{}: '{}' is for GELU, but 'quick_gelu' is true",
                 c.file(), arguments.path("approximate"));
  return quick ? ag::Gelu::quick : gelu;
}

/// Kinds of blocks that are not built. Their defaults are the usual blocks.
void expect_usual_blocks(const JsonObject& c) {
  c.only("block_type", "default");
  for (const char* const key :
       {"qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"})
    c.only(key, false);
}

void state(HubConfig& config, const JsonObject& c, const char* key, double value,
           double (*in_weights)(const Architecture&), double tolerance = 0) {
  if (c.use_of(key) != JsonObject::Use::accepted) config.stated.push_back({c.path(key), value, in_weights, tolerance});
}

/// LayerScale by a value that is not null.
void state_layer_scale(HubConfig& config, const JsonObject& c, double (*in_weights)(const Architecture&)) {
  if (!c.has("ls_init_value")) return;
  c.number("ls_init_value", -1e6, 1e6);
  config.stated.push_back({c.path("ls_init_value") + " (LayerScale)", 1, in_weights});
}

void parse_open_clip_vision(const JsonObject& c, bool quick, HubConfig& config) {
  check<IoError>(!c.has("timm_model_name"), "json",
                 "{}: '{}' is {}; image towers of timm are not built here, only open_clip's own", c.file(),
                 c.path("timm_model_name"), c.has("timm_model_name") ? c.find("timm_model_name")->excerpt() : "");
  const Json* const layers = c.find("layers");
  check<IoError>(!layers || !layers->is_array(), "json", "{}: '{}' is {}; image towers that are ResNets are not built",
                 c.file(), c.path("layers"), layers ? layers->excerpt() : "");
  const int64_t width = c.integer("width", 1, kMostWidth, 768), head_width = c.integer("head_width", 1, kMostWidth, 64);
  check<IoError>(width % head_width == 0, "json", "{}: '{}' {} is not a multiple of '{}' {}", c.file(), c.path("width"),
                 width, c.path("head_width"), head_width);
  nn::Unwritten& u = config.unwritten;
  u.num_heads = width / head_width;
  u.gelu = tower_gelu(c, quick);
  u.ln_eps = c.object("norm_kwargs").number("eps", 0, 1, 1e-5);
  constexpr Named<nn::Pool> kClipPools[] = {{"tok", nn::Pool::token}, {"avg", nn::Pool::avg}};
  u.pool = c.choice("pool_type", kClipPools, "tok");
  u.norm_after_pool = c.flag("final_ln_after_pool", false) && u.pool == nn::Pool::avg;  // of one token it is the same
  expect_usual_blocks(c);
  c.only("attentional_pool", false);
  // Whether positions are learned or not, the file of weights has their table.
  c.pass_over({"patch_dropout", "pos_embed_type", "output_tokens", "attn_pooler_queries", "attn_pooler_heads",
               "image_seq_len"});
  c.pass_over({"timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path",
               "timm_model_kwargs"});

  using A = Architecture;
  state(config, c, "width", double(width), [](const A& a) { return double(a.vision().embed_dim); });
  state(config, c, "layers", double(c.integer("layers", 1, kMostBlocks, 12)),
        [](const A& a) { return double(a.vision().depth); });
  state(config, c, "patch_size", double(c.side("patch_size", kMostPatch, 16)),
        [](const A& a) { return double(a.vision().patch_size); });
  state(config, c, "image_size", double(c.side("image_size", kMostSide, 224)),
        [](const A& a) { return double(a.vision().img_size); });
  state(
      config, c, "mlp_ratio", c.number("mlp_ratio", 0.01, kMostHidden, 4),
      [](const A& a) { return double(hidden_width(a.vision())) / double(a.vision().embed_dim); }, kRatioTolerance);
  state(config, c, "no_ln_pre", double(c.flag("no_ln_pre", false)),
        [](const A& a) { return double(!a.vision().pre_norm); });
  state_layer_scale(config, c, [](const A& a) { return double(a.vision().layerscale_init != 0); });
}

/// Settings of how texts become ids. CLIP's own way alone is built; other models still have their image towers.
void parse_open_clip_tokens(const JsonObject& c, HubConfig& config) {
  for (const char* const key : {"hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs"}) {
    const Json* const value = c.find(key);
    const bool usual = !value || value->text() == "\"\"" || value->text() == "{}";
    if (!usual && config.no_texts.empty())
      config.no_texts = fmt::format(
          "{}: '{}' is {}; texts are read here by CLIP's own byte pairs alone. Images can be used. To read texts with "
          "the vocabulary beside it all the same: --accept-key {}",
          c.file(), c.path(key), value->excerpt(), key);
  }
}

void parse_open_clip_text(const JsonObject& c, bool quick, HubConfig& config) {
  check<IoError>(!c.has("hf_model_name"), "json",
                 "{}: '{}' is {}; text towers of Hugging Face are not built here, only open_clip's own", c.file(),
                 c.path("hf_model_name"), c.has("hf_model_name") ? c.find("hf_model_name")->excerpt() : "");
  nn::Unwritten& u = config.unwritten;
  u.text_num_heads = c.integer("heads", 1, kMostHeads, 8);
  u.text_gelu = tower_gelu(c, quick);
  u.text_ln_eps = c.object("norm_kwargs").number("eps", 0, 1, 1e-5);
  u.causal = !c.flag("no_causal_mask", false);
  constexpr Named<nn::TextPool> kClipPools[] = {{"argmax", nn::TextPool::argmax},
                                                {"first", nn::TextPool::first},
                                                {"last", nn::TextPool::last},
                                                {"eos", nn::TextPool::argmax}};
  u.text_pool = c.choice("pool_type", kClipPools, "argmax");
  const int64_t words = c.integer("vocab_size", 1, kMostWords, 49408);
  if (c.text("pool_type", "argmax") == "eos") c.only("eos_id", words - 1);  // the end of text is the largest id
  parse_open_clip_tokens(c, config);
  expect_usual_blocks(c);
  c.only("text_arch", "clip");
  c.only("variable_text", false);
  c.only("embed_cls", false);
  c.only("proj_bias", false);
  c.only("proj_type", "linear");
  // Padding is masked for embed_cls alone. open_clip does not read final_ln_after_pool of a text tower.
  c.pass_over({"pad_id", "bos_id", "eos_id", "final_ln_after_pool", "output_tokens", "hf_model_pretrained",
               "hf_proj_type", "hf_pooler_type", "hf_model_config", "tokenizer_type", "tiktoken_name"});

  using A = Architecture;
  state(config, c, "context_length", double(c.integer("context_length", 1, kMostTokens, 77)),
        [](const A& a) { return double(a.text()->context_length); });
  state(config, c, "vocab_size", double(words), [](const A& a) { return double(a.text()->vocab_size); });
  state(config, c, "width", double(c.integer("width", 1, kMostWidth, 512)),
        [](const A& a) { return double(a.text()->embed_dim); });
  state(config, c, "layers", double(c.integer("layers", 1, kMostBlocks, 12)),
        [](const A& a) { return double(a.text()->depth); });
  state(
      config, c, "mlp_ratio", c.number("mlp_ratio", 0.01, kMostHidden, 4),
      [](const A& a) { return a.text()->mlp_ratio; }, kRatioTolerance);
  state_layer_scale(config, c, [](const A& a) { return double(a.text()->layerscale_init != 0); });
}

/// The section "preprocess_cfg".
Preprocessing parse_open_clip_preprocessing(const JsonObject& c, int64_t img_size, HubConfig& config) {
  Preprocessing p = published_preprocessing(*config.layout, img_size);
  constexpr Named<Preprocessing::Resize> kResizeModes[] = {{"shortest", Preprocessing::Resize::shorter},
                                                           {"squash", Preprocessing::Resize::exact}};
  p.resize = c.choice("resize_mode", kResizeModes, "shortest");
  p.filter = parse_filter(c, "interpolation", data::Filter::bicubic);
  p.mean = c.triple("mean", -256, p.mean);
  p.std = c.triple("std", 0, p.std);
  c.only("mode", "RGB");
  c.pass_over({"fill_color"});  // of borders, which these modes do not have
  if (const int64_t size = c.side("size", kMostSide, img_size); size != img_size)
    config.notes.push_back(fmt::format("{}: '{}' is {}; as in open_clip, images are prepared at 'image_size' {}",
                                       c.file(), c.path("size"), size, img_size));
  return p;
}

}  // namespace

std::span<const HubModelType> clip_model_types() { return kClipTypes; }

HubConfig parse_clip_vision_config(const JsonObject& c) {
  const JsonObject vision = c.has("vision_config") ? tower(c, "vision_config", "vision_config_dict") : c;
  HubConfig config{.layout = &nn::layout_named("hf_clip_vision")};
  const JsonObject& outer = c.has("projection_dim") ? c : vision;
  const int64_t projection = outer.integer("projection_dim", 1, kMostWidth, 512);
  c.pass_over({"text_config", "text_config_dict", "logit_scale_init_value"});  // left over from the pair
  config.architecture = vit_architecture(parse_image_tower(vision, projection));
  vision.pass_over({"projection_dim"});
  expect_all_read(vision);
  return config;
}

HubConfig parse_open_clip_config(std::string_view text, const std::string& name,
                                 const std::vector<std::string>& accepted) {
  const JsonObject c = JsonObject::parse(text, name, accepted), model = c.object("model_cfg");
  const JsonObject vision = model.object("vision_cfg");
  HubConfig config{.layout = &nn::layout_named("open_clip")};
  const bool quick = model.flag("quick_gelu", false);
  parse_open_clip_vision(vision, quick, config);
  parse_open_clip_text(model.object("text_cfg"), quick, config);
  if (model.has("embed_dim"))
    state(config, model, "embed_dim", double(model.integer("embed_dim", 1, kMostWidth, 512)),
          [](const Architecture& a) { return double(a.text()->out_dim); });
  // The weights have the scale and the bias; the names of the weights tell a text tower of its own.
  model.pass_over(
      {"init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "custom_text", "cast_dtype", "output_dict"});
  config.preprocessing =
      parse_open_clip_preprocessing(c.object("preprocess_cfg"), vision.side("image_size", kMostSide, 224), config);
  expect_all_read(c);
  for (std::string& note : c.notes()) config.notes.push_back(std::move(note));
  return config;
}

namespace {

/// The keys of an image tower.
Json image_tower_json(const nn::VitConfig& c, const nn::Layout& layout) {
  refuse_in_layout(!c.pre_norm, layout, "image tower without a norm before its blocks (no_ln_pre)");
  refuse_in_layout(c.pool != nn::Pool::token, layout, "mean of the patches in place of the class token");
  Json json = transformer_json(c);
  json["model_type"] = "clip_vision_model";
  json["intermediate_size"] = hidden_width(c);
  return json;
}

}  // namespace

std::string to_clip_vision_config_json(const nn::VitConfig& c, const std::string& dtype) {
  const nn::Layout& layout = nn::layout_named("hf_clip_vision");
  refuse_in_layout(c.num_classes > 0 && c.head_bias, layout, "classifier; its head is a projection without a bias");
  refuse_in_layout(!c.class_token || c.distilled || c.num_registers > 0 || c.qk_norm || c.layerscale_init != 0 ||
                       !c.qkv_bias || c.ffn != nn::Ffn::mlp,
                   layout, "tokens or blocks but the usual ones");
  Json json = Json::object(
      {{"architectures", Json::array({c.num_classes > 0 ? "CLIPVisionModelWithProjection" : "CLIPVisionModel"})}});
  json.update(image_tower_json(c, layout));
  if (c.num_classes > 0) json["projection_dim"] = c.num_classes;
  json["torch_dtype"] = dtype;
  return json.text(2) + "\n";
}

std::string to_config_json(const nn::ClipConfig& c, const std::string& dtype) {
  const nn::Layout& layout = nn::layout_named("hf_clip");
  const nn::TextConfig& t = c.text;
  refuse_in_layout(!t.causal, layout, "text tower without a causal mask");
  refuse_in_layout(t.pool != nn::TextPool::argmax, layout, "features read elsewhere than at the end of a text");
  Json vision = image_tower_json(c.vision, layout);
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
                                  {"torch_dtype", dtype}});
  return json.text(2) + "\n";
}

std::string to_open_clip_config_json(const nn::ClipConfig& c, const Preprocessing& p) {
  const nn::Layout& layout = nn::layout_named("open_clip");
  refuse_in_layout(c.vision.embed_dim % c.vision.num_heads != 0, layout, "heads of unequal width");
  const bool quick = c.text.gelu == ag::Gelu::quick;
  refuse_in_layout(quick != (c.vision.gelu == ag::Gelu::quick), layout, "QuickGELU in one tower alone");
  Json model = Json::object(
      {{"embed_dim", c.text.out_dim},
       {"vision_cfg", Json::object({{"image_size", c.vision.img_size},
                                    {"layers", c.vision.depth},
                                    {"width", c.vision.embed_dim},
                                    {"head_width", c.vision.embed_dim / c.vision.num_heads},
                                    {"mlp_ratio", double(hidden_width(c.vision)) / double(c.vision.embed_dim)},
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
  const auto add_norm_and_gelu = [](Json& tower, double eps, ag::Gelu gelu) {
    constexpr double kUsualEps = 1e-5;
    if (eps != kUsualEps) tower["norm_kwargs"] = Json::object({{"eps", eps}});
    if (gelu == ag::Gelu::tanh) tower["act_kwargs"] = Json::object({{"approximate", "tanh"}});
  };
  add_norm_and_gelu(model["vision_cfg"], c.vision.ln_eps, c.vision.gelu);
  add_norm_and_gelu(model["text_cfg"], c.text.ln_eps, c.text.gelu);
  if (!c.vision.pre_norm) model["vision_cfg"]["no_ln_pre"] = true;
  if (c.vision.pool == nn::Pool::avg) model["vision_cfg"]["pool_type"] = "avg";
  if (c.vision.norm_after_pool) model["vision_cfg"]["final_ln_after_pool"] = true;
  if (!c.text.causal) model["text_cfg"]["no_causal_mask"] = true;
  if (c.text.pool != nn::TextPool::argmax)
    model["text_cfg"]["pool_type"] = c.text.pool == nn::TextPool::first ? "first" : "last";
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
