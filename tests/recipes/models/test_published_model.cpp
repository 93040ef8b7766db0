#include "tests/support/clip_golden.h"
#include "tests/support/close.h"
#include "tests/support/golden.h"
#include "tests/support/messages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_family.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/random_model.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::message_of;
using test::says;
using test::TemporaryFolder;
using test::write_text;

namespace {

constexpr double kNear = 1e-5;

json vit_json() {
  return {{"model_type", "vit"},      {"hidden_size", 8},        {"num_hidden_layers", 2},
          {"num_attention_heads", 2}, {"intermediate_size", 32}, {"image_size", 8},
          {"patch_size", 4},          {"hidden_act", "gelu"},    {"transformers_version", "4"}};
}

nn::VitConfig tiny_vit() {
  nn::VitConfig c{.img_size = 8, .patch_size = 4, .num_classes = 5, .embed_dim = 8};
  c.depth = c.num_heads = 2;
  return c;
}

/// The golden ViT of vision_golden.json.
TensorMap golden_weights() {
  nn::VisionTransformer model(nn::Scope(0), tiny_vit());
  test::fill_golden(model, test::golden()["tiny_vit"]["tensor_order"]);
  return nn::state(model);
}

Tensor golden_image() {
  std::vector<double> pixels(3 * 8 * 8);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::sin(0.11 * double(i));
  return tensor(pixels, {1, 3, 8, 8}).to(DType::f32);
}

void save(const std::filesystem::path& folder, const TensorMap& ours, const char* layout, const json& config) {
  safetensors::save(folder / "model.safetensors", nn::to_layout(nn::layout_named(layout), ours).weights);
  write_text(folder / "config.json", config.dump());
}

bool equal(const TensorMap& a, const TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, t] : a)
    if (!b.contains(name) || test::max_difference(t, b.at(name)) != 0) return false;
  return true;
}

}  // namespace

TEST_CASE("published model: a folder of Hugging Face says all of a ViT") {
  const TemporaryFolder folder;
  json config = vit_json();
  for (int i = 0; i < 5; ++i) config["id2label"][std::to_string(i)] = "class " + std::to_string(i);
  save(folder.path(), golden_weights(), "hf_vit", config);
  write_text(folder.path() / "preprocessor_config.json",
             R"({"feature_extractor_type": "ViTFeatureExtractor", "size": 8, "resample": 2, "do_normalize": true,
                 "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]})");
  for (const char* path : {"", "model.safetensors"}) {
    const PublishedModel model = read_published_model(folder.path() / path);
    CHECK(model.layout->name == "hf_vit");
    CHECK(model.notes.empty());
    CHECK(model.classes.at(4) == "class 4");
    CHECK(model.architecture->vision().num_classes == 5);
    CHECK(model.architecture->vision().ln_eps == 1e-12);  // Hugging Face's, though the model was trained with another
    const Tensor expected = tensor<double>({.326596909, -.557258844, .423160487, -.657344218, .503678498}, {1, 5});
    CHECK(test::max_difference(open_model(model).classify(golden_image()), expected.to(DType::f32)) < kNear);
    CHECK(model.preprocessing.resize == Preprocessing::Resize::exact);
    CHECK(model.preprocessing.filter == data::Filter::bilinear);
    CHECK(model.preprocessing.img_size() == 8);
    CHECK(model.preprocessing.mean == data::Normalize::Channels{0.5, 0.4, 0.3});
    CHECK(open_model(model).text_features == nullptr);
  }
  config["hidden_act"] = "gelu_new";
  config["layer_norm_eps"] = 1e-6;
  save(folder.path(), golden_weights(), "hf_vit", config);
  const Tensor tanh = tensor<double>({.326590678, -.557252311, .423153866, -.657337727, .503672351}, {1, 5});
  const OpenModel model = open_model(folder.path());
  CHECK(test::max_difference(model.classify(golden_image()), tanh.to(DType::f32)) < kNear);
}

TEST_CASE("published model: shards, and the weights that a run starts from") {
  const TemporaryFolder folder;
  const TensorMap weights = golden_weights();
  TensorMap first = nn::to_layout(nn::layout_named("hf_vit"), weights).weights, second;
  json index = {{"metadata", {{"total_size", 1}}}};
  for (const auto& item : first) index["weight_map"][item.first] = "model-00001-of-00002.safetensors";
  const std::string moved = "vit.encoder.layer.1.attention.attention.key.weight";
  index["weight_map"][moved] = "model-00002-of-00002.safetensors";
  second[moved] = first.at(moved);
  first.erase(moved);
  safetensors::save(folder.path() / "model-00001-of-00002.safetensors", first);
  safetensors::save(folder.path() / "model-00002-of-00002.safetensors", second);
  write_text(folder.path() / "model.safetensors.index.json", index.dump());
  write_text(folder.path() / "config.json", vit_json().dump());
  CHECK(equal(read_published_model(folder.path()).weights, weights));
  const StartWeights start = read_weights(folder.path());
  REQUIRE(start.layout);
  CHECK(start.layout->name == "hf_vit");
  CHECK(equal(start.tensors, weights));
}

TEST_CASE("published model: a folder of CLIP, with its activation and its tokenizer") {
  const auto golden = test::clip_golden();
  if (!golden) return;
  const TemporaryFolder folder;
  const nn::Layout& openai = nn::layout_named("openai_clip");
  const TensorMap ours = nn::from_layout(openai, golden->weights).weights;
  const json& sizes = golden->file["config"];
  json config = {{"model_type", "clip"},
                 {"projection_dim", sizes["embed_dim"]},
                 {"text_config",
                  {{"hidden_size", sizes["transformer_width"]},
                   {"intermediate_size", 4 * sizes["transformer_width"].get<int64_t>()},
                   {"num_hidden_layers", sizes["transformer_layers"]},
                   {"num_attention_heads", sizes["transformer_heads"]},
                   {"max_position_embeddings", sizes["context_length"]},
                   {"vocab_size", sizes["vocab_size"]},
                   {"eos_token_id", 2}}},
                 {"vision_config",
                  {{"hidden_size", sizes["vision_width"]},
                   {"intermediate_size", 4 * sizes["vision_width"].get<int64_t>()},
                   {"num_hidden_layers", sizes["vision_layers"]},
                   {"num_attention_heads", sizes["vision_width"].get<int64_t>() / 64},
                   {"image_size", sizes["image_resolution"]},
                   {"patch_size", sizes["vision_patch_size"]}}}};
  const auto check_features = [&](const PublishedModel& model, const char* activation) {
    const OpenModel opened = open_model(model);
    auto* const clip = dynamic_cast<nn::Clip*>(opened.network.get());
    REQUIRE(clip);
    const json& expected = golden->file["results"][activation];
    const ag::Var image = clip->encode_image(golden->images.to(DType::f32)), text = clip->encode_text(golden->ids);
    CHECK(test::relative_error(image.value(), test::matrix(expected["image_features"])) < kNear);
    CHECK(test::relative_error(text.value(), test::matrix(expected["text_features"])) < kNear);
  };
  save(folder.path(), ours, "hf_clip", config);
  const PublishedModel model = read_published_model(folder.path());
  CHECK_FALSE(model.vocabulary);
  check_features(model, "quick_gelu");
  for (const char* tower : {"text_config", "vision_config"}) config[tower]["hidden_act"] = "gelu";
  save(folder.path(), ours, "hf_clip", config);
  check_features(read_published_model(folder.path()), "gelu");

  // Writes open_clip's folder layout and reads it back.
  const TemporaryFolder other;
  for (const char* activation : {"gelu", "quick_gelu"}) {
    PublishedModel changed = read_published_model(folder.path());
    changed.vocabulary = nullptr;
    nn::ClipConfig other_gelu;
    other_gelu.vision = changed.architecture->vision();
    other_gelu.text = *changed.architecture->text();
    other_gelu.vision.gelu = other_gelu.text.gelu = std::string(activation) == "gelu" ? ag::Gelu::erf : ag::Gelu::quick;
    changed.architecture = clip_architecture(other_gelu);
    write_model(changed, "open_clip", other.path());
    const PublishedModel read = read_published_model(other.path());
    CHECK(read.layout->name == "open_clip");
    CHECK(read.preprocessing.mean == changed.preprocessing.mean);
    check_features(read, activation);
  }

  // The file alone does not tell the activation. A note names the assumed one.
  const TemporaryFolder alone;
  safetensors::save(alone.path() / "ViT.safetensors", golden->weights);
  PublishedOptions options;
  options.unwritten.text_num_heads = sizes["transformer_heads"].get<int64_t>();
  const PublishedModel guessed = read_published_model(alone.path() / "ViT.safetensors", options);
  check_features(guessed, "quick_gelu");
  REQUIRE(guessed.notes.size() == 2);
  CHECK(says(guessed.notes[0], "activation QuickGELU; the layout open_clip is for GELU"));
  CHECK(says(guessed.notes[1], "nothing says how images are prepared"));
  options.layout = &nn::layout_named("open_clip");
  check_features(read_published_model(alone.path() / "ViT.safetensors", options), "gelu");
}

TEST_CASE("published model: what is written in any layout is read as the same model") {
  struct Row {
    const char* layout;
    std::function<void(nn::VitConfig&)> change;
  };
  const Row rows[] = {
      {"hf", [](nn::VitConfig&) {}},
      {"hf", [](nn::VitConfig& c) { c.num_classes = 0, c.qkv_bias = false; }},
      {"hf", [](nn::VitConfig& c) { c.distilled = true; }},
      {"hf", [](nn::VitConfig& c) { c.layerscale_init = 0.1, c.mask_token = true, c.num_classes = 0; }},
      {"hf", [](nn::VitConfig& c) { c.layerscale_init = 0.1, c.mask_token = true, c.num_registers = 4; }},
      {"hf", [](nn::VitConfig& c) { c.layerscale_init = 1, c.mask_token = true, c.ffn = nn::Ffn::swiglu; }},
      {"hf", [](nn::VitConfig& c) { c.mlp_ratio = 3, c.gelu = ag::Gelu::tanh, c.ln_eps = 1e-5; }},
      {"timm", [](nn::VitConfig& c) { c.qk_norm = true, c.pos_embed = nn::PosEmbed::patches; }},
      {"timm", [](nn::VitConfig& c) { c.gelu = ag::Gelu::quick, c.ln_eps = 1e-4; }},
      {"torchvision", [](nn::VitConfig&) {}},
      {"dino", [](nn::VitConfig& c) { c.num_classes = 0; }},
      {"dinov2", [](nn::VitConfig& c) { c.layerscale_init = 1, c.mask_token = true, c.num_classes = 0; }},
  };
  for (size_t i = 0; i < std::size(rows); ++i) {
    CAPTURE(i);
    PublishedModel model;
    nn::VitConfig config = tiny_vit();
    rows[i].change(config);
    if (config.layerscale_init != 0 && config.num_classes > 0) config.pool = nn::Pool::token_and_avg;
    config.pos_interp = ag::PosInterp::size;
    const nn::VisionTransformer vit(nn::Scope(3), config);
    model.source = "made";
    model.layout = &nn::layout_named("timm");
    model.architecture = vit_architecture(config);
    model.weights = nn::state(vit);
    model.preprocessing = {.size = 9, .filter = data::Filter::bilinear, .crop = 8};
    model.preprocessing.crop_offset = data::CropOffset::floor;
    model.preprocessing.std = {0.5, 0.25, 0.125};
    model.classes = {"a", "b", "c", "d", "e"};
    const TemporaryFolder folder;
    const bool hf = std::string(rows[i].layout) == "hf";
    const auto path = hf ? folder.path() / "new" / "model" : folder.path() / "model.safetensors";
    const WrittenModel written = write_model(model, rows[i].layout, path);
    CHECK(written.files.size() == (hf ? 3 : 1));
    const PublishedModel read = read_published_model(path);
    CHECK(equal(read.weights, model.weights));
    const nn::VitConfig& c = read.architecture->vision();
    CHECK(c.num_heads == 2);
    CHECK(c.ln_eps == config.ln_eps);
    CHECK(c.gelu == config.gelu);
    CHECK(c.pos_embed == config.pos_embed);
    CHECK(c.num_registers == config.num_registers);
    const Tensor expected = nn::VisionTransformer(nn::Scope(3), config).logits(golden_image()).value();
    CHECK(test::max_difference(open_model(read).backbone->logits(golden_image()).value(), expected) == 0);
    if (!hf) continue;
    CHECK(read.preprocessing == model.preprocessing);
    CHECK(read.classes == (config.num_classes == 0 ? std::vector<std::string>{} : model.classes));
  }
}

TEST_CASE("published model: layouts without a place for a model refuse it, and nothing is written") {
  const TemporaryFolder folder;
  const auto refuse = [&](const char* layout, const std::function<void(nn::VitConfig&)>& change, const char* why,
                          const char* out = "out") {
    PublishedModel model;
    nn::VitConfig config = tiny_vit();
    change(config);
    const nn::VisionTransformer vit(nn::Scope(3), config);
    model.source = "made";
    model.architecture = vit_architecture(config);
    model.weights = nn::state(vit);
    const std::string message = message_of([&] { write_model(model, layout, folder.path() / out); });
    CAPTURE(message);
    CHECK(says(message, why));
    CHECK(std::filesystem::is_empty(folder.path()));
  };
  const auto same = [](nn::VitConfig&) {};
  refuse("timm", same, "must end in .safetensors");
  refuse("hf_clip", same, "Hugging Face CLIP is a layout of the family CLIP, but made is of the family ViT");
  refuse("tim", same, "there is no layout 'tim'");
  refuse("hf_deit", same, "have a distillation token, this model has none");
  refuse(
      "hf", [](nn::VitConfig& c) { c.pos_embed = nn::PosEmbed::patches; }, "have a position for the class token");
  refuse(
      "timm", [](nn::VitConfig& c) { c.pos_embed = nn::PosEmbed::rope; }, "this one has rotary positions",
      "a.safetensors");
  refuse(
      "hf", [](nn::VitConfig& c) { c.window = 1; }, "this one has windows");
  refuse(
      "hf", [](nn::VitConfig& c) { c.qk_norm = true; }, "have no place for blocks.0.attn.k_norm.bias");
  refuse(
      "torchvision", [](nn::VitConfig& c) { c.distilled = true; }, "no place for dist_token", "a.safetensors");
  refuse("dino", same, "no place for head.bias, head.weight", "a.safetensors");
  // The names of these models would be right, and the numbers wrong.
  refuse(
      "dino", [](nn::VitConfig& c) { c.num_classes = 0, c.layerscale_init = 1; },
      "models of DINO (facebookresearch/dino) have no place for blocks.0.ls1.gamma, ", "a.safetensors");
  for (const char* layout : {"dino", "dinov2", "torchvision"}) {
    refuse(
        layout, [](nn::VitConfig& c) { c.num_classes = 0, c.gelu = ag::Gelu::tanh; },
        "always have GELU, this model has another activation: hf and timm can say so", "a.safetensors");
    refuse(
        layout, [](nn::VitConfig& c) { c.num_classes = 0, c.pool = nn::Pool::avg; },
        "read the class token, this model reads the mean of the patches: timm can say so", "a.safetensors");
    refuse(
        layout, [](nn::VitConfig& c) { c.num_classes = 0, c.pool = nn::Pool::avg, c.class_token = false; },
        "read the class token", "a.safetensors");
  }
  refuse(
      "timm", [](nn::VitConfig& c) { c.layerscale_init = 1, c.pool = nn::Pool::token_and_avg; },
      "have no classifier on the class token and the mean of the patches: hf can say so", "a.safetensors");
}

TEST_CASE("published model: what files cannot say about the preparation of images is noted or refused") {
  const TemporaryFolder folder;
  const auto notes = [&](const PublishedModel& model, const char* layout) {
    const WrittenModel written = write_model(model, layout, folder.path() / "out");
    std::string all;
    for (const std::string& note : written.notes) all += note + "\n";
    return all;
  };
  PublishedModel vit;
  const nn::VitConfig config = tiny_vit();
  vit.source = "made";
  vit.architecture = vit_architecture(config);
  vit.weights = nn::state(nn::VisionTransformer(nn::Scope(3), config));
  vit.preprocessing = {.size = 9, .crop = 8};  // timm's: the crop's place is rounded to even
  CHECK(says(notes(vit, "hf"), "Hugging Face ViT rounds the place of the crop otherwise"));
  vit.preprocessing.crop_offset = data::CropOffset::floor;
  CHECK(!says(notes(vit, "hf"), "crop"));

  nn::ClipConfig sizes;
  sizes.vision = tiny_vit();
  sizes.vision.pre_norm = true, sizes.vision.head_bias = false;
  sizes.text = {.vocab_size = 20, .context_length = 4, .embed_dim = 8, .depth = 1, .num_heads = 2, .out_dim = 5};
  PublishedModel clip;
  clip.source = "made";
  clip.architecture = clip_architecture(sizes);
  clip.weights = nn::state(nn::Clip(nn::Scope(3), sizes));
  clip.preprocessing = {.size = 8, .crop = 8};
  CHECK(notes(clip, "open_clip") == "");
  clip.preprocessing.size = 9;
  CHECK(says(notes(clip, "open_clip"), "open_clip prepares images otherwise: shorter side to 8 (bicubic), "));
  CHECK(says(notes(clip, "open_clip"), "; this model: shorter side to 9 (bicubic), "));
  clip.preprocessing.filter = data::Filter::lanczos;
  CHECK(says(message_of([&] { notes(clip, "open_clip"); }),
             "open_clip resizes images with bicubic or bilinear weights, this model with lanczos: hf can say so"));
}

TEST_CASE("published model: torchvision always has biases of queries, keys and values") {
  nn::VitConfig config = tiny_vit();
  config.qkv_bias = false;
  const nn::VisionTransformer vit(nn::Scope(3), config);
  const nn::Converted written = nn::to_layout(nn::layout_named("torchvision"), nn::state(vit));
  const Tensor& bias = written.weights.at("encoder.layers.encoder_layer_1.self_attention.in_proj_bias");
  CHECK(test::max_difference(bias, zeros({24})) == 0);
  CHECK(says(written.notes.at(0), "biases of zeros"));
}

TEST_CASE("published model: every broken configuration is refused by its key") {
  const auto broken = [](const json& patch) {
    json config = vit_json();
    config.merge_patch(patch);
    return message_of([&] { parse_config(config.dump(), "config.json"); });
  };
  CHECK(broken(json::object()).empty());
  struct Row {
    const char *patch, *message;
  };
  const Row rows[] = {
      {R"({"model_type": null})", "config.json: needs 'model_type'"},
      {R"({"model_type": "bert"})", "'model_type' is \"bert\"; known are vit, deit, dinov2"},
      {R"({"model_type": 3})", "'model_type' is 3; it must be a text"},
      {R"({"hidden_size": "8"})", "'hidden_size' is \"8\"; it must be a whole number from 1 to 16384"},
      {R"({"hidden_size": 8.5})", "'hidden_size' is 8.5"},
      {R"({"hidden_size": -8})", "'hidden_size' is -8"},
      {R"({"hidden_size": 0})", "'hidden_size' is 0"},
      {R"({"hidden_size": 1000000000000})", "'hidden_size' is 1000000000000"},
      {R"({"hidden_size": 18446744073709551615})", "'hidden_size' is 18446744073709551615"},
      {R"({"hidden_size": 99999999999999999999999})", "'hidden_size' is 9.99"},
      {R"({"hidden_size": [8]})", "'hidden_size' is [8]"},
      {R"({"hidden_size": 9})", "'hidden_size' 9 is not a multiple of 'num_attention_heads' 2"},
      {R"({"num_hidden_layers": 1000000000})",
       "'num_hidden_layers' is 1000000000; it must be a whole number from 1 to 256"},
      {R"({"num_attention_heads": 0})", "'num_attention_heads' is 0"},
      {R"({"intermediate_size": 9007199254740993})", "'intermediate_size' is 9007199254740993"},
      {R"({"patch_size": 3})", "'image_size' 8 is not a multiple of 'patch_size' 3"},
      {R"({"image_size": true})", "'image_size' is true"},
      {R"({"num_channels": 1000})", "'num_channels' is 1000"},
      {R"({"layer_norm_eps": "small"})", "'layer_norm_eps' is \"small\"; it must be a number from 0 to 1"},
      {R"({"layer_norm_eps": 1e300})", "'layer_norm_eps' is 1e+300"},
      {R"({"hidden_act": "relu"})", "'hidden_act' is \"relu\"; known are gelu, quick_gelu"},
      {R"({"qkv_bias": 1})", "'qkv_bias' is 1; it must be true or false"},
      {R"({"id2label": ["a"]})", "'id2label' is [\"a\"]; it must be an object"},
      {R"({"id2label": {"1": "a"}})", "needs 'id2label.0'"},
      {R"({"id2label": {"0": 5}})", "'id2label.0' is 5"},
      {R"({"model_type": "dinov2", "mlp_ratio": 1e9})", "'mlp_ratio' is 1000000000"},
      {R"({"model_type": "dinov2", "use_swiglu_ffn": "no"})", "'use_swiglu_ffn' is \"no\""},
      {R"({"model_type": "dinov2_with_registers", "num_register_tokens": -1})", "'num_register_tokens' is -1"},
      {R"({"model_type": "clip", "text_config": 7})", "'text_config' is 7; it must be an object"},
      {R"({"model_type": "clip", "text_config": {"vocab_size": 1e15}})", "'text_config.vocab_size' is 1"},
      {R"({"model_type": "clip", "text_config": {"eos_token_id": 5}})", "'text_config.eos_token_id' is 5"},
      {R"({"model_type": "clip", "vision_config": {"patch_size": 0}})", "'vision_config.patch_size' is 0"},
      {R"({"model_type": "clip", "projection_dim": {}})", "'projection_dim' is {}"},
  };
  for (const Row& row : rows) {
    const std::string message = broken(json::parse(row.patch)), patch = row.patch;
    CAPTURE(patch);
    CAPTURE(message);
    CHECK(says(message, row.message));
  }
  const auto text_error = [](const std::string& text) {
    return message_of([&] { parse_config(text, "config.json"); });
  };
  CHECK(says(text_error(""), "config.json: "));
  CHECK(says(text_error("{\"model_type\": \"vit\""), "parse error"));
  CHECK(says(text_error("[1]"), "config.json: is no JSON object"));
  CHECK(says(text_error(R"({"model_type": "vit", "model_type": "deit"})"), "\"model_type\" comes twice"));
  CHECK(says(text_error("{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}"), "is nested too deeply"));
  CHECK(says(text_error("{\"model_type\": \"\xff\"}"), "config.json: "));

  const TemporaryFolder folder;
  save(folder.path(), golden_weights(), "hf_vit", vit_json());
  std::filesystem::resize_file(folder.path() / "config.json", 1 << 25);
  CHECK(says(message_of([&] { read_published_model(folder.path()); }), "config.json"));
}

TEST_CASE("published model: a configuration and weights that do not belong together") {
  const TemporaryFolder folder;
  const auto with = [&](const json& patch, const TensorMap& weights) {
    json config = vit_json();
    config.merge_patch(patch);
    save(folder.path(), weights, "hf_vit", config);
    return message_of([&] { open_model(folder.path()); });
  };
  const TensorMap weights = golden_weights();
  CHECK(with(json::object(), weights).empty());
  CHECK(says(with({{"hidden_size", 16384}}, weights), "the configuration has a width of 16384, the weights have 8"));
  CHECK(says(with({{"intermediate_size", 131072}}, weights), "a feed-forward width of 131072, the weights have 32"));
  CHECK(says(with({{"image_size", 16}}, weights), "an image size of 16, the weights have 8"));
  CHECK(says(with({{"patch_size", 2}}, weights), "a patch size of 2, the weights have 4"));
  const std::string deeper = with({{"num_hidden_layers", 3}}, weights);
  CHECK(says(deeper, "model.safetensors: does not fit the model"));
  CHECK(says(deeper, "missing: encoder.layer.2.attention.attention.key.bias, "));
  CHECK(says(with({{"num_hidden_layers", 1}}, weights), "unexpected: encoder.layer.1.attention.attention.key.bias, "));
  CHECK(says(with({{"model_type", "dinov2"}}, weights), "'intermediate_size' is 32; this key is not known here"));
  CHECK(says(with({{"model_type", "dinov2"}, {"intermediate_size", nullptr}}, weights),
             "a model of Hugging Face Dinov2 needs 'encoder.layer.0.norm1.weight'"));
  write_text(folder.path() / "config.json", R"({"model_type": "clip"})");
  CHECK(says(message_of([&] { open_model(folder.path()); }), "a model of Hugging Face CLIP needs "));
}

TEST_CASE("published model: folders and files that are none") {
  const TemporaryFolder folder;
  const auto reading = [&](const char* name) {
    return message_of([&] { read_published_model(folder.path() / name); });
  };
  CHECK(says(reading("nothing"), "nothing: no such file or folder"));
  CHECK(says(reading(""), "neither safetensors, nor a folder with config.json and model.safetensors"));
  write_text(folder.path() / "dino.pth", "PK");
  CHECK(says(reading("dino.pth"),
             "only safetensors are read; the ten lines of Python in docs/weights.md make one of it"));
  CHECK(says(reading(""), "dino.pth: only safetensors are read"));
  CHECK(says(message_of([&] { read_weights(folder.path() / "dino.pth"); }), "docs/weights.md"));
  std::filesystem::remove(folder.path() / "dino.pth");
  write_text(folder.path() / "config.json", "{}");
  CHECK(says(reading(""), "has a config.json, but no model.safetensors"));
  write_text(folder.path() / "model.safetensors", "");
  CHECK(says(reading(""), "config.json: needs 'model_type'"));
  write_text(folder.path() / "config.json", vit_json().dump());
  CHECK(says(reading(""), "HeaderTooSmall"));
}

TEST_CASE("random models: the same for a seed, by every name, and written as folders") {
  const TemporaryFolder folder;
  const PublishedModel model = random_model("vit_tiny", {.seed = 7, .num_classes = 3, .vocabulary = {}});
  const WrittenModel written = write_model(model, "hf", folder.path() / "vit");
  CHECK(written.files.size() == 3);
  const PublishedModel read = read_published_model(folder.path() / "vit");
  CHECK(equal(read.weights, random_model("vit_tiny", {.seed = 7, .num_classes = 3, .vocabulary = {}}).weights));
  CHECK(open_model(read).network->parameter_count() == 5'524'416 + 3 * 193);
  CHECK(read.preprocessing == published_preprocessing(nn::layout_named("hf_vit"), 224));
  CHECK_THROWS_WITH_AS(random_model("vit_tinny", {}), doctest::Contains("did you mean 'vit_tiny'?"), ConfigError);
  CHECK_THROWS_WITH_AS(random_model("vit_tiny", {.seed = 0, .num_classes = 0, .vocabulary = "merges.txt"}),
                       doctest::Contains("a vocabulary is for CLIP"), ConfigError);
  CHECK_THROWS_WITH_AS(random_model("clip_vit_b32", {.seed = 0, .num_classes = 2, .vocabulary = {}}),
                       doctest::Contains("has no classifier"), ConfigError);

  // CLIP's ViT-B/32 would take seconds. A small open_clip model with a vocabulary of one merge takes the same path.
  write_text(folder.path() / "merges.txt", "#version: 0.2\na b\n");
  const PublishedModel clip =
      random_model("ViT-S-32-alt", {.seed = 1, .num_classes = 0, .vocabulary = folder.path() / "merges.txt"});
  CHECK(clip.architecture->text()->vocab_size == 515);
  CHECK(write_model(clip, "hf", folder.path() / "clip").files.size() == 7);
  const PublishedModel back = read_published_model(folder.path() / "clip");
  CHECK(back.notes.empty());
  CHECK(back.vocabulary != nullptr);
  CHECK(back.architecture->vision().gelu == ag::Gelu::erf);
  CHECK(equal(back.weights, clip.weights));
  const json special = json::parse(test::read_text(folder.path() / "clip" / "special_tokens_map.json"));
  CHECK(special["bos_token"] == "<|startoftext|>");
}
