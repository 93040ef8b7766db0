// Models of Hugging Face that have a ViT's weights under other classes, and the type of weights that folders state.
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
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <string>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::check_refused;
using test::TemporaryFolder;

namespace {

/// Keys of a config.json that fit test::small_vit().
json small_config(const std::string& model_type) {
  return {{"model_type", model_type}, {"hidden_size", 16}, {"num_hidden_layers", 2}, {"num_attention_heads", 2},
          {"intermediate_size", 64},  {"image_size", 16},  {"patch_size", 8}};
}

/// Writes the model under the layout's names, and other tensors beside its own.
void write_folder(const TemporaryFolder& folder, const char* layout, const TensorMap& ours, const json& config,
                  const TensorMap& others = {}) {
  TensorMap theirs = nn::to_layout(nn::layout_named(layout), ours).weights;
  theirs.insert(others.begin(), others.end());
  safetensors::save(folder.path() / "model.safetensors", theirs);
  test::write_text(folder.path() / "config.json", config.dump());
  test::write_text(folder.path() / "preprocessor_config.json", R"({"size": 16})");
}

PublishedModel published_vit(const nn::VitConfig& config) {
  PublishedModel model;
  model.source = "made";
  model.layout = &nn::layout_named("timm");
  model.architecture = vit_architecture(config);
  model.weights = nn::state(nn::VisionTransformer(nn::Scope(1), config));
  model.preprocessing = published_preprocessing(*model.layout, config.img_size);
  return model;
}

}  // namespace

TEST_CASE("hub models: the encoder of a ViT that was trained by masking or by MSN") {
  const TemporaryFolder folder;
  nn::VitConfig config = test::small_vit();
  for (const char* type : {"vit_mae", "vit_msn"}) {
    CAPTURE(type);
    const bool masked = std::string(type) == "vit_mae";
    config.ln_eps = masked ? 1e-12 : 1e-6;
    nn::VisionTransformer vit(nn::Scope(1), config);
    json described = small_config(type);
    TensorMap others;
    if (masked) {
      described.update({{"decoder_hidden_size", 8}, {"decoder_num_hidden_layers", 1}, {"mask_ratio", 0.75}});
      described.update({{"decoder_num_attention_heads", 2}, {"decoder_intermediate_size", 8}, {"norm_pix_loss", true}});
      others = {{"decoder.mask_token", zeros({1, 1, 8})}, {"decoder.decoder_embed.weight", zeros({8, 16})}};
    }
    write_folder(folder, "hf_vit", nn::state(vit), described, others);
    const OpenModel model = open_model(folder.path());
    CHECK(model.architecture->vision().ln_eps == config.ln_eps);
    CHECK(test::max_difference(model.image_features(test::small_images()),
                               vit.features(test::small_images()).value()) == 0);
    CHECK(test::any_says(model.notes, "left out, of training by masking") == masked);
  }
}

TEST_CASE("hub models: DeiT with one classifier reads the class token alone") {
  const TemporaryFolder folder;
  nn::VitConfig config = test::small_vit();
  config.num_classes = 3;
  config.num_registers = 1;  // the distillation token takes part in attention, and no classifier reads it
  config.pos_embed = nn::PosEmbed::all_tokens;
  config.ln_eps = 1e-12;
  nn::VisionTransformer vit(nn::Scope(1), config);
  json described = small_config("deit");
  described["architectures"] = {"DeiTForImageClassification"};
  write_folder(folder, "hf_deit_one_head", nn::state(vit), described);
  CHECK(safetensors::Reader(folder.path() / "model.safetensors").read_all().contains("embeddings.distillation_token"));
  const OpenModel model = open_model(folder.path());
  CHECK(model.architecture->vision().num_registers == 1);
  CHECK(model.image_features(test::small_images()).shape() == Shape{2, 16});
  CHECK(test::max_difference(model.classify(test::small_images()), vit.logits(test::small_images()).value()) == 0);
  // The weights tell it too.
  CHECK(nn::recognise(safetensors::Reader(folder.path() / "model.safetensors").names(), "file").name ==
        "hf_deit_one_head");

  check_refused([&] { write_model(published_vit(config), "hf_deit_one_head", folder.path() / "a.safetensors"); },
                "Hugging Face DeiT with one classifier is read and not written");
  check_refused([&] { write_model(published_vit(test::small_vit()), "hf_deit", folder.path() / "a.safetensors"); },
                "have a distillation token, this model has none");
}

TEST_CASE("hub models: torch_dtype names the type of the weights that are written") {
  const TemporaryFolder folder;
  const auto written = [&](const PublishedModel& model) {
    write_model(model, "hf", folder.path() / "out");
    const json config = test::read_json(folder.path() / "out/config.json");
    return config["torch_dtype"].get<std::string>();
  };
  nn::VitConfig tower = test::small_vit();
  tower.pre_norm = true;
  tower.patch_bias = false;
  for (PublishedModel model : {published_vit(test::small_vit()), published_vit(tower), test::published_clip()}) {
    CHECK(written(model) == "float32");
    model.floats = safetensors::Floats::f16;
    CHECK(written(model) == "float16");
    CHECK(safetensors::Reader(folder.path() / "out/model.safetensors")
              .dtype(safetensors::Reader(folder.path() / "out/model.safetensors").names().front()) == "F16");
    model.floats = safetensors::Floats::f32;
    for (auto& [name, t] : model.weights) t = t.to(DType::bf16);
    CHECK(written(model) == "bfloat16");
    model.weights.begin()->second = model.weights.begin()->second.to(DType::f32);
    CHECK(written(model) == "float32");
  }
}

TEST_CASE("hub models: one output is no classifier") {
  const TemporaryFolder folder;
  nn::VitConfig config = test::small_vit();
  config.num_classes = 1;
  write_folder(folder, "hf_vit", nn::state(nn::VisionTransformer(nn::Scope(1), config)), small_config("vit"));
  const OpenModel model = open_model(folder.path());
  CHECK(model.image_features(test::small_images()).shape() == Shape{2, 16});
  check_refused([&] { expect_classes(model, "predict"); }, "has one output, which is no choice among classes");
}

TEST_CASE("hub models: every name of GELU means one of three functions") {
  const auto gelu = [](const char* name) {
    json config = small_config("vit");
    config["hidden_act"] = name;
    return parse_config(config.dump(), "config.json").architecture->vision().gelu;
  };
  for (const char* name : {"gelu", "gelu_python"}) CHECK(gelu(name) == ag::Gelu::erf);
  CHECK(gelu("quick_gelu") == ag::Gelu::quick);
  for (const char* name : {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"})
    CHECK(gelu(name) == ag::Gelu::tanh);
  check_refused([&] { gelu("gelu_10"); }, "'hidden_act' is \"gelu_10\"; known are gelu, quick_gelu");
}

TEST_CASE("hub models: a lone file whose patches have one channel is refused") {
  const TemporaryFolder folder;
  nn::VitConfig config = test::small_vit();
  config.embed_dim = 64;
  config.in_chans = 1;
  const auto file = folder.path() / "grey.safetensors";
  safetensors::save(file, nn::state(nn::VisionTransformer(nn::Scope(1), config)));
  check_refused([&] { read_published_model(file); }, "its patches have 1 channels; models here read images of 3");
}
