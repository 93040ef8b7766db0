// What commands say about a model, and where.
#include "tests/tools/program.h"
#include "tests/tools/tiny_models.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

using namespace vitrail;
using test::check_says;
using test::Output;
using test::vitrail_program;

TEST_CASE("every command that opens a model says what it assumed, on standard error") {
  const test::TemporaryFolder folder;
  const std::vector<std::filesystem::path> files =
      recipes::write_model(test::tiny_vit(2), "hf", folder.path() / "vit").files;
  std::filesystem::remove(folder.path() / "vit/preprocessor_config.json");
  for (const std::string part : {"train", "val"})
    for (const int label : {0, 1}) {
      const auto images = folder.path() / "data" / part / std::to_string(label);
      std::filesystem::create_directories(images);
      for (const int i : {0, 1}) test::write_tiny_image(images / (std::to_string(i) + ".png"), 2 * label + i);
    }
  test::write_tiny_image(folder.path() / "a.png", 1);
  const std::string data = " vit data";
  for (const std::string command :
       {"features -m vit a.png -o f.h5", "similarity -m vit a.png", "search f.h5 a.png", "convert vit -o out",
        "eval vit data --confusion ''", "knn vit data -k 1", "linear vit data --epochs 1 --lr 1", "attention vit a.png",
        "pca vit a.png", "patches vit", "neighbours vit data", "map vit data --method pca", "summary vit",
        "export vit -o weights.safetensors"}) {
    CAPTURE(command);
    const Output output = vitrail_program(folder, command);
    check_says(output, 0, "nothing says how images are prepared");
    CHECK(output.err.find("vit: nothing says how images are prepared") != std::string::npos);
    CHECK(output.out.find("nothing says") == std::string::npos);
  }
  CHECK(nlohmann::json::parse(vitrail_program(folder, "eval vit data --confusion '' --json").out)["pictures"] == 4);

  recipes::write_model(test::tiny_clip(), "hf", folder.path() / "clip");
  std::filesystem::remove(folder.path() / "clip/preprocessor_config.json");
  const Output asked = vitrail_program(folder, "zero-shot -m clip a.png --labels cat dog --json");
  CHECK(asked.err.find("clip: nothing says how images are prepared") != std::string::npos);
  CHECK(nlohmann::json::parse(asked.out)[0]["labels"].size() == 2);
}

TEST_CASE("a text that is longer than the context is named") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_clip(), "hf", folder.path() / "clip");
  test::write_tiny_image(folder.path() / "a.png", 1);
  // The vocabulary has letters alone: "abcdef" are 6 symbols, all that fit.
  const Output cut = vitrail_program(folder, "zero-shot -m clip a.png --labels acdefg acdefgh '012345678'");
  check_says(cut, 0, "%");
  CHECK(cut.err.find("the text \"acdefgh\" is too long: its last 1 symbols are cut off") != std::string::npos);
  CHECK(cut.err.find("the text \"012345678\" is too long: its last 3 symbols are cut off") != std::string::npos);
  CHECK(cut.err.find("\"acdefg\"") == std::string::npos);
  // A template counts too. Many texts are named up to five, then counted.
  test::write_text(folder.path() / "templates.txt", "{}{}\n");
  test::write_text(folder.path() / "names.txt", "acde\nacdf\nacdg\nacdh\nacdi\nacdj\nxy\n");
  const Output many = vitrail_program(folder, "zero-shot -m clip a.png --names names.txt --templates templates.txt");
  CHECK(many.err.find("the text \"acdeacde\" is too long: its last 2 symbols are cut off") != std::string::npos);
  CHECK(many.err.find("6 texts in all are too long") != std::string::npos);
  CHECK(many.err.find("acdj") == std::string::npos);

  REQUIRE(vitrail_program(folder, "features -m clip a.png -o f.h5").code == 0);
  const Output found = vitrail_program(folder, "search f.h5 --text 'a long text'");
  check_says(found, 0, "the text \"a long text\" is too long");
  check_says(vitrail_program(folder, "retrieval --help"), 0, "folder or checkpoint of a run of the method clip");
  check_says(vitrail_program(folder, "retrieval clip"), 2, "zero-shot");
}

TEST_CASE("preprocessing of a model that does not say it can be given") {
  const test::TemporaryFolder folder;
  recipes::PublishedModel model = test::tiny_vit(0);
  model.preprocessing.mean = {0.5, 0.25, 0.75};
  model.preprocessing.std = {0.1, 0.2, 0.3};
  recipes::write_model(model, "hf", folder.path() / "vit");
  recipes::write_model(model, "timm", folder.path() / "vit.safetensors");
  test::write_tiny_image(folder.path() / "a.png", 1);
  const auto features = [&](const std::string& arguments) {
    const Output output = vitrail_program(folder, "features a.png -o f.csv -m " + arguments);
    CAPTURE(output.err);
    CHECK(output.code == 0);
    return test::read_text(folder.path() / "f.csv");
  };
  const std::string expected = features("vit");
  CHECK(features("vit.safetensors") != expected);
  CHECK(features("vit.safetensors --mean 0.5 0.25 0.75 --std 0.1 0.2 0.3") == expected);
  CHECK(features("vit --image-size 8") == expected);
  check_says(vitrail_program(folder, "features a.png -o f.csv -m vit --image-size 16"), 0,
             "positions for images of 8 are resampled by the rule 'size'");
  check_says(vitrail_program(folder, "features a.png -o f.csv -m vit --mean 0.5"), 2, "--mean");
}

TEST_CASE("names of a list and of labels may come from the shell's pipes") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_clip(), "hf", folder.path() / "clip");
  test::write_tiny_image(folder.path() / "a.png", 1);
  test::write_text(folder.path() / "run.sh", VITRAIL_PROGRAMS
                   "/vitrail zero-shot -m clip --list <(echo a.png) --names <(printf 'ab\\ncd\\n') --json\n");
  const std::string command = "cd " + folder.path().string() + " && bash run.sh >out.json 2>err.txt </dev/null";
  CHECK(std::system(command.c_str()) == 0);
  CAPTURE(test::read_text(folder.path() / "err.txt"));
  const auto found = nlohmann::json::parse(test::read_text(folder.path() / "out.json"));
  CHECK(found[0]["picture"] == "a.png");
  CHECK(found[0]["labels"].size() == 2);
}

TEST_CASE("a checkpoint of DINO converts, the teacher or the student") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "dino");
  TensorMap weights = {{"teacher.head.last_layer.weight_v", ones({4, 8})},
                       {"teacher.head.last_layer.weight_g", ones({4, 1})}};
  for (const auto& [name, t] : test::tiny_vit(0, 1).weights) weights["teacher.backbone." + name] = t;
  for (const auto& [name, t] : test::tiny_vit(0, 2).weights) weights["student.module.backbone." + name] = t;
  safetensors::save(folder.path() / "dino/checkpoint.safetensors", weights);
  test::write_tiny_image(folder.path() / "a.png", 1);
  const auto features = [&](const std::string& model) {
    const Output output = vitrail_program(folder, "features -m " + model + " a.png -o f.csv");
    CAPTURE(output.err);
    CHECK(output.code == 0);
    return test::read_text(folder.path() / "f.csv");
  };
  const std::string teacher = features("dino"), student = features("dino --network student");
  CHECK(teacher != student);
  const char* const head = "left out, the head of DINO's loss";
  const struct {
    std::string option;
    const char* note;
    const std::string& features;
  } cases[] = {{"", head, teacher},
               {" --network teacher", head, teacher},
               {" --network student", "left out, of the teacher", student}};
  for (const auto& c : cases) {
    const Output converted = vitrail_program(folder, "convert dino -o out.safetensors --layout dino" + c.option);
    check_says(converted, 0, c.note);
    CHECK(features("out.safetensors") == c.features);
  }
  check_says(vitrail_program(folder, "features -m out.safetensors --network student a.png -o f.csv"), 2,
             "no network 'student'");
}

TEST_CASE("convert writes a model in F16 as F16, with the same numbers") {
  const test::TemporaryFolder folder;
  recipes::PublishedModel model = test::tiny_vit(0);
  model.floats = safetensors::Floats::f16;
  recipes::write_model(model, "hf", folder.path() / "half");
  check_says(vitrail_program(folder, "convert half --layout timm -o half.safetensors"), 0, "wrote");
  const safetensors::Reader before(folder.path() / "half/model.safetensors"), after(folder.path() / "half.safetensors");
  for (const std::string& name : after.names()) CHECK(after.dtype(name) == "F16");
  CHECK(after.read("norm.weight").to_vector() == before.read("layernorm.weight").to_vector());
  CHECK(after.read("cls_token").to_vector() == before.read("embeddings.cls_token").to_vector());
}

TEST_CASE("convert says what it loses: preprocessing, the rule of positions") {
  const test::TemporaryFolder folder;
  recipes::write_model(test::tiny_vit(0), "hf", folder.path() / "vit");
  const Output file = vitrail_program(folder, "convert vit --layout dino -o dino.safetensors");
  CHECK(file.err.find("the file does not say how images are prepared: shorter side to 8") != std::string::npos);
  CHECK(file.err.find(
            "DINO (facebookresearch/dino) resamples positions by the rule 'scale_offset', this model by 'size'") !=
        std::string::npos);
  CHECK(file.out.find("note") == std::string::npos);
  // Vitrail itself reads the rule from the metadata.
  test::write_tiny_image(folder.path() / "a.png", 1);
  check_says(vitrail_program(folder, "attention dino.safetensors a.png --size 16"), 0,
             "positions for images of 8 are resampled by the rule 'size'");
  check_says(vitrail_program(folder, "attention dino.safetensors a.png --size 16 --positions scale_offset"), 0,
             "by the rule 'scale_offset'");
  CHECK(vitrail_program(folder, "attention dino.safetensors a.png --size 8").err.find("resampled") ==
        std::string::npos);
}
