// The files of Hugging Face: each setting is used, known to be harmless, or refused by name.
#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/small_clip.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/write_model.h"

#include <filesystem>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::any_says;
using test::check_refused;
using test::patch_json;
using test::read_json;
using test::TemporaryFolder;
using test::write_text;

namespace {

namespace fs = std::filesystem;

const Tensor kImages = test::small_images();
const std::vector<std::string> kTexts = test::small_texts();

Tensor text_features(const fs::path& folder) { return open_model(folder).text_features(kTexts); }

}  // namespace

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
      {R"({"problem_type": "multi_label_classification"})",
       "'problem_type' is \"multi_label_classification\"; known is \"single_label_classification\""},
      {R"({"num_channels": 1})", "'num_channels' is 1; known is 3"},
      {R"({"model_type": "clip", "text_config": {"rope": 1}})", "'text_config.rope' is 1; this key is not known here"},
      {R"({"model_type": "clip", "text_config_dict": {"rope": 1}})",
       "'text_config.rope' is 1; this key is not known here"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.changes);
    json config = plain;
    if (std::string(row.changes).find("\"clip\"") != std::string::npos) config = json::object();
    config.merge_patch(json::parse(row.changes));
    check_refused([&] { parse_config(config.dump(), "config.json"); }, row.message);
  }
  CHECK(parse(R"({"use_swiglu_ffn": true})", {"use_swiglu_ffn"}).notes.size() == 1);
  const auto clip = [](const char* text, const std::vector<std::string>& accepted) {
    return parse_config(text, "config.json", accepted);
  };
  const char* const inner = R"({"model_type": "clip", "text_config": {"rope": 1}, "vision_config": {"rope": 2}})";
  CHECK(clip(inner, {"rope"}).notes.size() == 2);
  check_refused([&] { clip(inner, {"text_config.rope"}); }, "'vision_config.rope' is 2");
  // The older second section goes before the first.
  const HubConfig older =
      clip(R"({"model_type": "clip", "text_config": {"hidden_size": 8, "num_attention_heads": 2, "max_length": 20},
                                   "text_config_dict": {"hidden_size": 16, "transformers_version": null}})",
           {});
  CHECK(older.architecture->text()->embed_dim == 16);
  CHECK(older.architecture->text()->num_heads == 2);
}

TEST_CASE("foreign configs: processor_config.json, alone or beside the older file") {
  const TemporaryFolder temp;
  write_model(test::published_clip(), "hf", temp.path());
  const fs::path older = temp.path() / "preprocessor_config.json", newer = temp.path() / "processor_config.json";
  patch_json(older, {{"image_mean", {0.1, 0.2, 0.3}}, {"resample", "bilinear"}});
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
  CHECK(any_says(both.notes, "processor_config.json and preprocessor_config.json differ; the first one is followed"));

  write_text(newer, R"({"processor_class": "CLIPProcessor"})");  // as older versions wrote it
  CHECK(open_model(temp.path()).preprocessing.mean[0] == 0.5);
}

TEST_CASE("foreign configs: a processor's size that is not the model's is announced") {
  const TemporaryFolder temp;
  write_model(test::published_clip(), "hf", temp.path());
  CHECK(open_model(temp.path()).notes.empty());
  patch_json(temp.path() / "preprocessor_config.json", {{"size", {{"shortest_edge", 24}}}, {"crop_size", 24}});
  CHECK(any_says(open_model(temp.path()).notes,
                 "images are prepared at 24 x 24, but the model's positions are for 16 x 16: they are resampled by the "
                 "rule 'size'"));
}

TEST_CASE("foreign configs: without config.json the processor is read and every guess is a note") {
  const TemporaryFolder temp;
  nn::VitConfig config = test::small_vit();
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
  write_model(test::published_clip(), "hf", whole);
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
      CHECK(any_says(model.notes, "the text tower has no weights") == (description == config));
      if (!description.is_null()) CHECK(model.preprocessing == clip.preprocessing);
      // As CLIPVisionModel of transformers 5 names its weights.
      if (!projection && !description.is_null()) {
        TensorMap bare;
        for (const auto& [name, t] : tower) bare[name.substr(std::string("vision_model.").size())] = t;
        safetensors::save(folder / file, bare);
        CHECK(test::max_difference(open_model(folder).image_features(kImages), pooled) == 0);
        safetensors::save(folder / file, tower);
      }
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
  write_model(test::published_clip(), "hf", temp.path());
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
  check_refused([&] { images_alone.text_features(kTexts); },
                "tokenizer.json: is a tokenizer of the type WordPiece; CLIP's is read");
}

TEST_CASE("foreign configs: a vocabulary is compared with the table when the model is opened") {
  const TemporaryFolder temp;
  write_model(test::published_clip(), "hf", temp.path());
  fs::remove(temp.path() / "vocab.json");
  CHECK(any_says(open_model(temp.path()).notes, "no vocab.json says the ids of symbols"));
  write_text(temp.path() / "merges.txt", "#version: 0.2\na b\na c\n");
  check_refused([&] { open_model(temp.path()); },
                "the vocabulary beside it has 516 symbols, the table of the text tower 515");
}
