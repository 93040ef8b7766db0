// Classes of models and of data, matched by name; what is scored, printed and written.
#include "tests/data/samples.h"
#include "tests/tools/program.h"
#include "vitrail/core/io/hdf5.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/vit_family.h"
#include "vitrail/recipes/models/write_model.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

using namespace vitrail;
using nlohmann::json;
using test::check_says;
using test::Output;
using test::TemporaryFolder;
using test::vitrail_program;

namespace {

using Names = std::vector<std::string>;

/// A ViT of Hugging Face for 8 x 8 images whose answer is output `answer`, whatever it sees. Without names it has no
/// classifier.
void write_always(const std::filesystem::path& out, const Names& names, int64_t answer) {
  nn::VitConfig config{.img_size = 8, .patch_size = 4, .num_classes = int64_t(names.size()), .embed_dim = 8};
  config.depth = config.num_heads = 1;
  const nn::VisionTransformer vit(nn::Scope(1), config);
  recipes::PublishedModel model;
  model.layout = &nn::layout_named("timm");
  model.architecture = recipes::vit_architecture(config);
  model.weights = nn::state(vit);
  if (!names.empty()) {
    for (const char* name : {"head.weight", "head.bias"}) model.weights[name] = zeros(model.weights[name].shape());
    model.weights["head.bias"].data<float>()[answer] = 3;
  }
  model.preprocessing = recipes::published_preprocessing(nn::layout_named("hf_vit"), 8);
  model.classes = names;
  recipes::write_model(model, "hf", out);
}

void change_config(const std::filesystem::path& model, const json& id2label) {
  json config = json::parse(test::read_text(model / "config.json"));
  config["id2label"] = id2label;
  test::write_text(model / "config.json", config.dump());
}

void write_images(const TemporaryFolder& folder, std::initializer_list<std::string> paths) {
  uint8_t shade = 10;
  for (const std::string& path : paths)
    test::write_file(folder.path() / path, test::bmp({shade += 20, 90, uint8_t(255 - shade)}, 8, 8));
}

json json_of(const TemporaryFolder& folder, const std::string& arguments) {
  const Output output = vitrail_program(folder, arguments + " --json");
  CAPTURE(arguments);
  CAPTURE(output.err);
  REQUIRE(output.code == 0);
  return json::parse(output.out);
}

json class_named(const json& result, const std::string& name) {
  for (const json& c : result["classes"])
    if (c["name"] == name) return c;
  return {};
}

}  // namespace

TEST_CASE("a published classifier meets class folders by name") {
  const TemporaryFolder folder;
  write_always(folder.path() / "b", {"a", "b", "c"}, 1);
  write_images(folder, {"bcd/val/b/1.bmp", "bcd/val/c/1.bmp", "bcd/val/d/1.bmp", "bc/val/b/1.bmp", "bc/val/c/1.bmp",
                        "xyz/val/x/1.bmp", "xyz/val/y/1.bmp", "xyz/val/z/1.bmp"});
  const Output refused = vitrail_program(folder, "eval b bcd");
  check_says(refused, 3, "unknown there: d; missing here: a");
  const json some = json_of(folder, "eval b bc");
  CHECK(some["pictures"] == 2);
  CHECK(some["top1"] == 0.5);
  CHECK(class_named(some, "a")["pictures"] == 0);
  CHECK(class_named(some, "b")["top1"] == 1);
  const Output by_order = vitrail_program(folder, "eval b xyz");
  check_says(by_order, 0, "so their order counts: 'x' is 'a', 'y' is 'b', 'z' is 'c'; data.classes=FILE");
  test::write_text(folder.path() / "map.txt", "x\tb\ny\ta\nz\tc\n");
  CHECK(class_named(json_of(folder, "eval b xyz data.classes=map.txt"), "b")["top1"] == 1);
  test::write_text(folder.path() / "half.txt", "x\tb\ny\tcow\nz\tc\n");
  check_says(vitrail_program(folder, "eval b xyz data.classes=half.txt"), 3, "unknown there: cow; missing here: a");
}

TEST_CASE("folders named by number meet the numbers of id2label, not the order of bytes") {
  const TemporaryFolder folder;
  Names names;
  for (int i = 0; i < 12; ++i) {
    names.push_back(std::to_string(i));
    write_images(folder, {"num/train/" + names.back() + "/0.bmp", "num/val/" + names.back() + "/0.bmp"});
  }
  write_always(folder.path() / "vit12", names, 10);
  const json result = json_of(folder, "eval vit12 num");
  CHECK(result["pictures"] == 12);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(class_named(result, name)["top1"] == (name == "10" ? 1 : 0));
  }
}

TEST_CASE("other names in id2label, in another order or number, do not pass unseen") {
  const TemporaryFolder folder;
  write_images(folder, {"abc/val/a/1.bmp", "abc/val/a/2.bmp", "abc/val/b/1.bmp", "abc/val/c/1.bmp"});
  write_always(folder.path() / "vit", {"a", "b", "c"}, 0);
  CHECK(json_of(folder, "eval vit abc")["top1"] == 0.5);
  change_config(folder.path() / "vit", {{"0", "c"}, {"1", "a"}, {"2", "b"}});
  CHECK(json_of(folder, "eval vit abc")["top1"] == 0.25);
  change_config(folder.path() / "vit", {{"0", "a"}, {"1", "cow"}, {"2", "dog"}});
  check_says(vitrail_program(folder, "eval vit abc"), 3, "unknown there: b, c; missing here: cow, dog");
  change_config(folder.path() / "vit", {{"0", "a"}, {"1", "b"}});
  recipes::PublishedModel model = recipes::read_published_model(folder.path() / "vit");
  REQUIRE(model.notes.size() == 1);
  CHECK(model.notes[0] == "there are 2 names of classes for 3 outputs: they are not used");
}

TEST_CASE("a broken validation image is left out of every score") {
  const TemporaryFolder folder;
  write_images(folder, {"BV/train/a/1.bmp", "BV/train/b/1.bmp", "BV/val/a/1.bmp", "BV/val/b/1.bmp", "BV/val/b/2.bmp"});
  test::write_file(folder.path() / "BV/val/a/2.bmp", "no image");
  write_always(folder.path() / "vit2", {"a", "b"}, 0);
  const std::string skip = " BV data.on_error=skip data.max_bad=0.5";
  const json result = json_of(folder, "eval vit2" + skip);
  CHECK(result["pictures"] == 3);
  CHECK(result["left_out"] == 1);
  CHECK(result["top1"].get<double>() == doctest::Approx(1.0 / 3));
  CHECK(class_named(result, "a")["pictures"] == 1);
  CHECK(class_named(result, "b")["pictures"] == 2);
  const Output table = vitrail_program(folder, "eval vit2" + skip);
  check_says(table, 0, "3 images (1 left out): loss");
  check_says(table, 0, "top-1 33.33%");
  CHECK(table.out.find("top-5") == std::string::npos);  // of two classes it would be 100%
  for (const std::string& command : {"knn vit2" + skip + " -k 1", "linear vit2" + skip + " --epochs 1 --lr 0.1"}) {
    CAPTURE(command);
    const json scores = json_of(folder, command);
    CHECK(scores["pictures"] == 3);
    CHECK(scores["left_out"] == 1);
    check_says(vitrail_program(folder, command), 0, "3 images (1 left out)");
  }
  check_says(vitrail_program(folder, "eval vit2 BV"), 3, "broken image");
}

TEST_CASE("eval prints first, writes where it is asked to, and says what is confused most") {
  const TemporaryFolder folder;
  write_images(folder, {"data/val/cap/1.bmp", "data/val/cap/2.bmp", "data/val/hat/1.bmp", "data/val/shoe/1.bmp"});
  write_always(folder.path() / "vit", {"cap", "hat", "shoe"}, 1);
  const Output plain = vitrail_program(folder, "eval vit data");
  check_says(plain, 0, "most confused: cap -> hat 2, shoe -> hat 1\n");
  for (const char* file : {"confusion.csv", "confusion.png"})
    CHECK_FALSE(std::filesystem::exists(folder.path() / file));
  check_says(vitrail_program(folder, "eval vit data --confusion both"), 0, "confusion matrix: both.png");
  CHECK(test::read_text(folder.path() / "both.csv") == "true class,cap,hat,shoe\ncap,0,2,0\nhat,0,1,0\nshoe,0,1,0\n");
  CHECK(data::read_image(folder.path() / "both.png").width() > 3 * 64);
  CHECK(json_of(folder, "eval vit data --confusion one.csv")["confusion"] == json::array({"one.csv"}));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "one.csv.csv"));
  const Output unwritable = vitrail_program(folder, "eval vit data --confusion nowhere/confusion.csv");
  check_says(unwritable, 1, "nowhere");
  CHECK(unwritable.out.find("top-1 25.00%") != std::string::npos);
}

TEST_CASE("undivided class folders are simply evaluated") {
  const TemporaryFolder folder;
  write_images(folder, {"own/a/1.bmp", "own/b/1.bmp", "own/b/2.bmp", "own/b/3.bmp"});
  write_always(folder.path() / "vit", {"a", "b"}, 1);
  check_says(vitrail_program(folder, "eval vit own"), 0, "on own: 4 images: loss");
  CHECK(json_of(folder, "eval vit own")["top1"] == 0.75);
  CHECK(json_of(folder, "eval vit data.root=own")["top1"] == 0.75);
  check_says(vitrail_program(folder, "map vit own --method pca"), 0, "PCA of 4 images");
  check_says(vitrail_program(folder, "knn vit own -k 1"), 2, "data.root");  // nothing to know the neighbours from
  check_says(vitrail_program(folder, "neighbours vit data.root=own -k 2"), 0, "4 images, each with its nearest of 4");
}

TEST_CASE("a run keeps the names of its classes, through export, convert and other data") {
  const TemporaryFolder folder;
  write_images(folder, {"abc/train/a/1.bmp", "abc/train/a/2.bmp", "abc/train/b/1.bmp", "abc/train/c/1.bmp",
                        "abc/val/a/1.bmp", "abc/val/b/1.bmp", "abc/val/c/1.bmp"});
  test::write_text(folder.path() / "tiny.yaml", R"(recipe: supervised
model: {arch: vit_tiny, patch_size: 4, embed_dim: 8, depth: 1, num_heads: 1, global_pool: token}
data: {root: abc, img_size: 8, crop: none, hflip: 0, workers: 1}
optim: {lr: 3.0e-3}
schedule: {warmup_epochs: 0}
train: {epochs: 1, batch_size: 4}
)");
  const Output trained = test::run(folder, "train", "tiny.yaml out=run");
  check_says(trained, 0, "images 3");
  const json result = json::parse(test::read_text(folder.path() / "run/result.json"));
  CHECK(result["classes"] == json::array({"a", "b", "c"}));
  CHECK(result["metrics"]["images"] == 3);
  const json expected = json_of(folder, "eval run");
  CHECK(expected["classes"][2]["name"] == "c");

  REQUIRE(vitrail_program(folder, "convert run -o hf").code == 0);
  const json config = json::parse(test::read_text(folder.path() / "hf/config.json"));
  CHECK(config["id2label"] == json{{"0", "a"}, {"1", "b"}, {"2", "c"}});
  CHECK(config["label2id"] == json{{"a", 0}, {"b", 1}, {"c", 2}});
  REQUIRE(vitrail_program(folder, "export run -o run.safetensors").code == 0);
  CHECK(safetensors::Reader(folder.path() / "run.safetensors").metadata().at("vitrail.classes") == R"(["a","b","c"])");
  REQUIRE(vitrail_program(folder, "convert run --layout timm -o timm.safetensors").code == 0);

  // The names stay when the data has gone, and decide on other data.
  std::filesystem::rename(folder.path() / "abc", folder.path() / "elsewhere");
  write_images(folder, {"bc/b/1.bmp", "bc/c/1.bmp", "bcd/b/1.bmp", "bcd/c/1.bmp", "bcd/d/1.bmp"});
  for (const std::string model : {"run", "hf", "run.safetensors", "timm.safetensors"}) {
    CAPTURE(model);
    CHECK(json_of(folder, "eval " + model + " elsewhere")["classes"] == expected["classes"]);
    CHECK(json_of(folder, "eval " + model + " bc")["pictures"] == 2);
    check_says(vitrail_program(folder, "eval " + model + " bcd"), 3, "unknown there: d; missing here: a");
  }
  // The run's own training images are known, the folder is asked about.
  CHECK(json_of(folder, "knn run bc data.root=elsewhere -k 1")["pictures"] == 2);
  check_says(vitrail_program(folder, "linear run bcd data.root=elsewhere"), 3, "unknown there: d; missing here: a");

  // Data with other classes does not go on under the old numbers.
  const auto rename = [&](const char* from, const char* to) {
    for (const std::string part : {"elsewhere/train/", "elsewhere/val/"})
      std::filesystem::rename(folder.path() / (part + from), folder.path() / (part + to));
  };
  rename("a", "d");
  check_says(test::run(folder, "train", "--resume run data.root=elsewhere train.epochs=2"), 3,
             "unknown there: d; missing here: a");
  test::write_text(folder.path() / "order.txt", "d\ta\nb\nc\n");
  CHECK(test::run(folder, "train", "--resume run data.root=elsewhere train.epochs=2 data.classes=order.txt").code == 0);
  rename("d", "a");
  test::write_text(folder.path() / "order.txt", "b\na\nc\n");
  check_says(test::run(folder, "train", "--resume run data.root=elsewhere train.epochs=3 data.classes=order.txt"), 3,
             "the data has the classes b, a, c, but run/checkpoints/last.h5 was trained on a, b, c");
  const Output again =
      test::run(folder, "train", "tiny.yaml out=again init=run data.root=elsewhere data.classes=order.txt");
  check_says(again, 0, "the classifier's rows are taken by the names of the classes");
}

TEST_CASE("vitrail pack gives all parts the classes of the first one, by name") {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const char* val_classes) {
    hdf5::save(folder.path() / name, [&](hdf5::Writer& file) {
      for (const auto& [part, classes] : {std::pair{"train", "a\nb\nc"}, std::pair{"val", val_classes}}) {
        const std::string at = part;
        file.write(at + "/image", zeros({2, 2, 2, 3}, DType::u8));
        file.write(at + "/label", tensor<int64_t>({0, 1}, {2}));
        file.attribute(at, "classes", std::string(classes));
      }
    });
  };
  write("some.h5", "c\na");
  check_says(vitrail_program(folder, "pack some.h5 -o packed.h5"), 0, "packed.h5: 4 images");
  const auto val = data::open_dataset((folder.path() / "packed.h5").string(), "val");
  CHECK(val->classes() == Names{"a", "b", "c"});
  CHECK(val->label(0) == 2);
  CHECK(val->label(1) == 0);
  write("other.h5", "c\nd");
  check_says(vitrail_program(folder, "pack other.h5 -o no.h5"), 3,
             "part 'val' has the classes c, d, a part before it has a, b, c");
}

TEST_CASE("a run of version 0.1.0, which has no names, is scored by the order, and says so") {
  const TemporaryFolder folder;
  const std::string run = std::string(VITRAIL_SOURCE_DIR) + "/tests/runs/supervised/run ";
  const Output output = vitrail_program(folder, "eval " + run + test::kDigits);
  check_says(output, 0, "does not name its classes, so their order counts: '0' is output 0");
  check_says(output, 0, "360 images: loss");
}

TEST_CASE("vitrail predict names the classes of images, as text, JSON, CSV and on a contact sheet") {
  const TemporaryFolder folder;
  write_always(folder.path() / "vit", {"hat", "shirt, blue", "shoe"}, 1);
  write_images(folder, {"photos/1.bmp", "photos/deep/2.bmp", "3.bmp"});
  const double first = std::exp(3.0) / (std::exp(3.0) + 2);
  const json one = json_of(folder, "predict vit 3.bmp -k 2")[0];
  CHECK(one["picture"] == "3.bmp");
  REQUIRE(one["labels"].size() == 2);
  CHECK(one["labels"][0]["label"] == "shirt, blue");
  CHECK(one["labels"][0]["output"] == 1);
  CHECK(one["labels"][0]["probability"].get<double>() == doctest::Approx(first).epsilon(1e-5));
  const Output text = vitrail_program(folder, "predict vit photos 3.bmp -k 1 --csv classes.csv -o sheet.png");
  check_says(text, 0, "photos/1.bmp\n  shirt, blue  90.94%\nphotos/deep/2.bmp\n");
  const std::string csv = test::read_text(folder.path() / "classes.csv");
  CHECK(csv.starts_with("image,class1,probability1\nphotos/1.bmp,\"shirt, blue\",0.90"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 4);
  CHECK(data::read_image(folder.path() / "sheet.png").width() > 3 * 160);

  test::write_file(folder.path() / "photos/4.bmp", "no image");
  check_says(vitrail_program(folder, "predict vit photos"), 3, "photos/4.bmp");
  const Output skipped = vitrail_program(folder, "predict vit photos --on-error skip --json");
  CHECK(skipped.code == 0);
  CHECK(skipped.err.find("photos/4.bmp") != std::string::npos);
  CHECK(json::parse(skipped.out).size() == 2);

  check_says(vitrail_program(folder, "predict vit nowhere.png"), 3, "nowhere.png");
  write_always(folder.path() / "headless", {}, 0);
  check_says(vitrail_program(folder, "predict headless 3.bmp"), 2, "has no classifier");
}
