// The configurations of other programs: each setting is used, known to be harmless, or refused by name.
#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::TemporaryFolder;
using test::write_text;

namespace {

namespace fs = std::filesystem;

constexpr int64_t kWords = 515;  // of a vocabulary with one merge

nn::VitConfig small_vit() {
  nn::VitConfig c{.img_size = 16, .patch_size = 8, .num_classes = 0, .embed_dim = 16};
  c.depth = c.num_heads = 2;
  return c;
}

nn::ClipConfig small_clip() {
  nn::ClipConfig c;
  c.vision = small_vit();
  c.vision.num_classes = 6;
  c.vision.pre_norm = true;
  c.vision.head_bias = false;
  c.vision.ln_eps = 1e-5;
  c.vision.gelu = c.text.gelu = ag::Gelu::quick;
  c.text.vocab_size = kWords;
  c.text.context_length = 8;
  c.text.embed_dim = 16;
  c.text.depth = c.text.num_heads = 2;
  c.text.out_dim = 6;
  return c;
}

data::Vocabulary small_vocabulary() { return data::Vocabulary(std::vector<data::Vocabulary::Symbols>{{"a", "b"}}); }

PublishedModel published(const nn::ClipConfig& config) {
  PublishedModel model;
  model.source = "made";
  model.layout = &nn::layout_named("open_clip");
  model.architecture = clip_architecture(config);
  nn::Clip clip(nn::Scope(3), config);
  for (nn::Parameter* p : clip.parameters())
    p->update([&](Tensor& t) {
      if (p->name().ends_with("bias")) t.copy_(Rng(4, p->name()).normal(t.shape(), 0, 0.1));
    });
  model.weights = nn::state(clip);
  model.preprocessing = published_preprocessing(*model.layout, config.vision.img_size);
  model.vocabulary = small_vocabulary;
  return model;
}

/// Images far from zero, so that settings of a model show in its features.
const Tensor kImages = Rng(1, "images").uniform({2, 3, 16, 16}, -3, 3);
const std::vector<std::string> kTexts = {"ab a", "b"};

Tensor image_features(const fs::path& folder, const PublishedOptions& options = {}) {
  return open_model(folder, {}, options).image_features(kImages);
}
Tensor text_features(const fs::path& folder) { return open_model(folder).text_features(kTexts); }

json read_json(const fs::path& path) { return json::parse(test::read_text(path)); }
void patch(const fs::path& path, const json& changes) {
  json config = read_json(path);
  config.merge_patch(changes);
  write_text(path, config.dump());
}

bool has_note(const std::vector<std::string>& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(), [&](const auto& note) { return note.find(text) != note.npos; });
}

/// The weights of CLIP's image tower under timm's names, without its projection, and a config.json of timm.
void write_timm(const fs::path& folder, const TensorMap& clip, const json& config) {
  TensorMap tower = without_prefix(clip, "visual.");
  tower.erase("head.weight");
  fs::create_directories(folder);
  safetensors::save(folder / "model.safetensors", nn::to_layout(nn::layout_named("timm"), tower).weights);
  write_text(folder / "config.json", config.dump());
}

json timm_config(const std::string& architecture) {
  return {{"architecture", architecture},
          {"pretrained_cfg",
           {{"input_size", {3, 16, 16}},
            {"crop_pct", 1},
            {"interpolation", "bicubic"},
            {"mean", {0.5, 0.5, 0.5}},
            {"std", {0.5, 0.5, 0.5}},
            {"tag", "openai"},
            {"license", "mit"}}}};
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
#define CHECK_REFUSED(action, text) \
  CHECK_MESSAGE(refusal([&] { action; }).find(text) != std::string::npos, refusal([&] { action; }))

}  // namespace

TEST_CASE("foreign configs: timm's names say QuickGELU and the epsilon of CLIP's towers") {
  const auto golden = test::clip_golden();
  if (!golden) return;
  const TensorMap clip = nn::from_layout(nn::layout_named("openai_clip"), golden->weights).weights;
  const TemporaryFolder temp;
  write_timm(temp.path() / "quick", clip, timm_config("vit_base_patch32_clip_quickgelu_224.openai"));
  write_timm(temp.path() / "exact", clip, timm_config("vit_base_patch32_clip_224"));
  const Tensor projection = clip.at("visual.head.weight").to(DType::f32);
  for (const std::string activation : {"quick_gelu", "gelu"}) {
    const OpenModel model = open_model(temp.path() / (activation == "gelu" ? "exact" : "quick"));
    const Tensor features = model.image_features(golden->images.to(DType::f32));
    CHECK(test::relative_error(core::matmul(features, projection, core::Trans::no, core::Trans::yes),
                               test::matrix(golden->file["results"][activation]["image_features"])) < 1e-5);
    CHECK(model.architecture->vision().ln_eps == 1e-5);
    // The name's width is not that of these weights, so its heads are not either.
    CHECK(has_note(model.notes, "has a width of 768, the weights have 128"));
    CHECK(has_note(model.notes, "2 heads"));
  }
}

TEST_CASE("foreign configs: what the names of timm's architectures mean") {
  const auto parse = [](const char* name) { return parse_config(timm_config(name).dump(), "config.json"); };
  struct Row {
    const char* name;
    int64_t width, heads;
    double eps;
    ag::Gelu gelu;
    nn::Pool pool;
  };
  using enum ag::Gelu;
  using enum nn::Pool;
  const Row rows[] = {{"vit_tiny_patch16_224", 192, 3, 1e-6, erf, token},
                      {"vit_base_patch16_224.augreg2_in21k_ft_in1k", 768, 12, 1e-6, erf, token},
                      {"vit_small_patch16_224_dino", 384, 6, 1e-6, erf, token},
                      {"vit_base_patch16_gap_224", 768, 16, 1e-6, erf, avg},
                      {"vit_medium_patch16_reg4_gap_256", 512, 8, 1e-6, erf, avg},
                      {"vit_giant_patch14_reg4_dinov2", 1536, 24, 1e-6, erf, token},
                      {"vit_so400m_patch14_siglip_gap_224", 1152, 16, 1e-6, erf, avg},
                      {"vit_so400m_patch16_siglip_gap_384", 1152, 16, 1e-6, ag::Gelu::tanh, avg},
                      {"vit_huge_patch14_clip_quickgelu_378.dfn5b", 1280, 16, 1e-5, quick, token},
                      {"vit_base_patch16_plus_clip_240", 896, 14, 1e-5, erf, token},
                      {"deit3_medium_patch16_224", 512, 8, 1e-6, erf, token},
                      {"deit_small_distilled_patch16_224", 384, 6, 1e-6, erf, token},
                      {"flexivit_large", 1024, 16, 1e-6, erf, token}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const HubConfig config = parse(row.name);
    REQUIRE(config.named.has_value());
    CHECK(config.named->width == row.width);
    CHECK(config.named->num_heads == row.heads);
    CHECK(config.unwritten.ln_eps == row.eps);
    CHECK(config.unwritten.gelu == row.gelu);
    CHECK(config.unwritten.pool == row.pool);
  }
  for (const char* name : {"resnet50", "vit_base_patch16_siglip_224", "eva02_base_patch14_448", "vit_base_patch16_",
                           "vit_colossal_patch16_224", "vit_base_patch16_rope_224", "vit_base_patch16_224x"}) {
    CAPTURE(name);
    CHECK_REFUSED(parse(name), "'architecture' is \"" + std::string(name) + "\"");
  }
  CHECK(parse_config(timm_config("resnet50").dump(), "config.json", {"architecture"}).notes ==
        std::vector<std::string>{"config.json: 'architecture' is passed over, as was asked"});
}

TEST_CASE("foreign configs: timm's model_args are used, or compared with the weights") {
  const TemporaryFolder temp;
  const TensorMap clip = published(small_clip()).weights;
  const auto with = [&](const json& changes) {
    json config = timm_config("vit_base_patch32_clip_quickgelu_224");
    config["model_args"] = {{"embed_dim", 16}, {"num_heads", 2}, {"depth", 2}};
    config.merge_patch(changes);
    write_timm(temp.path(), clip, config);
    return open_model(temp.path());
  };
  const OpenModel plain = with(json::object());
  CHECK(plain.notes.empty());
  const Tensor features = plain.image_features(kImages);
  const auto differs = [&](const json& changes) {
    return test::max_difference(with(changes).image_features(kImages), features) > 1e-4;
  };
  CHECK_FALSE(differs({{"num_features", 16}, {"global_pool", "token"}, {"num_classes", 0}}));
  CHECK(differs({{"model_args", {{"num_heads", 4}}}}));
  CHECK(differs({{"model_args", {{"norm_eps", 0.5}}}}));
  CHECK(differs({{"model_args", {{"act_layer", "gelu_tanh"}}}}));
  CHECK(differs({{"model_args", {{"global_pool", "avg"}}}}));
  CHECK(differs({{"global_pool", "avg"}}));
  struct Row {
    const char *changes, *message;
  };
  const Row rows[] = {
      {R"({"model_args": {"depth": 7}})", "has 'model_args.depth' 7, the weights have 2"},
      {R"({"model_args": {"embed_dim": 32}})", "has 'model_args.embed_dim' 32, the weights have 16"},
      {R"({"model_args": {"mlp_ratio": 3}})", "has 'model_args.mlp_ratio' 3, the weights have 4"},
      {R"({"model_args": {"patch_size": [16, 16]}})", "has 'model_args.patch_size' 16, the weights have 8"},
      {R"({"model_args": {"img_size": 32}})", "has 'model_args.img_size' 32, the weights have 16"},
      {R"({"model_args": {"qkv_bias": false}})", "has 'model_args.qkv_bias' 0, the weights have 1"},
      {R"({"model_args": {"class_token": false}})", "has 'model_args.class_token' 0, the weights have 1"},
      {R"({"model_args": {"reg_tokens": 4}})", "has 'model_args.reg_tokens' 4, the weights have 0"},
      {R"({"model_args": {"init_values": 1e-5}})", "has 'model_args.init_values (LayerScale)' 1, the weights have 0"},
      {R"({"model_args": {"no_embed_class": true}})", "has 'model_args.no_embed_class' 1, the weights have 0"},
      {R"({"model_args": {"act_layer": "relu"}})", "'model_args.act_layer' is \"relu\"; known are gelu, gelu_tanh"},
      {R"({"model_args": {"norm_layer": "rmsnorm"}})", "'model_args.norm_layer' is \"rmsnorm\""},
      {R"({"model_args": {"global_pool": "map"}})", "'model_args.global_pool' is \"map\"; known are token, avg"},
      {R"({"model_args": {"pos_embed": "none"}})", "'model_args.pos_embed' is \"none\"; known is \"learn\""},
      {R"({"model_args": {"final_norm": false}})", "'model_args.final_norm' is false; known is true"},
      {R"({"model_args": {"num_head": 2}})", "'model_args.num_head' is 2; this key is not known here"},
      {R"({"model_args": {"num_head": 2}})", "did you mean 'num_heads'?; to pass over it: --accept-key"},
      {R"({"global_pool": "max"})", "'global_pool' is \"max\""},
      {R"({"num_classes": 1000})", "has 'num_classes' 1000, the weights have 0"},
      {R"({"num_features": 768})", "has 'num_features' 768, the weights have 16"},
      {R"({"pretrained_cfg": {"crop_mode": "border"}})",
       "'pretrained_cfg.crop_mode' is \"border\"; known are center, squash"},
      {R"({"pretrained_cfg": {"input_size": 16}})",
       "'pretrained_cfg.input_size' is 16; it must be three whole numbers"},
      {R"({"pretrained_cfg": {"input_size": [3, 16, 32]}})", "images must be square here"},
      {R"({"pretrained_cfg": {"input_size": [1, 16, 16]}})",
       "has 'pretrained_cfg.input_size[0]' 1, the weights have 3"},
      {R"({"pretrained_cfg": {"interpolation": "random"}})",
       "'pretrained_cfg.interpolation' is \"random\"; known are nearest"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.changes);
    CHECK_REFUSED(with(json::parse(row.changes)), row.message);
  }
  const Preprocessing squashed = with({{"pretrained_cfg", {{"crop_mode", "squash"}, {"crop_pct", 0.5}}}}).preprocessing;
  CHECK(squashed.resize == Preprocessing::Resize::exact);
  CHECK(squashed.size == 32);
  CHECK(squashed.crop == 16);
  CHECK(has_note(with({{"pretrained_cfg", {{"input_size", {3, 24, 24}}}}}).notes,
                 "images are prepared at 24 x 24, but the model's positions are for 16 x 16: they are resampled"));
}

TEST_CASE("foreign configs: timm's folders in their older and wrapped forms") {
  const TemporaryFolder temp;
  const TensorMap clip = published(small_clip()).weights;
  json config = timm_config("vit_base_patch32_clip_quickgelu_224");
  config["model_args"] = {{"embed_dim", 16}, {"num_heads", 2}};
  write_timm(temp.path() / "plain", clip, config);
  const Tensor features = image_features(temp.path() / "plain");

  json flat = config["pretrained_cfg"];
  flat["architecture"] = config["architecture"];
  flat["num_features"] = 16;
  flat["model_args"] = config["model_args"];
  write_timm(temp.path() / "flat", clip, flat);
  CHECK(test::max_difference(image_features(temp.path() / "flat"), features) == 0);
  CHECK(open_model(temp.path() / "flat").preprocessing == open_model(temp.path() / "plain").preprocessing);

  json wrapped = config;
  wrapped.update(
      {{"model_type", "timm_wrapper"}, {"do_pooling", true}, {"initializer_range", 0.02}, {"dtype", "float32"}});
  write_timm(temp.path() / "wrapped", clip, wrapped);
  TensorMap weights;
  for (const auto& [name, t] : safetensors::Reader(temp.path() / "wrapped/model.safetensors").read_all())
    weights["timm_model." + name] = t;
  safetensors::save(temp.path() / "wrapped/model.safetensors", weights);
  write_text(
      temp.path() / "wrapped/preprocessor_config.json",
      json{{"image_processor_type", "TimmWrapperImageProcessor"}, {"pretrained_cfg", config["pretrained_cfg"]}}.dump());
  CHECK(test::max_difference(image_features(temp.path() / "wrapped"), features) == 0);
  CHECK(open_model(temp.path() / "wrapped").preprocessing == open_model(temp.path() / "plain").preprocessing);

  nn::VitConfig classifier = small_vit();
  classifier.num_classes = 2;
  const TensorMap vit = nn::state(nn::VisionTransformer(nn::Scope(1), classifier));
  fs::create_directories(temp.path() / "named");
  safetensors::save(temp.path() / "named/model.safetensors", vit);
  for (const char* names : {R"({"label_names": ["x", "y"]})", R"({"label_names": {"0": "x", "1": "y"}})",
                            R"({"label_names": {"1": "y", "0": "x"}, "label_descriptions": {"x": "an x"}})",
                            R"({"pretrained_cfg": {"label_names": ["x", "y"]}})"}) {
    CAPTURE(names);
    json named = {{"architecture", "test_vit"}, {"num_classes", 2}, {"model_args", {{"embed_dim", 16}}}};
    named["pretrained_cfg"] = {{"input_size", {3, 16, 16}}};
    named.merge_patch(json::parse(names));
    write_text(temp.path() / "named/config.json", named.dump());
    const PublishedModel model = read_published_model(temp.path() / "named");
    CHECK(model.classes == std::vector<std::string>{"x", "y"});
    CHECK(model.architecture->vision().num_heads == 2);
    write_model(model, "hf", temp.path() / "hf");
    CHECK(read_json(temp.path() / "hf/config.json")["id2label"] == json::parse(R"({"0": "x", "1": "y"})"));
  }
}

TEST_CASE("foreign configs: open_clip's settings of the towers are used, or refused by key") {
  const TemporaryFolder temp;
  const fs::path config = temp.path() / "open_clip_config.json";
  const auto write = [&](const std::function<void(nn::ClipConfig&)>& change) {
    nn::ClipConfig c = small_clip();
    c.vision.gelu = c.text.gelu = ag::Gelu::erf;
    change(c);
    const PublishedModel model = published(c);
    write_model(model, "open_clip", temp.path());
    return open_model(model);
  };
  // What is written is read as the same model, setting by setting.
  const std::pair<const char*, std::function<void(nn::ClipConfig&)>> settings[] = {
      {"usual", [](nn::ClipConfig&) {}},
      {"pool_type avg", [](nn::ClipConfig& c) { c.vision.pool = nn::Pool::avg; }},
      {"final_ln_after_pool",
       [](nn::ClipConfig& c) { c.vision.pool = nn::Pool::avg, c.vision.norm_after_pool = true; }},
      {"no_ln_pre", [](nn::ClipConfig& c) { c.vision.pre_norm = c.vision.patch_bias = false; }},
      {"vision act_kwargs", [](nn::ClipConfig& c) { c.vision.gelu = ag::Gelu::tanh; }},
      {"text act_kwargs", [](nn::ClipConfig& c) { c.text.gelu = ag::Gelu::tanh; }},
      {"quick_gelu", [](nn::ClipConfig& c) { c.vision.gelu = c.text.gelu = ag::Gelu::quick; }},
      {"vision norm_kwargs", [](nn::ClipConfig& c) { c.vision.ln_eps = 0.1; }},
      {"text norm_kwargs", [](nn::ClipConfig& c) { c.text.ln_eps = 0.1; }},
      {"no_causal_mask", [](nn::ClipConfig& c) { c.text.causal = false; }},
      {"pool_type last", [](nn::ClipConfig& c) { c.text.pool = nn::TextPool::last; }},
      {"pool_type first", [](nn::ClipConfig& c) { c.text.pool = nn::TextPool::first; }},
  };
  std::vector<Tensor> images, texts;
  for (const auto& setting : settings) {
    CAPTURE(setting.first);
    const OpenModel made = write(setting.second), read = open_model(temp.path());
    images.push_back(made.image_features(kImages));
    texts.push_back(made.text_features(kTexts));
    CHECK(read.notes.empty());
    CHECK(test::max_difference(read.image_features(kImages), images.back()) == 0);
    CHECK(test::max_difference(read.text_features(kTexts), texts.back()) == 0);
    if (images.size() > 1)
      CHECK(std::max(test::max_difference(images.back(), images[0]), test::max_difference(texts.back(), texts[0])) >
            1e-6);
  }

  write([](nn::ClipConfig&) {});
  const json usual = read_json(config);
  const auto with = [&](const char* changes, const PublishedOptions& options = {}) {
    write_text(config, usual.dump());
    patch(config, json::parse(changes));
    return open_model(temp.path(), {}, options);
  };
  // Values that mean the same.
  for (
      const char* changes :
      {R"({"model_cfg": {"vision_cfg": {"pool_type": "tok", "final_ln_after_pool": true, "attentional_pool": false}}})",
       R"({"model_cfg": {"vision_cfg": {"act_kwargs": null, "norm_kwargs": {}, "image_size": [16, 16], "ls_init_value": null}}})",
       R"({"model_cfg": {"text_cfg": {"pool_type": "eos", "eos_id": 514, "pad_id": 1, "no_causal_mask": false}}})",
       R"({"model_cfg": {"custom_text": true, "init_logit_scale": 1, "text_cfg": {"hf_tokenizer_name": "", "tokenizer_kwargs": {}}}})",
       R"({"preprocess_cfg": {"mode": "RGB", "fill_color": 0, "size": 16}})"}) {
    CAPTURE(changes);
    const OpenModel model = with(changes);
    CHECK(test::max_difference(model.image_features(kImages), images[0]) == 0);
    CHECK(test::max_difference(model.text_features(kTexts), texts[0]) == 0);
  }
  struct Row {
    const char *changes, *message;
  };
  const Row rows[] = {
      {R"({"model_cfg": {"vision_cfg": {"pool_type": "none"}}})",
       "'model_cfg.vision_cfg.pool_type' is \"none\"; known are tok, avg"},
      {R"({"model_cfg": {"vision_cfg": {"attentional_pool": true}}})",
       "'model_cfg.vision_cfg.attentional_pool' is true; known is false"},
      {R"({"model_cfg": {"vision_cfg": {"act_kwargs": {"approximate": "sigmoid"}}}})",
       "'model_cfg.vision_cfg.act_kwargs.approximate' is \"sigmoid\""},
      {R"({"model_cfg": {"vision_cfg": {"norm_kwargs": {"bias": false}}}})",
       "'model_cfg.vision_cfg.norm_kwargs.bias' is false; this key is not known"},
      {R"({"model_cfg": {"vision_cfg": {"qk_norm": true}}})", "'model_cfg.vision_cfg.qk_norm' is true; known is false"},
      {R"({"model_cfg": {"vision_cfg": {"layers": [3, 4, 6, 3]}}})", "image towers that are ResNets are not built"},
      {R"({"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_patch16_224"}}})",
       "image towers of timm are not built here"},
      {R"({"model_cfg": {"vision_cfg": {"no_ln_pre": true}}})",
       "has 'model_cfg.vision_cfg.no_ln_pre' 1, the weights have 0"},
      {R"({"model_cfg": {"vision_cfg": {"layers": 3}}})", "has 'model_cfg.vision_cfg.layers' 3, the weights have 2"},
      {R"({"model_cfg": {"vision_cfg": {"image_size": [16, 32]}}})", "images must be square here"},
      {R"({"model_cfg": {"embed_dim": 7}})", "has 'model_cfg.embed_dim' 7, the weights have 6"},
      {R"({"model_cfg": {"text_cfg": {"context_length": 9}}})",
       "has 'model_cfg.text_cfg.context_length' 9, the weights have 8"},
      {R"({"model_cfg": {"text_cfg": {"embed_cls": true}}})", "'model_cfg.text_cfg.embed_cls' is true; known is false"},
      {R"({"model_cfg": {"text_cfg": {"proj_bias": true}}})", "'model_cfg.text_cfg.proj_bias' is true"},
      {R"({"model_cfg": {"text_cfg": {"pool_type": "eos", "eos_id": 2}}})",
       "'model_cfg.text_cfg.eos_id' is 2; known is 514"},
      {R"({"model_cfg": {"text_cfg": {"hf_model_name": "roberta-base"}}})",
       "text towers of Hugging Face are not built"},
      {R"({"model_cfg": {"multimodal_cfg": {"width": 512}}})",
       "'model_cfg.multimodal_cfg' is {\"width\":512}; this key is not known"},
      {R"({"preprocess_cfg": {"resize_mode": "longest"}})",
       "'preprocess_cfg.resize_mode' is \"longest\"; known are shortest, squash"},
      {R"({"preprocess_cfg": {"interpolation": "random"}})", "'preprocess_cfg.interpolation' is \"random\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.changes);
    CHECK_REFUSED(with(row.changes), row.message);
  }
  // A tokenizer of another kind: images can be used, texts are refused by its key.
  const char* const bert = R"({"model_cfg": {"text_cfg": {"hf_tokenizer_name": "bert-base-uncased"}}})";
  const OpenModel other = with(bert);
  CHECK(test::max_difference(other.image_features(kImages), images[0]) == 0);
  CHECK_REFUSED(other.text_features(kTexts), "'model_cfg.text_cfg.hf_tokenizer_name' is \"bert-base-uncased\"");
  PublishedOptions accepting;
  accepting.accept_keys = {"hf_tokenizer_name"};
  CHECK(test::max_difference(with(bert, accepting).text_features(kTexts), texts[0]) == 0);
}

TEST_CASE("foreign configs: unknown keys of Hugging Face's files are refused unless they are accepted") {
  const json plain = {{"model_type", "vit"},      {"hidden_size", 8},        {"num_hidden_layers", 2},
                      {"num_attention_heads", 2}, {"intermediate_size", 32}, {"image_size", 8},
                      {"patch_size", 4}};
  const auto parse = [&](const char* changes, const std::vector<std::string>& accepted = {}) {
    json config = plain;
    config.merge_patch(json::parse(changes));
    return parse_config(config.dump(), "config.json", accepted);
  };
  // Harmless keys, and values of others that change nothing.
  for (
      const char* changes :
      {R"({"transformers_version": "5.0", "dtype": "float32", "torch_dtype": "float16", "architectures": ["ViTModel"], "use_cache": true})",
       R"({"position_embedding_type": "absolute", "is_decoder": false, "pruned_heads": {}, "label2id": {"a": 0}, "hidden_dropout_prob": 0.1})",
       R"({"image_size": [8, 8], "patch_size": [4, 4], "hidden_act": "gelu", "use_swiglu_ffn": null})"}) {
    CAPTURE(changes);
    CHECK(parse(changes).notes.empty());
  }
  CHECK(parse(R"({"hidden_act": "gelu_new"})").architecture->vision().gelu == ag::Gelu::tanh);
  CHECK(parse(R"({"hidden_act": "gelu_pytorch_tanh"})").architecture->vision().gelu == ag::Gelu::tanh);
  struct Row {
    const char *changes, *message;
  };
  const Row rows[] = {
      {R"({"use_swiglu_ffn": true})", "config.json: 'use_swiglu_ffn' is true; this key is not known here"},
      {R"({"use_swiglu_ffn": true})", "--accept-key use_swiglu_ffn, in a recipe accept_keys: [use_swiglu_ffn]"},
      {R"({"rope_theta": 100})", "'rope_theta' is 100"},
      {R"({"auto_map": {"AutoModel": "mine.Model"}})", "'auto_map' is"},
      {R"({"num_hidden_layer": 2})", "did you mean 'num_hidden_layers'?"},
      {R"({"position_embedding_type": "relative"})",
       "'position_embedding_type' is \"relative\"; known is \"absolute\""},
      {R"({"is_decoder": true})", "'is_decoder' is true; known is false"},
      {R"({"pruned_heads": {"0": [1]}})", "'pruned_heads' is"},
      {R"({"image_size": [8, 12]})", "'image_size' is [8,12]; images must be square here"},
      {R"({"image_size": [8, 8, 8]})", "'image_size' is [8,8,8]; it must be a whole number from 1 to 16384, or two"},
      {R"({"model_type": "deit", "architectures": ["DeiTForImageClassification"]})",
       "'architectures' is [\"DeiTForImageClassification\"]; that class"},
      {R"({"model_type": "clip", "text_config": {"rope": 1}})", "'text_config.rope' is 1; this key is not known here"},
      {R"({"model_type": "clip", "text_config_dict": {"rope": 1}})",
       "'text_config.rope' is 1; this key is not known here"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.changes);
    json config = plain;
    if (std::string(row.changes).find("\"clip\"") != std::string::npos) config = json::object();
    config.merge_patch(json::parse(row.changes));
    CHECK_REFUSED(parse_config(config.dump(), "config.json"), row.message);
  }
  CHECK(parse(R"({"use_swiglu_ffn": true})", {"use_swiglu_ffn"}).notes.size() == 1);
  const auto clip = [](const char* text, const std::vector<std::string>& accepted) {
    return parse_config(text, "config.json", accepted);
  };
  const char* const inner = R"({"model_type": "clip", "text_config": {"rope": 1}, "vision_config": {"rope": 2}})";
  CHECK(clip(inner, {"rope"}).notes.size() == 2);
  CHECK_REFUSED(clip(inner, {"text_config.rope"}), "'vision_config.rope' is 2");
  // The older second section goes before the first.
  const HubConfig older =
      clip(R"({"model_type": "clip", "text_config": {"hidden_size": 8, "num_attention_heads": 2, "max_length": 20},
                                   "text_config_dict": {"hidden_size": 16, "transformers_version": null}})",
           {});
  CHECK(older.architecture->text()->embed_dim == 16);
  CHECK(older.architecture->text()->num_heads == 2);
}

TEST_CASE("foreign configs: processors in their newer forms") {
  const nn::Layout &vit = nn::layout_named("hf_vit"), &clip = nn::layout_named("hf_clip");
  const auto parse = [](const char* text, const nn::Layout& layout) {
    return parse_preprocessor(text, "preprocessor_config.json", layout);
  };
  const Preprocessing plain =
      parse(R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})", vit);
  for (
      const char* same :
      {R"({"image_processor_type": "ViTImageProcessorFast", "size": [32, 32], "do_pad": false, "data_format": "channels_first"})",
       R"({"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "device": null, "_valid_processor_keys": ["images"]})",
       R"({"image_processor_type": "ViTImageProcessor", "size": 32, "default_to_square": true, "resample": "bilinear"})",
       R"({"image_processor_type": "ViTImageProcessor", "size": 32, "resample": "PIL.Image.BILINEAR"})"}) {
    CAPTURE(same);
    CHECK(parse(same, vit) == plain);
  }
  CHECK(parse(R"({"resample": "bicubic"})", vit).filter == data::Filter::bicubic);
  CHECK(parse(R"({"size": 32, "default_to_square": false, "crop_size": [32, 32]})", vit).resize ==
        Preprocessing::Resize::shorter);
  struct Row {
    const char *text, *message;
  };
  const Row rows[] = {
      {R"({"crop_pct": 0.875})", "'crop_pct' is 0.875; this key is not known here"},
      {R"({"do_pad": true})", "'do_pad' is true; known is false"},
      {R"({"size": {"shortest_edge": 32, "longest_edge": 64}, "crop_size": 32})",
       "'size.longest_edge' is 64; this key is not known"},
      {R"({"size": [32, 48]})", "'size' is [32,48]; images must be square here"},
      {R"({"resample": "cubic"})", "'resample' is \"cubic\"; known are nearest, lanczos, bilinear, bicubic"},
      {R"({"image_processor_type": "ConvNextImageProcessor"})",
       "'image_processor_type' is \"ConvNextImageProcessor\", which may prepare"},
      {R"({"image_processor_type": "ViTHybridImageProcessor"})", "known are those of CLIP, Bit, ViT, DeiT"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK_REFUSED(parse(row.text, clip), row.message);
  }
}

TEST_CASE("foreign configs: processor_config.json, alone or beside the older file") {
  const TemporaryFolder temp;
  write_model(published(small_clip()), "hf", temp.path());
  const fs::path older = temp.path() / "preprocessor_config.json", newer = temp.path() / "processor_config.json";
  patch(older, {{"image_mean", {0.1, 0.2, 0.3}}, {"resample", "bilinear"}});
  const Preprocessing before = open_model(temp.path()).preprocessing;
  CHECK(before.mean[2] == 0.3);
  const json processor = read_json(older);
  write_text(newer, json{{"image_processor", processor}, {"processor_class", "CLIPProcessor"}}.dump());
  CHECK(open_model(temp.path()).notes.empty());
  fs::remove(older);
  const OpenModel model = open_model(temp.path());
  CHECK(model.preprocessing == before);
  CHECK(model.notes.empty());

  json other = processor;
  other["image_mean"] = {0.5, 0.5, 0.5};
  write_text(older, other.dump());
  const OpenModel both = open_model(temp.path());
  CHECK(both.preprocessing == before);
  CHECK(has_note(both.notes, "processor_config.json and preprocessor_config.json differ; the first one is followed"));

  write_text(newer, R"({"processor_class": "CLIPProcessor"})");  // as older versions wrote it
  CHECK(open_model(temp.path()).preprocessing.mean[0] == 0.5);
}

TEST_CASE("foreign configs: a processor's size that is not the model's is announced") {
  const TemporaryFolder temp;
  write_model(published(small_clip()), "hf", temp.path());
  CHECK(open_model(temp.path()).notes.empty());
  patch(temp.path() / "preprocessor_config.json", {{"size", {{"shortest_edge", 24}}}, {"crop_size", 24}});
  CHECK(has_note(open_model(temp.path()).notes,
                 "images are prepared at 24 x 24, but the model's positions are for 16 x 16: they are resampled by the "
                 "rule 'size'"));
}

TEST_CASE("foreign configs: without config.json the processor is read and every guess is a note") {
  const TemporaryFolder temp;
  nn::VitConfig config = small_vit();
  config.embed_dim = 64;
  safetensors::save(
      temp.path() / "model.safetensors",
      nn::to_layout(nn::layout_named("hf_vit"), nn::state(nn::VisionTransformer(nn::Scope(1), config))).weights);
  write_text(temp.path() / "preprocessor_config.json", R"({"size": 16, "image_mean": [0.1, 0.2, 0.3]})");
  const PublishedModel model = read_published_model(temp.path());
  CHECK(model.preprocessing.mean[0] == 0.1);
  REQUIRE(model.notes.size() == 1);
  CHECK(model.notes[0] ==
        "nothing says these settings; as is usual for Hugging Face ViT: 1 heads, eps 1e-12 in norms, activation GELU");
}

TEST_CASE("foreign configs: CLIP's image tower alone, with and without its projection") {
  const TemporaryFolder temp;
  const fs::path whole = temp.path() / "whole";
  write_model(published(small_clip()), "hf", whole);
  const OpenModel clip = open_model(whole);
  const Tensor projected = clip.image_features(kImages), pooled = clip.backbone->features(kImages).value();
  const json config = read_json(whole / "config.json");
  json flat = config["vision_config"], nested = {{"model_type", "clip_vision_model"}, {"projection_dim", 6}};
  flat.update({{"architectures", {"CLIPVisionModelWithProjection"}}, {"projection_dim", 6}, {"dropout", 0.0}});
  nested["vision_config"] = config["vision_config"];
  const auto weights = safetensors::Reader(whole / "model.safetensors").read_all();
  for (const bool projection : {true, false}) {
    TensorMap tower;
    for (const auto& [name, t] : weights)
      if (name.starts_with("vision_model.") || (projection && name == "visual_projection.weight")) tower[name] = t;
    for (const json& description : {flat, nested, config, json()}) {
      const std::string text = description.dump();
      CAPTURE(projection);
      CAPTURE(text);
      const fs::path folder = temp.path() / "tower",
                     file = description.is_null() ? "lone.safetensors" : "model.safetensors";
      fs::remove_all(folder);
      fs::create_directories(folder);
      safetensors::save(folder / file, tower);
      if (!description.is_null()) write_text(folder / "config.json", text);
      fs::copy_file(whole / "preprocessor_config.json", folder / "preprocessor_config.json");
      PublishedOptions options;
      if (description.is_null()) options.unwritten.num_heads = 2;
      const PublishedModel published = read_published_model(description.is_null() ? folder / file : folder, options);
      const OpenModel model = open_model(published);
      CHECK(test::max_difference(model.image_features(kImages), projection ? projected : pooled) == 0);
      CHECK(test::max_difference(model.backbone->features(kImages).value(), pooled) == 0);
      CHECK(model.tokens != nullptr);
      CHECK(model.classify == nullptr);
      CHECK(model.text_features == nullptr);
      CHECK(has_note(model.notes, "the text tower has no weights") == (description == config));
      if (!description.is_null()) CHECK(model.preprocessing == clip.preprocessing);
      // As Hugging Face's CLIPVisionModel, and back.
      write_model(published, "hf", temp.path() / "back");
      const OpenModel back = open_model(temp.path() / "back");
      CHECK(back.notes.empty());
      CHECK(test::max_difference(back.image_features(kImages), projection ? projected : pooled) == 0);
      CHECK(read_weights(folder / file).tensors.contains("blocks.1.mlp.fc2.bias"));
    }
  }
}

TEST_CASE("foreign configs: tokenizer.json alone gives the vocabulary") {
  const TemporaryFolder temp;
  write_model(published(small_clip()), "hf", temp.path());
  const Tensor features = text_features(temp.path());
  json tokenizer = {{"version", "1.0"}, {"model", {{"type", "BPE"}, {"end_of_word_suffix", "</w>"}}}};
  tokenizer["model"]["vocab"] = read_json(temp.path() / "vocab.json");
  for (const char* name : {"merges.txt", "vocab.json"}) fs::remove(temp.path() / name);
  CHECK(open_model(temp.path()).text_features == nullptr);
  for (const json& merge : {json("a b"), json::array({"a", "b"})}) {
    tokenizer["model"]["merges"] = json::array({merge});
    write_text(temp.path() / "tokenizer.json", tokenizer.dump());
    const OpenModel model = open_model(temp.path());
    CHECK(model.notes.empty());
    CHECK(test::max_difference(model.text_features(kTexts), features) == 0);
  }
  tokenizer["model"]["type"] = "WordPiece";
  write_text(temp.path() / "tokenizer.json", tokenizer.dump());
  const OpenModel images_alone = open_model(temp.path());
  CHECK(images_alone.image_features(kImages).shape() == Shape{2, 6});
  CHECK_REFUSED(images_alone.text_features(kTexts),
                "tokenizer.json: is a tokenizer of the type WordPiece; CLIP's is read");
}

TEST_CASE("foreign configs: a vocabulary is compared with the table when the model is opened") {
  const TemporaryFolder temp;
  write_model(published(small_clip()), "hf", temp.path());
  fs::remove(temp.path() / "vocab.json");
  CHECK(has_note(open_model(temp.path()).notes, "no vocab.json says the ids of symbols"));
  write_text(temp.path() / "merges.txt", "#version: 0.2\na b\na c\n");
  CHECK_REFUSED(open_model(temp.path()), "the vocabulary beside it has 516 symbols, the table of the text tower 515");
}
