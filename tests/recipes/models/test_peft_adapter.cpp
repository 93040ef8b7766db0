// Adapters in the folders of Hugging Face PEFT, read and written.
#include "tests/support/close.h"
#include "tests/support/small_clip.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/peft_adapter.h"
#include "vitrail/recipes/models/start_weights.h"
#include "vitrail/recipes/models/vit_family.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kWidth = 16, kClasses = 3;

nn::VitConfig base_config() {
  nn::VitConfig c = test::small_vit();
  c.num_classes = kClasses;
  return c;
}

/// A base with random weights, biases too.
TensorMap base_weights() {
  nn::VisionTransformer model(nn::Scope(4), base_config());
  Rng rng(7, "base");
  for (nn::Parameter* p : model.parameters())
    p->update([&](Tensor& t) { t.copy_(core::add(t, rng.normal(t.shape(), 0, 0.1))); });
  TensorMap weights;
  for (const auto& [name, t] : nn::state(model)) weights[name] = t.clone();
  return weights;
}

PublishedModel published_base() {
  PublishedModel model;
  model.source = "base";
  model.layout = &nn::layout_named("timm");
  model.architecture = vit_architecture(base_config());
  model.weights = base_weights();
  model.preprocessing = {.size = 16, .crop = 16};
  return model;
}

Tensor logits(const OpenModel& model) { return model.classify(test::small_images()); }

/// The logits of the base with other weights in some places.
Tensor logits_with(const TensorMap& changed) {
  nn::VisionTransformer model(nn::Scope(1), base_config());
  TensorMap weights = base_weights();
  for (const auto& [name, t] : changed) weights.at(name) = t;
  nn::load_state(model, weights, "changed");
  model.eval();
  return model(test::small_images()).value();
}

std::string adapter_json(const std::string& more = "") {
  return R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "target_modules": ["q_proj"], "bias": "none",
             "megatron_core": "megatron.core", "rank_pattern": {}, "use_dora": false, "loftq_config": {},
             "base_model_name_or_path": "../base")" +
         more + "}";
}

void write_adapter_folder(const fs::path& folder, const TensorMap& tensors, const std::string& json) {
  fs::create_directories(folder);
  safetensors::save(folder / "adapter_model.safetensors", tensors);
  test::write_text(folder / "adapter_config.json", json);
}

Tensor random(const Shape& shape, const char* name) { return Rng(9, name).normal(shape, 0, 0.5); }

/// weight + 3 / 2 b a.
Tensor changed(const Tensor& weight, const Tensor& a, const Tensor& b) {
  return core::add(weight, core::affine(core::matmul(b, a), 1.5));
}

/// A model on which a run with LoRA has ended: the base, with adapters of rank 2 that are not zero.
OpenModel open_lora(const std::string& base, const LoraSection& lora) {
  nn::VisionTransformer model(nn::Scope(4), base_config());
  nn::load_state(model, base_weights(), "base");
  lora.adapt(model, {});
  TensorMap weights = nn::state(model);
  for (auto& [name, t] : weights)
    if (name.ends_with(".lora_b")) t = random(t.shape(), name.c_str());
  weights.at("head.weight") = random({kClasses, kWidth}, "head");
  struct Settings final : RecipeConfig {
    Adapters adapters() const override { return {&lora, base}; }
    std::unique_ptr<Recipe> build() const override { return nullptr; }
    LoraSection lora;
    std::string base;
  };
  Settings settings;
  settings.lora = lora;
  settings.base = base;
  OpenModel opened;
  opened.source = "run";
  opened.preprocessing = {.size = 16, .crop = 16};
  auto network = std::make_shared<nn::VisionTransformer>(nn::Scope(), base_config());
  nn::load_state(*network, merge_adapters(opened, settings, weights), "run");
  network->eval();
  set_backbone(opened, network);
  opened.classes = {"a", "b", "c"};
  return opened;
}

}  // namespace

TEST_CASE("an adapter of Hugging Face changes queries and values of a packed layer, each by its own matrices") {
  const test::TemporaryFolder temp;
  write_model(published_base(), "hf", temp.path() / "base");
  const Tensor qa = random({2, kWidth}, "qa"), qb = random({kWidth, 2}, "qb"), va = random({2, kWidth}, "va"),
               vb = random({kWidth, 2}, "vb"), oa = random({2, kWidth}, "oa"), ob = random({kWidth, 2}, "ob");
  const TensorMap base = base_weights();
  TensorMap expected;
  Tensor qkv = base.at("blocks.1.attn.qkv.weight").clone();  // [3 C, C]
  qkv.slice(0, 0, kWidth).copy_(changed(qkv.slice(0, 0, kWidth).clone(), qa, qb));
  qkv.slice(0, 2 * kWidth, 3 * kWidth).copy_(changed(qkv.slice(0, 2 * kWidth, 3 * kWidth).clone(), va, vb));
  expected["blocks.1.attn.qkv.weight"] = qkv;
  expected["blocks.0.attn.proj.weight"] = changed(base.at("blocks.0.attn.proj.weight"), oa, ob);
  expected["head.weight"] = random({kClasses, kWidth}, "head");
  Tensor qkv_bias = base.at("blocks.1.attn.qkv.bias").clone();
  qkv_bias.slice(0, kWidth, 2 * kWidth).fill_(0.25);
  expected["blocks.1.attn.qkv.bias"] = qkv_bias;
  const Tensor wanted = logits_with(expected);
  const auto name = [](const std::string& module, const std::string& rest) {
    return "base_model.model." + module + "." + rest;
  };
  for (const bool modules : {true, false}) {  // of transformers 5, and of 4
    CAPTURE(modules);
    const std::string blocks = modules ? "vit.layers." : "vit.encoder.layer.",
                      q = blocks + (modules ? "1.attention.q_proj" : "1.attention.attention.query"),
                      k = blocks + (modules ? "1.attention.k_proj" : "1.attention.attention.key"),
                      v = blocks + (modules ? "1.attention.v_proj" : "1.attention.attention.value"),
                      o = blocks + (modules ? "0.attention.o_proj" : "0.attention.output.dense");
    const TensorMap tensors = {{name(q, "lora_A.weight"), qa},
                               {name(q, "lora_B.weight"), qb},
                               {name(v, "lora_A.weight"), va},
                               {name(v, "lora_B.weight"), vb.to(DType::bf16).to(DType::f32)},
                               {name(o, "lora_A.weight"), oa},
                               {name(o, "lora_B.weight"), ob},
                               {name(k, "base_layer.bias"), full({kWidth}, 0.25)},
                               {name("classifier", "weight"), expected.at("head.weight")},
                               {name("classifier", "original_module.weight"), ones({kClasses, kWidth})}};
    TensorMap exact = tensors;
    exact[name(v, "lora_B.weight")] = vb;
    write_adapter_folder(temp.path() / "adapter", exact, adapter_json());
    const OpenModel opened = open_model(temp.path() / "adapter");
    CHECK(test::max_difference(logits(opened), wanted) < 1e-5);
    CHECK(opened.notes.back().find("the adapter is added to the weights of") == 0);
    CHECK(test::max_difference(logits(open_model(temp.path() / "adapter", {}, {.base = temp.path() / "base"})),
                               wanted) < 1e-5);

    const PeftAdapter adapter = read_adapter(temp.path() / "adapter");
    CHECK(adapter.config.rank == 4);
    CHECK(adapter.config.alpha == 6);  // the same scale
    CHECK(adapter.targets == std::vector<std::string>{"attn.proj", "attn.qkv"});
    CHECK(adapter.weights.at("blocks.1.attn.qkv.lora_b").shape() == Shape{3 * kWidth, 4});
    CHECK(adapter.weights.at("blocks.0.attn.proj.lora_b").shape() == Shape{kWidth, 2});
    const StartWeights start = read_weights(temp.path() / "adapter");
    CHECK(test::max_difference(start.tensors.at("blocks.1.attn.qkv.weight"), qkv) < 1e-6);

    // The same adapter, to be trained further: larger ranks and another scale compute the same at first.
    nn::VisionTransformer model(nn::Scope(4), base_config());
    nn::load_state(model, base, "base");
    nn::add_lora(model, {"attn.qkv", "attn.proj"}, {.rank = 5, .alpha = 11});
    std::vector<std::string> notes;
    load_adapter(model, temp.path() / "adapter", {}, notes);
    CHECK(notes.back().find("on 2 layers") != std::string::npos);
    model.eval();
    CHECK(test::max_difference(model(test::small_images()).value(), wanted) < 1e-5);
    CHECK(nn::merge_lora(model) == 4);
  }
}

TEST_CASE("adapters that are more than LoRA, or do not fit, are refused by name") {
  const test::TemporaryFolder temp;
  write_model(published_base(), "hf", temp.path() / "base");
  const std::string q = "base_model.model.vit.layers.0.attention.q_proj.";
  const TensorMap good = {{q + "lora_A.weight", ones({2, kWidth})}, {q + "lora_B.weight", ones({kWidth, 2})}};
  const fs::path folder = temp.path() / "adapter";
  const auto says = [&](const TensorMap& tensors, const std::string& more, const std::string& message) {
    CAPTURE(message);
    write_adapter_folder(folder, tensors, adapter_json(more));
    CHECK_THROWS_WITH_AS(open_model(folder), doctest::Contains(message.c_str()), IoError);
  };
  says(good, R"(, "use_rslora": 1)", "use_rslora");
  says(good, R"(, "alpha_pattern": {"x": 3})", "alpha_pattern");
  for (const char* more : {R"("trainable_token_indices": [1])", R"("lora_bias": true)",
                           R"("layer_replication": [[0, 1]])", R"("eva_config": {"rho": 2})"}) {
    const std::string key = std::string(more).substr(1, std::string(more).find('"', 1) - 1);
    says(good, std::string(", ") + more, "'" + key + "' is");
  }
  says(good, R"(, "init_lora_weights": "pissa")", "'init_lora_weights' is 'pissa'");
  says(good, R"(, "fan_in_fan_out": true)", "fan_in_fan_out");
  TensorMap other = good;
  other[q + "lora_magnitude_vector"] = ones({kWidth});
  says(other, "", "lora_magnitude_vector' is of a kind of LoRA that is not built");
  other = good;
  other.erase(q + "lora_B.weight");
  says(other, "", "lacks one of lora_A and lora_B");
  other = good;
  other["base_model.model.vit.layers.7.attention.q_proj.lora_A.weight"] = ones({2, kWidth});
  says(other, "", "it changes 'vit.layers.7.attention.q_proj.weight', which the model does not have");
  says({{q + "lora_A.weight", ones({4, kWidth})}, {q + "lora_B.weight", ones({kWidth, 4})}}, "", "'r' is 2");
  says({{q + "lora_A.weight", ones({2, 8})}, {q + "lora_B.weight", ones({8, 2})}}, "", "the model's weight is");
  says({{"vit.x", ones({2})}}, "", "does not begin with 'base_model.model.'");
  says({{"base_model.model.classifier.weight", ones({3, kWidth})}}, "", "has no lora_A");
  write_adapter_folder(folder, good, adapter_json(R"(, "use_qalora": true)"));
  CHECK_NOTHROW(open_model(folder, {}, {.accept_keys = {"use_qalora"}}));

  write_adapter_folder(folder, good, R"({"peft_type": "LORA", "r": 2, "base_model_name_or_path": "google/vit"})");
  CHECK_THROWS_WITH_AS(open_model(folder), doctest::Contains("base model 'google/vit' is no folder here; give the"),
                       ConfigError);
  CHECK_NOTHROW(open_model(folder, {}, {.base = temp.path() / "base"}));
  CHECK_THROWS_WITH_AS(open_model(folder, {}, {.base = folder}), doctest::Contains("is an adapter, too"), ConfigError);

  SupervisedConfig settings;
  Config config(settings);
  config.set("lora.init='" + folder.string() + "'");
  std::vector<std::string> notes;
  settle_adapter(config, notes);
  CHECK(settings.lora.rank == 2);
  CHECK(settings.lora.alpha == 8);
  CHECK(settings.lora.targets == std::vector<std::string>{"attn.qkv"});
  CHECK(notes.at(0).find("lora.rank 2") != std::string::npos);
  config.set("lora.rank=0");
  CHECK_THROWS_WITH_AS(settings.lora.check_use("base", DType::f32), doctest::Contains("lora.rank is 0"), ConfigError);
  nn::VisionTransformer model(nn::Scope(4), base_config());
  nn::add_lora(model, {"attn.qkv"}, {.rank = 1});
  CHECK_THROWS_WITH_AS(load_adapter(model, folder, {}, notes), doctest::Contains("needs 2 for 'blocks.0.attn.qkv'"),
                       ConfigError);
}

TEST_CASE("an adapter of a run, written for PEFT, gives the run's model on its base") {
  const test::TemporaryFolder temp;
  const fs::path base = temp.path() / "base";
  write_model(published_base(), "hf", base);
  LoraSection lora;
  lora.rank = 2;
  lora.alpha = 5;
  for (const std::vector<std::string>& targets :
       {std::vector<std::string>{"attn.qkv", "attn.proj"}, {"mlp.fc1"}, {"mlp.fc2", "attn.qkv"}, {"mlp.fc2"}}) {
    lora.targets = targets;
    lora.use_rslora = targets.size() == 1;
    const OpenModel run = open_lora(base.string(), lora);
    for (const auto& [layout, which] :
         {std::pair{"hf", nn::NamesOf::modules}, {"hf", nn::NamesOf::files}, {"timm", nn::NamesOf::modules}}) {
      const std::string shown = layout;
      CAPTURE(shown);
      const fs::path out = temp.path() / "out";
      fs::remove_all(out);
      const WrittenModel written = write_adapter(run, layout, out, which);
      CHECK(written.files.size() == 2);
      const OpenModel back = open_model(out);
      CHECK(test::max_difference(logits(back), logits(run)) < 1e-5);
      CHECK(back.classes == run.classes);
      const PeftAdapter adapter = read_adapter(out);
      CHECK(adapter.config.rank == 2);  // the parts of qkv share lora_A
      CHECK(adapter.config.scale() == doctest::Approx(lora.config().scale()));
    }
  }
  lora.targets = {"mlp.fc2"};
  lora.train = {"head", "norm", "cls_token"};
  const WrittenModel written =
      write_adapter(open_lora(base.string(), lora), "hf", temp.path() / "fc2", nn::NamesOf::files);
  CHECK(written.notes.at(0) == "cls_token is trained and left out: PEFT saves whole modules only");
  const Json config = Json::parse(test::read_text(temp.path() / "fc2/adapter_config.json"));
  // "output.dense" alone would name the attention's projection too.
  CHECK(config.find("target_modules")->text() ==
        R"(["vit.encoder.layer.0.output.dense","vit.encoder.layer.1.output.dense"])");
  CHECK(config.find("modules_to_save")->text() == R"(["classifier","vit.layernorm"])");
  CHECK(config.find("lora_alpha")->text() == "5");
  OpenModel plain = open_model(base);
  CHECK_THROWS_WITH_AS(write_adapter(plain, "hf", temp.path() / "x", nn::NamesOf::files),
                       doctest::Contains("is no run with LoRA"), ConfigError);
}

TEST_CASE("adapters of CLIP: both towers, and the image tower alone") {
  const test::TemporaryFolder temp;
  const PublishedModel clip = test::published_clip();
  write_model(clip, "hf", temp.path() / "base");
  const auto layer = [](const std::string& module) { return "base_model.model." + module; };
  const std::string q = ".encoder.layers.0.self_attn.q_proj.";
  TensorMap tensors;
  for (const char* tower : {"vision_model", "text_model"}) {
    tensors[layer(tower + q + "lora_A.weight")] = random({2, 16}, "a");
    tensors[layer(tower + q + "lora_B.weight")] = random({16, 2}, "b");
  }
  write_adapter_folder(temp.path() / "adapter", tensors, adapter_json());
  const OpenModel before = open_model(temp.path() / "base"), after = open_model(temp.path() / "adapter");
  CHECK(test::max_difference(before.image_features(test::small_images()), after.image_features(test::small_images())) >
        1e-3);
  CHECK(test::max_difference(before.text_features(test::small_texts()), after.text_features(test::small_texts())) >
        1e-3);
  Tensor expected = clip.weights.at("visual.blocks.0.attn.qkv.weight").clone();
  expected.slice(0, 0, 16).copy_(changed(expected.slice(0, 0, 16).clone(), random({2, 16}, "a"), random({16, 2}, "b")));
  CHECK(test::max_difference(nn::state(*after.network).at("visual.blocks.0.attn.qkv.weight"), expected) < 1e-6);

  std::erase_if(tensors, [](const auto& item) { return item.first.find("text_model") != std::string::npos; });
  write_adapter_folder(temp.path() / "adapter", tensors, adapter_json());
  const TensorMap tower = without_prefix(clip.weights, "visual.");
  CHECK(read_adapter(temp.path() / "adapter", &tower).weights.contains("blocks.0.attn.qkv.lora_a"));
  CHECK(read_adapter(temp.path() / "adapter", &clip.weights).weights.contains("visual.blocks.0.attn.qkv.lora_a"));
}
