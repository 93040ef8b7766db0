// timm's config.json: what the names of its architectures mean, and each argument of a model.
#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/small_clip.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <filesystem>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::any_says;
using test::check_refused;
using test::TemporaryFolder;
using test::write_text;

namespace {

namespace fs = std::filesystem;

const Tensor kImages = test::small_images();

Tensor image_features(const fs::path& folder) { return open_model(folder).image_features(kImages); }

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
    CHECK(any_says(model.notes, "has a width of 768, the weights have 128"));
    CHECK(any_says(model.notes, "2 heads"));
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
    check_refused([&] { parse(name); }, "'architecture' is \"" + std::string(name) + "\"");
  }
  CHECK(parse_config(timm_config("resnet50").dump(), "config.json", {"architecture"}).notes ==
        std::vector<std::string>{"config.json: 'architecture' is passed over, as was asked"});
}

TEST_CASE("foreign configs: timm's model_args are used, or compared with the weights") {
  const TemporaryFolder temp;
  const TensorMap clip = test::published_clip().weights;
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
  CHECK_FALSE(differs({{"model_args", {{"init_values", 0.0}, {"in_chans", 3}}}}));  // timm makes no LayerScale of zeros
  CHECK(with({{"model_args", {{"norm_layer", "layernormfp32"}}}}).architecture->vision().ln_eps == 1e-6);
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
      {R"({"model_args": {"in_chans": 1}})", "'model_args.in_chans' is 1; known is 3"},
      {R"({"model_args": {"attn_layer": "diff"}})", "'model_args.attn_layer' is \"diff\"; this key is not known here"},
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
      {R"({"pretrained_cfg": {"input_size": [3, 16, 32]}})", "images must have 3 channels and be square here"},
      {R"({"pretrained_cfg": {"input_size": [1, 16, 16]}})", "images must have 3 channels"},
      {R"({"pretrained_cfg": {"interpolation": "random"}})",
       "'pretrained_cfg.interpolation' is \"random\"; known are nearest"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.changes);
    check_refused([&] { with(json::parse(row.changes)); }, row.message);
  }
  const Preprocessing squashed = with({{"pretrained_cfg", {{"crop_mode", "squash"}, {"crop_pct", 0.5}}}}).preprocessing;
  CHECK(squashed.resize == Preprocessing::Resize::exact);
  CHECK(squashed.size == 32);
  CHECK(squashed.crop == 16);
  CHECK(any_says(with({{"pretrained_cfg", {{"input_size", {3, 24, 24}}}}}).notes,
                 "images are prepared at 24 x 24, but the model's positions are for 16 x 16: they are resampled"));
}

TEST_CASE("foreign configs: timm's folders in their older and wrapped forms") {
  const TemporaryFolder temp;
  const TensorMap clip = test::published_clip().weights;
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
  // transformers writes classes for the class that has none.
  test::patch_json(temp.path() / "wrapped/config.json", {{"num_classes", 2}, {"label_names", {"LABEL_0", "LABEL_1"}}});
  check_refused([&] { open_model(temp.path() / "wrapped"); }, "has 'num_classes' 2, the weights have 0");
  test::patch_json(temp.path() / "wrapped/config.json", {{"architectures", {"TimmWrapperModel"}}});
  CHECK(test::max_difference(image_features(temp.path() / "wrapped"), features) == 0);

  nn::VitConfig classifier = test::small_vit();
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
    CHECK(test::read_json(temp.path() / "hf/config.json")["id2label"] == json::parse(R"({"0": "x", "1": "y"})"));
  }
}
