#include "tests/tools/program.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/sources/open_dataset.h"
#include "vitrail/data/sources/open_pairs.h"
#include "vitrail/data/text/tokenizer.h"
#include "vitrail/version.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace vitrail;
using test::check_says;
using test::kDigits;
using test::kRecipes;
using test::Output;
using test::vitrail_program;

TEST_CASE("vitrail explains itself, each command with an example") {
  const test::TemporaryFolder folder;
  check_says(vitrail_program(folder, "--help"), 0, "preview");
  for (const std::string command :
       {"pack",    "preview",   "eval",       "summary",    "export",     "plot",      "knn",
        "linear",  "attention", "pca",        "neighbours", "map",        "tokenizer", "convert",
        "init",    "zero-shot", "predict",    "features",   "similarity", "search",    "retrieval",
        "patches", "artifacts", "completion", "generate",   "chat",       "caption",   "tokens"})
    check_says(vitrail_program(folder, command + " --help"), 0, "Example: vitrail " + command);
  for (const char* program : {"vitrail", "train"})
    check_says(test::run(folder, program, "--version"), 0, "Vitrail " VITRAIL_VERSION);
  const Output alone = vitrail_program(folder, "");
  check_says(alone, 2, "required");
  for (const char* group : {"\nData:\n  pack ", "\nLook inside:\n  attention ", "\nPublish:\n  init "})
    check_says(alone, 2, group);
  check_says(vitrail_program(folder, "sumary vit_tiny"), 2, "no command 'sumary'; did you mean 'summary'?");
  check_says(vitrail_program(folder, "summary vit_tiny --clases 3"), 2, "--clases");
}

TEST_CASE("vitrail completion: shells complete commands, options and files") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "complete.sh", R"(. ./vitrail.bash
COMP_WORDS=(vitrail "$@") COMP_CWORD=$#
_vitrail
echo "${COMPREPLY[@]}"
)");
  const Output script = vitrail_program(folder, "completion bash");
  CHECK(script.code == 0);
  test::write_text(folder.path() / "vitrail.bash", script.out);
  const auto completed = [&](const std::string& words) {
    std::system(("cd " + folder.path().string() + " && bash complete.sh " + words + " >found.txt 2>&1").c_str());
    return test::read_text(folder.path() / "found.txt");
  };
  CHECK(completed("sim") == "similarity\n");
  CHECK(completed("s") == "summary similarity search\n");
  CHECK(completed("zero-shot --lab") == "--labels\n");
  CHECK(completed("pack some/fi") == "\n");  // the shell itself completes file names
  check_says(vitrail_program(folder, "completion fish"), 0,
             "complete -c vitrail -n '__fish_seen_subcommand_from init' -l arch");
  check_says(vitrail_program(folder, "completion zsh"), 0, "bashcompinit");
  check_says(vitrail_program(folder, "completion csh"), 2, "csh");
}

TEST_CASE("vitrail summary shows published models and recipes") {
  const test::TemporaryFolder folder;
  const Output small = vitrail_program(folder, "summary vit_small");
  check_says(small, 0, "parameters      22050664");
  check_says(small, 0, "9.198e+09 forward");
  check_says(small, 0, "blocks.11.mlp");
  check_says(vitrail_program(folder, "summary " + kRecipes + "vit_digits.yaml"), 0, "parameters      103050");
  check_says(vitrail_program(folder, "summary vit_tiny --classes 10 data.img_size=32"), 0, "[1, 10]");
  check_says(vitrail_program(folder, "summary vit_smal"), 2, "did you mean 'vit_small'?");
  check_says(vitrail_program(folder, "summary none.yaml"), 2, "none.yaml: no such file");
}

TEST_CASE("vitrail pack makes a dataset that opens as its source") {
  const test::TemporaryFolder folder;
  const Output packed = vitrail_program(folder, "pack " + kDigits + " -o digits.h5");
  check_says(packed, 0, "digits.h5: 1797 images");
  check_says(packed, 0, "class  train  test");
  check_says(packed, 0, "0        149    29");
  const auto source = data::open_dataset(kDigits, "test");
  const auto copy = data::open_dataset((folder.path() / "digits.h5").string(), "test");
  REQUIRE(copy->size() == 360);
  CHECK(copy->classes() == source->classes());
  for (const int64_t i : {0, 100, 359}) {
    CHECK(copy->get(i).label == source->get(i).label);
    CHECK(copy->get(i).image == source->get(i).image);
  }
  check_says(vitrail_program(folder, "pack digits.h5 -o again.h5 --split test"), 0, "again.h5: 360 images");
  check_says(vitrail_program(folder, "pack digits.h5 -o again.h5"), 2, "again.h5 exists already");
  check_says(vitrail_program(folder, "pack digits.h5 -o again.h5 --force"), 0, "again.h5: 1797 images");
  check_says(vitrail_program(folder, "pack nowhere -o never.h5"), 3, "nowhere");
  check_says(vitrail_program(folder, "pack digits.h5 -o none/x.h5"), 2, "there is no folder none to write none/x.h5");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "never.h5"));
}

TEST_CASE("vitrail pack seals only what it has decoded, and says what it passes over") {
  const test::TemporaryFolder folder;
  data::Image image(2, 2);
  for (const std::string name : {"a/1", "a/2", "b/1"}) {
    std::filesystem::create_directories((folder.path() / "set" / name).parent_path());
    data::write_png(folder.path() / "set" / (name + ".png"), image);
  }
  test::write_text(folder.path() / "set/a/3.png", "no image");
  test::write_text(folder.path() / "set/a/4.tiff", "II*");
  std::filesystem::create_symlink("1.png", folder.path() / "set/b/2.png");
  const Output refused = vitrail_program(folder, "pack set -o set.h5");
  check_says(refused, 3, "1 of 4 images are broken");
  check_says(refused, 3, "set/a/3.png: ");
  check_says(refused, 3, "note: set: 1 file is of a kind that is not read (.tiff)");
  check_says(refused, 3, "note: set: 1 symbolic link was not followed; data.follow_symlinks=true");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "set.h5"));
  const Output packed = vitrail_program(folder, "pack set -o set.h5 --on-error skip --follow-symlinks");
  check_says(packed, 0, "set.h5: 4 images, 1 broken ones left out");
  check_says(packed, 0, "left out set/a/3.png: ");

  test::write_text(folder.path() / "captions.tsv", "path\tcaption\n/etc/passwd\tx\n");
  check_says(vitrail_program(folder, "pack captions.tsv --captions -o never.h5"), 3, "the name leads out of it");
  test::write_text(folder.path() / "captions.tsv", "path\tcaption\nset/a/3.png\tx\n");
  check_says(vitrail_program(folder, "pack captions.tsv --captions -o never.h5"), 3, "1 of 1 images are broken");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "never.h5"));
}

TEST_CASE("vitrail pack makes large images smaller on demand, and says how many") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "set/a");
  data::write_png(folder.path() / "set/a/1.png", data::Image(40, 60));
  data::write_png(folder.path() / "set/a/2.png", data::Image(8, 60));
  check_says(vitrail_program(folder, "pack set -o set.h5 --side 20"), 0, "set.h5: 2 images, 1 of them made smaller");
  const auto copy = data::open_dataset((folder.path() / "set.h5").string(), "train");
  CHECK(copy->get(0).image.size() == data::ImageSize{20, 30});
  CHECK(copy->get(1).image.size() == data::ImageSize{8, 60});
  check_says(vitrail_program(folder, "pack " + kDigits + " -o never.h5 --side 4"), 3, "holds plain pixels");

  test::write_text(folder.path() / "set/a/1.txt", "a square");  // images with texts beside them
  const Output pairs = vitrail_program(folder, "pack set -o pairs.h5 --captions --side 20");
  check_says(pairs, 0, "pairs.h5: 1 images, 1 of them made smaller");
  check_says(pairs, 0, "images left out, without a caption      1");
}

TEST_CASE("vitrail pack packs images with their captions") {
  const test::TemporaryFolder folder;
  const std::string emoji = kRecipes + "assets/emoji_captions";
  const Output packed = vitrail_program(folder, "pack " + emoji + " -o emoji.h5 --captions --kinds name short");
  check_says(packed, 0, "emoji.h5: 3490 images");
  check_says(packed, 0, "          train  val\nimages     3287  203\n");
  const auto source = data::open_pairs(emoji, "val", {{"name"}});
  const auto copy = data::open_pairs((folder.path() / "emoji.h5").string(), "val", {{"name"}});
  CHECK(copy.captions == source.captions);
  CHECK(copy.images->get(200).image == source.images->get(200).image);
  check_says(vitrail_program(folder, "pack " + emoji + " -o never.h5 --captions --kinds tags"), 3,
             "no caption is of kind 'tags'; there is: category, name, short");
  check_says(vitrail_program(folder, "pack " + kDigits + " -o never.h5 --captions"), 3, "holds no captions");
  check_says(vitrail_program(folder, "pack " + kDigits + " -o never.h5 --kinds name"), 2,
             "--kinds requires --captions");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "never.h5"));
}

TEST_CASE("vitrail tokenizer learns the same vocabulary from the same captions") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "captions.tsv", "path\tcaption\n1.png\ta low tower\n2.png\tthe lowest tower\n");
  test::write_text(folder.path() / "more.txt", "the newest tower\nthe widest tower\n");
  const Output learned = vitrail_program(folder, "tokenizer captions.tsv more.txt --size 520 -o a");
  check_says(learned, 0, "a: 520 symbols from 4 captions");
  vitrail_program(folder, "tokenizer more.txt captions.tsv --size 520 -o b");
  for (const char* name : {"merges.txt", "vocab.json"}) {
    const std::string text = test::read_text(folder.path() / "a" / name);
    CHECK_FALSE(text.empty());
    CHECK(test::read_text(folder.path() / "b" / name) == text);
  }
  const data::Vocabulary vocabulary = data::Vocabulary::read(folder.path() / "a");
  CHECK(vocabulary.size() == 520);
  const data::Tokenizer tokenizer(vocabulary);
  CHECK(tokenizer.encode("tower").size() == 1);  // a learned word; the paths in the table are no text
  CHECK(tokenizer.decode(tokenizer.encode("lower towers")) == "lower towers ");

  check_says(vitrail_program(folder, "tokenizer captions.tsv --size 100000 -o c"), 0,
             "fewer than 100000: no other pair of symbols occurs 2 times");
  check_says(vitrail_program(folder, "tokenizer captions.tsv --size 514 -o d"), 2, "514 symbols has no room");
  check_says(vitrail_program(folder, "tokenizer captions.tsv --size many -o d"), 2, "--size");
  check_says(vitrail_program(folder, "tokenizer captions.tsv"), 2, "--out is required");
  check_says(vitrail_program(folder, "tokenizer nowhere.tsv -o d"), 3, "nowhere.tsv");
  test::write_text(folder.path() / "empty.txt", " \n\n");
  check_says(vitrail_program(folder, "tokenizer empty.txt -o d"), 3, "the texts hold no words");
  test::write_text(folder.path() / "broken.tsv", "path\tcaption\n1.png\n");
  check_says(vitrail_program(folder, "tokenizer broken.tsv -o d"), 3, "broken.tsv:2: has 1 columns");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "d"));
}

TEST_CASE("vitrail preview draws what training sees, the same each time") {
  const test::TemporaryFolder folder;
  const std::string recipe = "preview " + kRecipes + "vit_digits.yaml ";
  check_says(vitrail_program(folder, recipe + "-n 12 -o a.png"), 0, "a.png: 12 training images");
  vitrail_program(folder, recipe + "-n 12 -o b.png data.workers=1");
  vitrail_program(folder, recipe + "-n 12 -o c.png seed=1");
  CHECK(data::read_image(folder.path() / "a.png").width() == 8 * 128 + 9 * 4);
  const auto bytes = [&](const char* name) { return test::read_text(folder.path() / name); };
  CHECK(bytes("a.png") == bytes("b.png"));
  CHECK(bytes("a.png") != bytes("c.png"));
  check_says(vitrail_program(folder, recipe + "data.flip=1"), 2, "did you mean 'data.hflip'?");
}

TEST_CASE("vitrail eval and export take the averaged weights of a run") {
  const test::TemporaryFolder folder;
  const Output trained = test::run(folder, "train",
                                   kRecipes +
                                       "vit_digits.yaml out=run train.epochs=1 schedule.warmup_epochs=0 model.depth=1 "
                                       "model.embed_dim=16 train.batch_size=100 train.ema_decay=0.5");
  REQUIRE(trained.code == 0);
  const auto result = nlohmann::json::parse(test::read_text(folder.path() / "run/result.json"))["metrics"];

  const Output json = vitrail_program(folder, "eval run --json");
  REQUIRE(json.code == 0);
  const auto found = nlohmann::json::parse(json.out);
  CHECK(found["averaged"] == true);
  CHECK(found["pictures"] == 360);
  CHECK(found["classes"].size() == 10);
  for (const std::string name : {"loss", "top1", "top5"}) {
    CAPTURE(name);
    CHECK(found[name].get<double>() == doctest::Approx(result["ema_" + name].get<double>()).epsilon(1e-6));
  }
  CHECK(found["confusion"] == nlohmann::json::array());
  CHECK_FALSE(std::filesystem::exists(folder.path() / "confusion.csv"));
  vitrail_program(folder, "eval run --confusion confusion");
  const std::string csv = test::read_text(folder.path() / "confusion.csv");
  CHECK(csv.starts_with("true class,0,1,2,3,4,5,6,7,8,9\n0,"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 11);
  CHECK(data::read_image(folder.path() / "confusion.png").width() > 10 * 64);
  const Output table = vitrail_program(
      folder, "eval run/checkpoints/last.h5 " + kDigits + " data.val_split=train --confusion train_matrix");
  CHECK(std::filesystem::exists(folder.path() / "train_matrix.csv"));
  check_says(table, 0, "class  images");
  check_says(table, 0, "all      1437");
  check_says(vitrail_program(folder, "summary run"), 0, "blocks.0");

  check_says(vitrail_program(folder, "export run -o weights.safetensors"), 0, "(averaged weights)");
  const safetensors::Reader weights(folder.path() / "weights.safetensors");
  CHECK(weights.shape("blocks.0.attn.qkv.weight") == Shape{48, 16});

  // A change at a resume becomes part of the run. A refused change leaves the run as it was.
  check_says(test::run(folder, "train", "--resume run train.batch_size=50"), 2, "steps an epoch");
  CHECK(test::run(folder, "train", "--resume run train.epochs=2").code == 0);
  CHECK(test::read_text(folder.path() / "run/resolved.yaml").find("epochs: 2") != std::string::npos);
  CHECK(nlohmann::json::parse(test::read_text(folder.path() / "run/result.json"))["epochs"] == 2);

  check_says(vitrail_program(folder, "eval nothing"), 2, "nothing: no such file or folder");
  check_says(vitrail_program(folder, "eval run model.depth=2"), 3, "blocks.1");
  check_says(vitrail_program(folder, "eval run nowhere"), 3, "nowhere does not exist");
}

TEST_CASE("vitrail plot draws a number of several runs") {
  const test::TemporaryFolder folder;
  const std::string results = test::kRecipes + "../docs/results/";
  check_says(vitrail_program(folder, "plot " + results + "vit_digits " + results + "vit_cifar10 -o top1.png"), 0,
             "vit_digits: top1 0.9833 after epoch 80");
  const data::Image image = data::read_image((folder.path() / "top1.png").string());
  CHECK(image.width() == 800);
  check_says(vitrail_program(folder, "plot " + results + "vit_digits -m loss --of train"), 0, "after step 1760");
  check_says(vitrail_program(folder, "plot " + results + "vit_digits -m top"), 2, "did you mean 'top1'?");
  check_says(vitrail_program(folder, "plot nowhere"), 2, "nowhere/metrics.jsonl: no such file");
}
