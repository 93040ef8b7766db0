#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/llava_model.h"

using namespace vitrail;
using namespace vitrail::recipes;
using test::check_says;
using test::vitrail_program;

TEST_CASE("vitrail convert: a model that sees becomes a folder for transformers") {
  const test::TemporaryFolder folder;
  LlavaModel model;
  nn::LlavaConfig& c = model.config.llava;
  c.vision = {.img_size = 8, .patch_size = 4, .num_classes = 0, .embed_dim = 8, .depth = 2, .num_heads = 2};
  c.vision.pre_norm = true;
  c.text = {.vocab_size = 12, .embed_dim = 8, .hidden_dim = 12, .depth = 1, .num_heads = 2, .num_kv_heads = 1};
  model.config.decoder.llama = c.text;
  model.config.image_size = 8;
  model.config.preprocessing.size = model.config.preprocessing.crop = 8;
  model.llava = std::make_shared<nn::Llava>(nn::Scope(1), c);
  write_llava(model, folder.path() / "in");

  const test::Output converted = vitrail_program(folder, "convert in -o out");
  check_says(converted, 0, "wrote out/config.json");
  CHECK(converted.err.find("the last 1 of 2 blocks of the image tower are left out") != std::string::npos);
  const TensorMap written = safetensors::Reader(folder.path() / "out/model.safetensors").read_all();
  CHECK(!written.contains("vision_tower.vision_model.encoder.layers.1.layer_norm1.weight"));
  for (const auto& [name, t] : safetensors::Reader(folder.path() / "in/model.safetensors").read_all())
    if (name.find(".layers.1.") == std::string::npos) CHECK(test::max_difference(t, written.at(name)) == 0);
  CHECK(test::read_json(folder.path() / "out/config.json")["vision_feature_layer"] == -1);

  check_says(vitrail_program(folder, "convert in --layout timm -o x"), 2, "--layout hf alone");

  // An adapter of PEFT is added to its base, wherever that is.
  const std::string layer = "base_model.model.model.language_model.layers.0.mlp.up_proj.";
  std::filesystem::create_directory(folder.path() / "adapter");
  safetensors::save(folder.path() / "adapter/adapter_model.safetensors",
                    {{layer + "lora_A.weight", full({1, 8}, 0.5)}, {layer + "lora_B.weight", full({12, 1}, 0.25)}});
  test::write_text(folder.path() / "adapter/adapter_config.json",
                   R"({"peft_type": "LORA", "r": 1, "lora_alpha": 2, "base_model_name_or_path": "elsewhere"})");
  check_says(vitrail_program(folder, "convert adapter -o merged"), 2, "'elsewhere' is no folder here");
  const test::Output merged = vitrail_program(folder, "convert adapter --base in -o merged");
  check_says(merged, 0, "wrote merged/config.json");
  CHECK(merged.err.find("the adapter adapter is added to the weights of 1 layer") != std::string::npos);
  const std::string up = "language_model.model.layers.0.mlp.up_proj.weight";  // + 2 * 0.25 * 0.5
  const Tensor& before = written.at(up);
  const Tensor after = safetensors::Reader(folder.path() / "merged/model.safetensors").read_all().at(up);
  CHECK(test::max_difference(after, core::add(before, full(before.shape(), 0.25))) < 1e-6);
  check_says(vitrail_program(folder, "init --arch vit_tiny --out vit"), 0, "wrote");
  check_says(vitrail_program(folder, "convert vit --tower in -o x"), 2, "--tower is for language models that see");
}
