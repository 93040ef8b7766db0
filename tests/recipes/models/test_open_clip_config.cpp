// open_clip_config.json: each setting of the towers is used, or refused by its key.
#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/small_clip.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::check_refused;
using test::patch_json;
using test::read_json;
using test::TemporaryFolder;
using test::write_text;

namespace {

namespace fs = std::filesystem;

const Tensor kImages = test::small_images();
const std::vector<std::string> kTexts = test::small_texts();

}  // namespace

TEST_CASE("foreign configs: open_clip's settings of the towers are used, or refused by key") {
  const TemporaryFolder temp;
  const fs::path config = temp.path() / "open_clip_config.json";
  const auto write = [&](const std::function<void(nn::ClipConfig&)>& change) {
    nn::ClipConfig c = test::small_clip();
    c.vision.gelu = c.text.gelu = ag::Gelu::erf;
    change(c);
    const PublishedModel model = test::published_clip(c);
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
    patch_json(config, json::parse(changes));
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
    check_refused([&] { with(row.changes); }, row.message);
  }
  // A tokenizer of another kind: images can be used, texts are refused by its key.
  const char* const bert = R"({"model_cfg": {"text_cfg": {"hf_tokenizer_name": "bert-base-uncased"}}})";
  const OpenModel other = with(bert);
  CHECK(test::max_difference(other.image_features(kImages), images[0]) == 0);
  check_refused([&] { other.text_features(kTexts); },
                "'model_cfg.text_cfg.hf_tokenizer_name' is \"bert-base-uncased\"");
  PublishedOptions accepting;
  accepting.accept_keys = {"hf_tokenizer_name"};
  CHECK(test::max_difference(with(bert, accepting).text_features(kTexts), texts[0]) == 0);
}

TEST_CASE("foreign configs: open_clip's configuration is that of weights with any name") {
  const TemporaryFolder temp;
  nn::ClipConfig config = test::small_clip();
  config.vision.gelu = config.text.gelu = ag::Gelu::tanh;
  const PublishedModel model = test::published_clip(config);
  write_model(model, "open_clip", temp.path());
  const Tensor features = open_model(model).image_features(kImages);
  fs::path weights = temp.path() / "open_clip_model.safetensors";
  for (const char* name : {"model.safetensors", "mine.safetensors", "open_clip_pytorch_model.safetensors"}) {
    CAPTURE(name);
    fs::rename(weights, temp.path() / name);
    weights = temp.path() / name;
    const OpenModel opened = open_model(temp.path());
    CHECK(opened.notes.empty());
    CHECK(test::max_difference(opened.image_features(kImages), features) == 0);
  }
  write_text(temp.path() / "preprocessor_config.json", R"({"image_mean": [0.1, 0.2, 0.3]})");
  CHECK(open_model(temp.path()).preprocessing == model.preprocessing);  // open_clip does not read that file
  // Beside a config.json of another program the name says which one is theirs.
  write_text(temp.path() / "config.json", R"({"model_type": "clip"})");
  CHECK(test::max_difference(open_model(temp.path()).image_features(kImages), features) == 0);
  fs::rename(weights, temp.path() / "model.safetensors");
  check_refused([&] { open_model(temp.path()); }, "a model of Hugging Face CLIP needs");
}
