#include "tests/support/close.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

using namespace vitrail;
using test::check_says;
using test::Output;
using test::vitrail_program;

TEST_CASE("vitrail init and convert: from one layout to the next and back again") {
  const test::TemporaryFolder folder;
  check_says(vitrail_program(folder, "init --help"), 0, "Example: vitrail init --arch clip_vit_b32");
  check_says(vitrail_program(folder, "convert --help"), 0, "Example: vitrail convert");
  const Output made = vitrail_program(folder, "init --arch vit_tiny --classes 4 --seed 5 --out vit");
  check_says(made, 0,
             "ViT: 12 blocks of width 192, 3 heads, images of 224, patches of 16, 4 classes; 5525188 parameters");
  check_says(made, 0, "wrote vit/config.json");
  for (const char* file : {"config.json", "preprocessor_config.json", "model.safetensors"})
    CHECK(std::filesystem::exists(folder.path() / "vit" / file));

  const Output timm = vitrail_program(folder, "convert vit --layout timm -o timm.safetensors");
  check_says(timm, 0, "vit/model.safetensors, in the layout of Hugging Face ViT");
  check_says(timm, 0, "reads from the file's metadata: 3 heads, eps 1e-06 in norms, GELU");
  check_says(vitrail_program(folder, "convert timm.safetensors --layout torchvision -o tv.safetensors"), 0,
             "in the layout of timm and DeiT");
  check_says(vitrail_program(folder, "convert tv.safetensors -o back"), 0, "in the layout of torchvision");
  const TensorMap first = safetensors::Reader(folder.path() / "vit/model.safetensors").read_all();
  const TensorMap last = safetensors::Reader(folder.path() / "back/model.safetensors").read_all();
  REQUIRE(first.size() == last.size());
  for (const auto& item : first) CHECK(test::max_difference(item.second, last.at(item.first)) == 0);
  CHECK(test::read_text(folder.path() / "vit/config.json").find("\"layer_norm_eps\": 1e-06") != std::string::npos);
  CHECK(test::read_text(folder.path() / "back/config.json").find("\"layer_norm_eps\": 1e-06") != std::string::npos);

  check_says(vitrail_program(folder, "convert vit --layout dino -o dino.safetensors"), 2, "no place for head.bias");
  check_says(vitrail_program(folder, "convert vit --layout open_clip -o x"), 2,
             "open_clip is a layout of the family CLIP");
  check_says(vitrail_program(folder, "convert vit --layout timm -o x"), 2, "must end in .safetensors");
  check_says(vitrail_program(folder, "convert nothing -o x"), 2, "nothing: no such file or folder");
  check_says(vitrail_program(folder, "init --arch vit_smal --out x"), 2, "did you mean 'vit_small'?");
  test::write_text(folder.path() / "m.pth", "PK");
  check_says(vitrail_program(folder, "convert m.pth -o x"), 2, "docs/weights.md");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "x"));
}

TEST_CASE("vitrail convert: a run becomes a folder of Hugging Face, with its preprocessing") {
  const test::TemporaryFolder folder;
  const std::string recipe = test::kRecipes + "vit_digits.yaml data.root=" + test::kDigits +
                             " train.epochs=1 schedule.warmup_epochs=0 model.depth=1 model.global_pool=token out=run";
  REQUIRE(test::run(folder, "train", recipe).code == 0);
  const Output converted = vitrail_program(folder, "convert run -o model");
  check_says(converted, 0, "in the layout of");
  check_says(converted, 0, "wrote model/preprocessor_config.json");
  const Output again = vitrail_program(folder, "convert model --layout timm -o timm.safetensors");
  check_says(again, 0, "Hugging Face ViT");
  check_says(vitrail_program(folder, "export run -o export.safetensors"), 0, "export.safetensors");
  const TensorMap exported = safetensors::Reader(folder.path() / "export.safetensors").read_all();
  const TensorMap through = safetensors::Reader(folder.path() / "timm.safetensors").read_all();
  REQUIRE(exported.size() == through.size());
  for (const auto& item : exported) CHECK(test::max_difference(item.second, through.at(item.first)) == 0);

  // Commands that take a run take the folder too, and load the same model.
  const auto evaluated = [&](const std::string& model) {
    const Output output = vitrail_program(folder, "eval " + model + " --confusion '' --json");
    CAPTURE(output.err);
    REQUIRE(output.code == 0);
    return nlohmann::json::parse(output.out);
  };
  const auto run = evaluated("run"), published = evaluated("model " + test::kDigits);
  CHECK(double(published["loss"]) == doctest::Approx(double(run["loss"])).epsilon(1e-6));
  CHECK(published["classes"] == run["classes"]);
  check_says(vitrail_program(folder, "knn model " + test::kDigits + " -k 5 --baselines"), 0, "untrained");
  check_says(vitrail_program(folder, "knn model -k 5"), 2, "data.root");
  check_says(vitrail_program(folder, "knn model data.eval_crop=1"), 2, "data.eval_crop");
  check_says(vitrail_program(folder, "summary model"), 0, "blocks.0.mlp");
  data::write_png(folder.path() / "grey.png", data::Image(40, 30));
  check_says(vitrail_program(folder, "attention model grey.png"), 0, "attention.png: 1 images");
  check_says(vitrail_program(folder, "pca timm.safetensors grey.png"), 0, "pca.png: 1 images");
}

TEST_CASE("every command that opens a published model can pass over a key of its configuration") {
  const test::TemporaryFolder folder;
  check_says(vitrail_program(folder, "init --arch vit_tiny --classes 2 --out vit"), 0, "wrote vit/config.json");
  const auto file = folder.path() / "vit/config.json";
  nlohmann::json config = nlohmann::json::parse(test::read_text(file));
  config["gain"] = 2;
  config["shift"] = 3;
  test::write_text(file, config.dump());
  std::filesystem::create_directory(folder.path() / "images");
  data::write_png(folder.path() / "images/a.png", data::Image(32, 32));
  check_says(vitrail_program(folder, "summary vit"), 3, "config.json: 'gain' is 2; this key is not known here");
  check_says(vitrail_program(folder, "summary --accept-key gain vit"), 3, "'shift' is 3");
  const std::string accept = " --accept-key gain --accept-key shift ";
  for (const std::string& command : std::vector<std::string>{
           "summary" + accept + "vit", "export" + accept + "vit -o a.safetensors", "convert" + accept + "vit -o back",
           "features -m vit" + accept + "images -o f.h5", "similarity -m vit" + accept + "images/a.png",
           "search" + accept + "f.h5 images/a.png", "attention" + accept + "vit images -o a.png --size 32",
           "pca" + accept + "vit images -o p.png --size 32"}) {
    CAPTURE(command);
    const Output output = vitrail_program(folder, command);
    CAPTURE(output.err);
    CHECK(output.code == 0);
  }
  for (const char* command : {"eval", "knn", "linear", "patches", "neighbours", "map", "retrieval", "zero-shot"})
    check_says(vitrail_program(folder, std::string(command) + " --help"), 0, "--accept-key");
}

TEST_CASE("vitrail convert: a run with LoRA becomes a whole model, or an adapter of PEFT that is a model, too") {
  const test::TemporaryFolder folder;
  const std::string recipe = test::kRecipes + "vit_digits.yaml data.root=" + test::kDigits +
                             " train.epochs=1 schedule.warmup_epochs=0 model.depth=1 model.global_pool=token ";
  REQUIRE(test::run(folder, "train", recipe + "out=base").code == 0);
  const Output trained = test::run(folder, "train", recipe + "out=run init=base lora.rank=2");
  check_says(trained, 0, " of them trained");
  const auto answer = [&](const std::string& model) {
    const Output eval = vitrail_program(folder, "eval " + model + " " + test::kDigits + " --json");
    CAPTURE(eval.err);
    REQUIRE(eval.code == 0);
    return nlohmann::json::parse(eval.out);
  };
  const auto expected = answer("run");
  check_says(vitrail_program(folder, "convert run -o merged"), 0, "in the layout of");
  check_says(vitrail_program(folder, "convert run --adapter -o adapter"), 0, "rank 2 on 2 layers of ");
  check_says(vitrail_program(folder, "convert run --adapter --layout timm -o for_timm"), 0, "adapter_config.json");
  CHECK(safetensors::Reader(folder.path() / "adapter/adapter_model.safetensors")
            .contains("base_model.model.vit.layers.0.attention.v_proj.lora_B.weight"));
  for (const char* model : {"merged", "adapter", "for_timm", "adapter --base base"})
    CHECK(double(answer(model)["loss"]) == doctest::Approx(double(expected["loss"])).epsilon(1e-5));
  check_says(vitrail_program(folder, "convert run --adapter --transformers 4 -o four"), 0, "wrote four/");
  CHECK(safetensors::Reader(folder.path() / "four/adapter_model.safetensors")
            .contains("base_model.model.vit.encoder.layer.0.attention.attention.value.lora_B.weight"));
  check_says(vitrail_program(folder, "convert adapter --layout timm -o again.safetensors"), 0,
             "the adapter is added to");
  check_says(vitrail_program(folder, "convert base --adapter -o x"), 2, "is no run with LoRA");
  check_says(vitrail_program(folder, "convert run --transformers 4 -o x"), 2, "--transformers requires --adapter");
  check_says(test::run(folder, "train", recipe + "out=on init=base lora.init=adapter"), 0, "begins with the adapter");
}
