#include "tests/support/temporary_folder.h"
#include "tests/support/text_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

using namespace vitrail;
using namespace vitrail::recipes;

namespace {

struct Optim {
  std::string name = "adamw";
  double lr = 5e-4;
  std::vector<double> weight_decay = {0.04, 0.4};
  std::optional<double> clip_grad;
  int64_t warmup_epochs = 10;

  void describe(Fields& f) {
    f("name", name, "method", one_of({"adamw", "sgd", "lars"}));
    f("lr", lr, "peak learning rate", positive());
    f("weight_decay", weight_decay, "first and last", between(0, 1).of(2));
    f("clip_grad", clip_grad, "largest norm", positive());
    f("warmup_epochs", warmup_epochs, "linear warmup", at_least(0));
  }
};

struct Train {
  int64_t epochs = 100, batch_size = 64;
  bool shuffle = true;

  void describe(Fields& f) {
    f("epochs", epochs, "passes over the data", at_least(1));
    f("batch_size", batch_size, "images a step", at_least(1));
    f("shuffle", shuffle, "new order each epoch");
  }
};

struct Sample {
  std::string recipe = "sample", out, precision = "f32", root = "data";
  int64_t seed = 0, patch_size = 16;
  std::vector<int64_t> depths;
  std::vector<std::string> kinds;
  double drop_path_rate = 0;
  Optim optim;
  Train train;

  struct Model {
    Sample& s;
    void describe(Fields& f) {
      f("patch_size", s.patch_size, "side of a patch", at_least(1));
      f("drop_path_rate", s.drop_path_rate, "stochastic depth", between(0, 1));
      f("depths", s.depths, "blocks of each stage", at_least(1));
      f("kinds", s.kinds, "of blocks", one_of({"conv", "attention"}));
    }
  };
  struct Data {
    Sample& s;
    void describe(Fields& f) { f("root", s.root, "folder"); }
  };
  void describe(Fields& f) {
    Model model{*this};
    Data data{*this};
    f("recipe", recipe, "method");
    f("out", out, "run folder");
    f("seed", seed, "of all random numbers", at_least(0));
    f("precision", precision, "of products", one_of({"f32", "bf16"}));
    f("model", model);
    f("data", data);
    f("optim", optim);
    f("train", train);
  }
};

std::string error_of(std::string_view text) {
  Sample sample;
  Config config(sample);
  try {
    config.read_text(text, "r.yaml");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

std::string error_of_set(std::string_view assignment) {
  Sample sample;
  Config config(sample);
  try {
    config.set(assignment);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

std::string nested(size_t depth) { return "optim: " + std::string(depth, '[') + std::string(depth, ']'); }

std::string laughs() {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + alias;
    for (int k = 0; k < 8; ++k) text += ", " + alias;
    text += "]\n";
  }
  return text;
}

struct Bad {
  std::string text, message;
};

}  // namespace

TEST_CASE("config: a recipe sets fields, the rest keeps its defaults") {
  Sample s;
  Config config(s);
  config.read_text(
      "recipe: sample\nseed: 7\nprecision: bf16\noptim: {name: sgd, lr: 1.0e-3, weight_decay: [0, 1], clip_grad: 3}\n"
      "train:\n  epochs: 5\n  shuffle: false\nmodel: {depths: [2, 2, 6]}\ndata: {root: \"a b\"}\n",
      "r.yaml");
  CHECK(s.seed == 7);
  CHECK(s.precision == "bf16");
  CHECK(s.optim.name == "sgd");
  CHECK(s.optim.lr == 1e-3);
  CHECK(s.optim.weight_decay == std::vector<double>{0, 1});
  CHECK(s.optim.clip_grad == 3.0);
  CHECK(s.optim.warmup_epochs == 10);
  CHECK(s.train.epochs == 5);
  CHECK_FALSE(s.train.shuffle);
  CHECK(s.depths == std::vector<int64_t>{2, 2, 6});
  CHECK(s.root == "a b");
}

TEST_CASE("config: byte order mark, CRLF, aliases and an empty section are read") {
  Sample s;
  Config config(s);
  config.read_text("\xef\xbb\xbfseed: &n 3\r\ntrain: {epochs: *n}\r\nmodel:\r\n", "r.yaml");
  CHECK(s.seed == 3);
  CHECK(s.train.epochs == 3);
}

TEST_CASE("config: strings take the environment and the recipe's folder") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "r.yaml", "data: {root: '${recipe_dir}/x'}\nout: ${env:VITRAIL_TEST_VALUE}/y\n");
  ::setenv("VITRAIL_TEST_VALUE", "here", 1);
  Sample s;
  Config config(s);
  config.read(folder.path() / "r.yaml");
  CHECK(s.root == folder.path().string() + "/x");
  CHECK(s.out == "here/y");
  ::setenv("VITRAIL_TEST_VALUE", "${env:HOME}", 1);
  CHECK(error_of("out: ${env:VITRAIL_TEST_VALUE}") ==
        "[config] r.yaml:1:6: out: ${env:VITRAIL_TEST_VALUE} itself holds '${'");
  ::unsetenv("VITRAIL_TEST_VALUE");
  CHECK(error_of("out: ${env:VITRAIL_TEST_VALUE}") ==
        "[config] r.yaml:1:6: out: the environment variable VITRAIL_TEST_VALUE is not set; set it, or give out=...");
  CHECK(error_of_set("out='${env:VITRAIL_TEST_VALUE}'") ==
        "[config] command line: out: the environment variable VITRAIL_TEST_VALUE is not set");
  config.read(folder.path() / "r.yaml", {"out=elsewhere"});  // a replaced value is never expanded
  CHECK(s.out == "elsewhere");
  CHECK_THROWS_AS(config.read(folder.path() / "r.yaml", {"data.root=elsewhere"}), ConfigError);
  CHECK(error_of("out: ${HOME}") ==
        "[config] r.yaml:1:6: out: unknown '${HOME}'; there are ${env:NAME} and ${recipe_dir}");
  CHECK(error_of("out: ${env:HOME") == "[config] r.yaml:1:6: out has '${' without '}'");
}

TEST_CASE("config: the command line sets, replaces lists and sections, and goes back to defaults") {
  Sample s;
  Config config(s);
  config.read_text("optim: {lr: 1, weight_decay: [0.1, 0.2]}", "r.yaml");
  config.set("optim.lr=2e-3");
  config.set("optim.weight_decay=[0, 0.5]");
  config.set("train={epochs: 3, shuffle: false}");
  config.set("out=runs/a=b");
  config.set("optim.clip_grad=1");
  CHECK(s.optim.lr == 2e-3);
  CHECK(s.optim.weight_decay == std::vector<double>{0, 0.5});
  CHECK(s.train.epochs == 3);
  CHECK(s.out == "runs/a=b");
  CHECK(s.optim.clip_grad == 1.0);
  config.set("optim.lr=~");
  config.set("optim.weight_decay=~");
  config.set("optim.clip_grad=null");
  config.set("out=~");
  CHECK(s.optim.lr == 5e-4);
  CHECK(s.optim.weight_decay == std::vector<double>{0.04, 0.4});
  CHECK_FALSE(s.optim.clip_grad);
  CHECK(s.out.empty());
}

TEST_CASE("config: every value is printed with its origin and reads back") {
  Sample s;
  Config config(s);
  config.read_text("seed: 3\noptim:\n  lr: 0.1\n", "r.yaml");
  config.set("data.root='a: \"b\" #\\x01'");
  config.set("optim.clip_grad=0.30000000000000004");
  config.set("model.kinds=[attention, conv]");
  const std::string text = config.yaml();
  CHECK(text.find("seed: 3 ") != std::string::npos);
  CHECK(text.find("# r.yaml:1\n") != std::string::npos);
  CHECK(text.find("  lr: 0.1 ") != std::string::npos);
  CHECK(text.find("# r.yaml:3\n") != std::string::npos);
  CHECK(text.find("  clip_grad: 0.30000000000000004") != std::string::npos);
  CHECK(text.find("# command line\n") != std::string::npos);
  CHECK(text.find("# default\n") != std::string::npos);
  Sample again;
  Config second(again);
  second.read_text(text, "resolved.yaml");
  CHECK(again.root == s.root);
  CHECK(again.optim.clip_grad == s.optim.clip_grad);
  CHECK(again.kinds == std::vector<std::string>{"attention", "conv"});
  CHECK(again.out == s.out);
  CHECK(again.seed == 3);
  Sample third;
  Config once_more(third);
  once_more.read_text(second.yaml(), "resolved.yaml");
  CHECK(once_more.yaml() == second.yaml());
}

TEST_CASE("config: help lists keys, defaults, types and limits") {
  Sample s;
  const std::string text = Config(s).help();
  CHECK(text.find("optim.lr") != std::string::npos);
  CHECK(text.find("peak learning rate (a number, greater than 0)") != std::string::npos);
  CHECK(text.find("method (a string, adamw, sgd or lars)") != std::string::npos);
  CHECK(text.find("first and last (a list of 2 numbers, from 0 to 1)") != std::string::npos);
  CHECK(text.find("largest norm (a number or null, greater than 0)") != std::string::npos);
}

TEST_CASE("config: a section described in two places stays in one piece") {
  struct TwoPlaces {
    Optim optim;
    Train train;
    double extra = 1;
    struct More {
      double& extra;
      void describe(Fields& f) { f("extra", extra, "more"); }
    };
    void describe(Fields& f) {
      More more{extra};
      f("optim", optim);
      f("train", train);
      f("optim", more);
    }
  } two;
  Config config(two);
  const std::string text = config.yaml();
  CHECK(text.find("optim:") == text.rfind("optim:"));
  config.read_text(text, "resolved.yaml");
  CHECK(two.extra == 1);
}

TEST_CASE("config: bad recipes") {
  const std::vector<Bad> table = {
      // wrong types
      {"seed: x", "1:7: seed must be an integer; found 'x'"},
      {"seed: 1.5", "1:7: seed must be an integer; found '1.5'"},
      {"seed: 1e3", "1:7: seed must be an integer; found '1e3'"},
      {"seed: 1_000", "1:7: seed must be an integer; found '1_000'"},
      {"seed: 0x10", "1:7: seed must be an integer; found '0x10'"},
      {"seed: +1", "1:7: seed must be an integer; found '+1'"},
      {"seed: '1'", "1:7: seed must be an integer; found the string '1'"},
      {"seed: [1]", "1:7: seed must be an integer; found a list of 1"},
      {"seed: {a: 1}", "1:7: seed must be an integer; found a section of keys"},
      {"seed:", "seed must be an integer; found nothing"},
      {"seed: ~", "1:7: seed must be an integer; found nothing"},
      {"seed: true", "1:7: seed must be an integer; found 'true'"},
      {"seed: 010", "could be octal"},
      {"optim: {lr: 010}", "could be octal"},
      {"seed: 99999999999999999999", "1:7: seed is 99999999999999999999: out of range"},
      {"optim: {lr: fast}", "1:13: optim.lr must be a number; found 'fast'"},
      {"optim: {lr: 1e-4x}", "optim.lr must be a number; found '1e-4x'"},
      {"optim: {lr: nan}", "found 'nan', which is not finite"},
      {"optim: {lr: inf}", "found 'inf', which is not finite"},
      {"optim: {lr: -inf}", "found '-inf', which is not finite"},
      {"optim: {lr: .inf}", "optim.lr must be a number; found '.inf'"},
      {"optim: {lr: .nan}", "optim.lr must be a number; found '.nan'"},
      {"optim: {lr: 1e999}", "optim.lr is 1e999: out of range"},
      {"optim: {lr: '0,1'}", "optim.lr must be a number; found the string '0,1'"},
      {"optim: {lr: [0.1]}", "optim.lr must be a number; found a list of 1"},
      {"train: {shuffle: yes}", "train.shuffle must be true or false; found 'yes'"},
      {"train: {shuffle: on}", "train.shuffle must be true or false; found 'on'"},
      {"train: {shuffle: True}", "train.shuffle must be true or false; found 'True'"},
      {"train: {shuffle: 1}", "train.shuffle must be true or false; found '1'"},
      {"train: {shuffle: 'true'}", "train.shuffle must be true or false; found the string 'true'"},
      {"optim: {weight_decay: 0.1}", "optim.weight_decay must be a list of 2 numbers; found '0.1'"},
      {"optim: {weight_decay: [0.1]}", "optim.weight_decay must be a list of 2 numbers; found a list of 1"},
      {"optim: {weight_decay: [0, 0, 0]}", "optim.weight_decay must be a list of 2 numbers; found a list of 3"},
      {"optim: {weight_decay: [0, a]}", "1:27: optim.weight_decay must be a list of 2 numbers; found 'a'"},
      {"model: {depths: [1, 1.5]}", "model.depths must be a list of integers; found '1.5'"},
      {"model: {kinds: conv}", "model.kinds must be a list of strings; found 'conv'"},
      {"model: {kinds: [conv, atention]}", "model.kinds is 'atention'; it must be conv or attention"},
      {"data: {root: [a]}", "data.root must be a string; found a list of 1"},
      {"data: {root: }", "data.root must be a string; found nothing"},
      {"optim: 3", "1:8: optim is a section of keys; found '3'"},
      {"optim: [1]", "1:8: optim is a section of keys; found a list of 1"},
      // ranges and choices
      {"seed: -1", "1:7: seed is -1; it must be at least 0"},
      {"optim: {lr: 0}", "optim.lr is 0; it must be greater than 0"},
      {"optim: {lr: -1e-4}", "optim.lr is -1e-4; it must be greater than 0"},
      {"optim: {clip_grad: 0}", "optim.clip_grad is 0; it must be greater than 0"},
      {"optim: {weight_decay: [0, 2]}", "optim.weight_decay is 2; it must be from 0 to 1"},
      {"model: {drop_path_rate: 1.1}", "model.drop_path_rate is 1.1; it must be from 0 to 1"},
      {"model: {depths: [0]}", "model.depths is 0; it must be at least 1"},
      {"train: {epochs: 0}", "train.epochs is 0; it must be at least 1"},
      {"precision: fp16", "1:12: precision is 'fp16'; it must be f32 or bf16; did you mean 'bf16'?"},
      {"optim: {name: adam}", "optim.name is 'adam'; it must be adamw, sgd or lars; did you mean 'adamw'?"},
      {"optim: {name: xyz}", "optim.name is 'xyz'; it must be adamw, sgd or lars"},
      // structure
      {"", "a recipe is a list of 'key: value'"},
      {"seed", "1:1: a recipe is a list of 'key: value'"},
      {"- seed: 1", "1:1: a recipe is a list of 'key: value'"},
      {"seed: 1\nseed: 2", "2:1: key 'seed' is given twice, first in line 1"},
      {"optim: {lr: 1, lr: 1}", "1:16: key 'lr' is given twice, first in line 1"},
      {"optim: {lr: 1}\ntrain: {epochs: 1}\noptim: {lr: 2}", "3:1: key 'optim' is given twice, first in line 1"},
      {"optim.lr: 1", "1:1: key 'optim.lr' has a dot; sections are nested, as in optim: {...}"},
      {"<<: {seed: 1}", "1:1: merge keys (<<) are not used in recipes"},
      {"a: &a {lr: 1}\noptim: {<<: *a}", "2:9: merge keys (<<) are not used in recipes"},
      {"[a]: 1", "a key must be a name"},
      {"{a: 1}: 1", "a key must be a name"},
      {"seed: !!int 1", "tags such as"},
      {"seed: !x 1", "tags such as '!x' are not used in recipes"},
      {"optim: !x {lr: 1}", "tags such as '!x'"},
      {"seed: 1\n---\nseed: 2", "a recipe is one document"},
      {"seed: *a", "r.yaml:1:7:"},
      {"optim: &a {lr: *a}", "an alias inside what it stands for"},
      {"seed: [1", "r.yaml:"},
      {"optim: {lr: 1", "r.yaml:"},
      {"seed: 'x", "r.yaml:"},
      {"\tseed: 1", "r.yaml:1:"},
      {"seed: 1\n  train: 2", "r.yaml:2:"},
      {"seed: @x", "r.yaml:1:"},
      // no text, or too much of it
      {std::string("seed: 1\nout: a\0b", 16), "2:7: a control character (byte 0)"},
      {std::string("\xff\xfes\0e\0", 6), "1:1: the file is UTF-16; save it as UTF-8"},
      {std::string("\xfe\xff\0s\0e", 6), "1:1: the file is UTF-16; save it as UTF-8"},
      {"seed: \x1b[31m", "1:7: a control character (byte 27)"},
      {laughs(), "more than 10000 values with aliases expanded"},
      {nested(31), "optim is a section of keys"},
      {nested(32), "nested deeper than 32 levels"},
      {nested(30000), "nested deeper than 32 levels"},
      {nested(100000), "a recipe has at most 65536"},
      {"a: " + std::string(60000, '{'), "nested deeper than 32 levels"},
      {std::string(60000, '-'), "r.yaml:"},
      {"seed: 1 #" + std::string(10 << 20, 'x'), "a recipe has at most 65536"},
      {std::string(60000, 'k') + ": 1", "r.yaml:"},
      {"seed: " + std::string(60000, 'x'), "seed must be an integer; found 'xxxx"},
  };
  const auto start = std::chrono::steady_clock::now();
  for (const Bad& bad : table) {
    const std::string shown = bad.text.substr(0, 80);
    CAPTURE(shown);
    const std::string message = error_of(bad.text);
    CAPTURE(bad.message);
    CAPTURE(message);
    CHECK(message.starts_with("[config] r.yaml:"));
    CHECK(message.find(bad.message) != std::string::npos);
    CHECK(message.size() < 1000);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  CHECK(elapsed.count() < 60);
}

TEST_CASE("config: unknown keys suggest the known one") {
  const std::vector<Bad> table = {
      {"sed: 1", "seed"},
      {"seeed: 1", "seed"},
      {"sede: 1", "seed"},
      {"random_seed: 1", "seed"},
      {"precison: 1", "precision"},
      {"percision: 1", "precision"},
      {"recipy: 1", "recipe"},
      {"optm: {}", "optim"},
      {"optimm: {}", "optim"},
      {"opitm: {}", "optim"},
      {"tran: {}", "train"},
      {"trian: {}", "train"},
      {"training: {}", ""},
      {"modle: {}", "model"},
      {"model_: {}", "model"},
      {"lr: 1", "optim.lr"},
      {"epochs: 1", "train.epochs"},
      {"epoch: 1", "train.epochs"},
      {"batch_size: 1", "train.batch_size"},
      {"learning_rate: 1", "optim.lr"},
      {"optim: {learning_rate: 1}", "optim.lr"},
      {"optim: {LR: 1}", "optim.lr"},
      {"optim: {l: 1}", "optim.lr"},
      {"optim: {lrr: 1}", "optim.lr"},
      {"optim: {rl: 1}", "optim.lr"},
      {"optim: {wd: 1}", "optim.weight_decay"},
      {"optim: {weightdecay: 1}", "optim.weight_decay"},
      {"optim: {weight_decya: 1}", "optim.weight_decay"},
      {"optim: {wieght_decay: 1}", "optim.weight_decay"},
      {"optim: {decay: 1}", "optim.weight_decay"},
      {"optim: {clip: 1}", "optim.clip_grad"},
      {"optim: {grad_clip: 1}", "optim.clip_grad"},
      {"optim: {clipgrad: 1}", "optim.clip_grad"},
      {"optim: {clip_grd: 1}", "optim.clip_grad"},
      {"optim: {warmup: 1}", "optim.warmup_epochs"},
      {"optim: {warm_epochs: 1}", "optim.warmup_epochs"},
      {"optim: {warmup_epoch: 1}", "optim.warmup_epochs"},
      {"optim: {nmae: 1}", "optim.name"},
      {"optim: {nam: 1}", "optim.name"},
      {"optim: {epochs: 1}", "train.epochs"},
      {"train: {lr: 1}", "optim.lr"},
      {"train: {epoch: 1}", "train.epochs"},
      {"train: {num_epochs: 1}", "train.epochs"},
      {"train: {epcohs: 1}", "train.epochs"},
      {"train: {bs: 1}", "train.batch_size"},
      {"train: {batchsize: 1}", "train.batch_size"},
      {"train: {batch-size: 1}", "train.batch_size"},
      {"train: {batch: 1}", "train.batch_size"},
      {"train: {batch_siez: 1}", "train.batch_size"},
      {"train: {shufle: 1}", "train.shuffle"},
      {"train: {suffle: 1}", "train.shuffle"},
      {"model: {patch: 1}", "model.patch_size"},
      {"model: {patchsize: 1}", "model.patch_size"},
      {"model: {patch_szie: 1}", "model.patch_size"},
      {"model: {drop_path: 1}", "model.drop_path_rate"},
      {"model: {drop_path_rat: 1}", "model.drop_path_rate"},
      {"model: {droppath_rate: 1}", "model.drop_path_rate"},
      {"model: {depth: 1}", "model.depths"},
      {"data: {rot: 1}", "data.root"},
      {"data: {data_root: 1}", "data.root"},
      {"data: {rooot: 1}", "data.root"},
      {"root: 1", "data.root"},
      {"zzzzzz: 1", ""},
      {"a_very_long_name_that_is_like_nothing_here: 1", ""},
  };
  int right = 0;
  for (const Bad& typo : table) {
    const std::string message = error_of(typo.text);
    CAPTURE(typo.text);
    CAPTURE(message);
    CHECK(message.find("unknown key '") != std::string::npos);
    const bool good = typo.message.empty() ? message.find("did you mean") == std::string::npos
                                           : message.ends_with("; did you mean '" + typo.message + "'?");
    WARN(good);
    right += good;
  }
  CHECK(right >= int(0.95 * double(table.size())));
}

TEST_CASE("config: errors of the command line") {
  CHECK(error_of_set("optm.lr=1") == "[config] command line: unknown key 'optm.lr'; did you mean 'optim.lr'?");
  CHECK(error_of_set("optim.lr") == "[config] command line: 'optim.lr' is not key=value");
  CHECK(error_of_set("=1") == "[config] command line: '=1' is not key=value");
  CHECK(error_of_set("optim.lr=") ==
        "[config] command line: optim.lr=: nothing after '='; write '' for an empty string");
  CHECK(error_of_set("optim.lr=a") == "[config] command line: optim.lr must be a number; found 'a'");
  CHECK(error_of_set("optim.weight_decay=0.1,0.2") ==
        "[config] command line: optim.weight_decay=0.1,0.2: a list is written in brackets: [0.1,0.2]");
  CHECK(error_of_set("out=[") == "[config] command line: out=[: the value is no YAML; quote it if it is text");
  CHECK(error_of_set("optm.lr=~").find("did you mean 'optim.lr'?") != std::string::npos);
}

TEST_CASE("config: the method of a recipe file") {
  const test::TemporaryFolder folder;
  test::write_text(folder.path() / "r.yaml", "seed: 1\nrecipe: vit\n");
  CHECK(recipe_name(folder.path() / "r.yaml") == "vit");
  test::write_text(folder.path() / "n.yaml", "seed: 1\n");
  CHECK_THROWS_AS(recipe_name(folder.path() / "n.yaml"), ConfigError);
  CHECK_THROWS_AS(recipe_name(folder.path() / "missing.yaml"), ConfigError);
}

TEST_CASE("config: an enum is read, shown and refused by the names of its values") {
  enum class Crop { pad, none };
  static constexpr Named<Crop> kCrops[] = {{"pad", Crop::pad}, {"none", Crop::none}};
  struct Choice {
    Crop crop = Crop::none;
    std::optional<Crop> other;
    void describe(Fields& f) {
      f("crop", crop, "how", kCrops);
      f("other", other, "how else", kCrops);
    }
  } choice;
  Config config(choice);
  CHECK(config.yaml(false) == "crop: none\nother: null\n");
  CHECK(config.help() ==
        "  crop   none  how (a string, pad or none)\n"
        "  other  null  how else (a string or null, pad or none)\n");
  config.read_text("crop: pad\nother: none\n", "r.yaml");
  CHECK(choice.crop == Crop::pad);
  CHECK(choice.other == Crop::none);
  CHECK(config.yaml(false) == "crop: pad\nother: none\n");
  config.set("crop=~");
  config.set("other=~");
  CHECK(choice.crop == Crop::none);
  CHECK_FALSE(choice.other);
  CHECK_THROWS_WITH_AS(config.set("crop=nnoe"),
                       doctest::Contains("crop is 'nnoe'; it must be pad or none; did you mean 'none'?"), ConfigError);
  CHECK_THROWS_WITH_AS(config.read_text("crop: null\n", "r.yaml"), doctest::Contains("crop must be a string"),
                       ConfigError);
  CHECK_THROWS_WITH_AS(config.read_text("crop: [pad]\n", "r.yaml"), doctest::Contains("a list of 1"), ConfigError);
}

TEST_CASE("config: a section of keys from several structs") {
  struct Whole {
    int64_t a = 1, b = 2;
    void describe(Fields& f) {
      f.section("part", [&] {
        f("a", a, "first");
        f("b", b, "second");
      });
    }
  } whole;
  Config config(whole);
  config.read_text("part: {b: 5}\n", "r.yaml");
  CHECK(config.yaml(false) == "part:\n  a: 1\n  b: 5\n");
}

TEST_CASE("config: an earlier name of a key, and a section given as one value") {
  struct Model {
    std::string arch = "small";
    int64_t depth = 12;
    void describe(Fields& f) { f("arch", arch, "its name"), f("depth", depth, "blocks"); }
  };
  struct Whole {
    Model model;
    double rate = 1;
    void describe(Fields& f) {
      f("model", model);
      f.also("model", "model.arch");
      f("rate", rate, "new name");
      f.also("old.speed", "rate");
    }
  } whole;
  Config config(whole);
  config.read_text("model: large\nold: {speed: 3}\n", "r.yaml", {"model.depth=2"});
  CHECK(whole.model.arch == "large");
  CHECK(whole.model.depth == 2);
  CHECK(whole.rate == 3);
  config.read_text("model: {arch: tiny, depth: 3}\n", "r.yaml", {"old.speed=4"});
  CHECK(whole.model.arch == "tiny");
  CHECK(whole.model.depth == 3);
  CHECK(whole.rate == 4);
  config.set("model=huge");
  CHECK(whole.model.arch == "huge");
  CHECK(config.yaml(false) == "model:\n  arch: huge\n  depth: 3\nrate: 4\n");
  CHECK_NOTHROW(config.read_text("model:\n", "r.yaml"));  // an empty section
  CHECK_THROWS_WITH_AS(config.set("model=[1]"), doctest::Contains("model is a section of keys"), ConfigError);
  CHECK_THROWS_WITH_AS(config.read_text("rate: 1\nold: {speed: 2}\n", "r.yaml"),
                       doctest::Contains("'old.speed' is 'rate', which r.yaml:1 gives already"), ConfigError);
}

TEST_CASE("config: paths become absolute, single values lists, and changes are listed") {
  struct Whole {
    std::string file, other, name = "x";
    std::vector<std::string> weights;
    void describe(Fields& f) {
      f("file", file, "a path", is_path());
      f("other", other, "a path", is_path());
      f("name", name, "no path");
      f("weights", weights, "one or several", one_or_more());
    }
  } first, second;
  const test::TemporaryFolder temp;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp.path());
  test::write_text("here.txt", "");
  Config config(first), changed(second);
  for (Config* c : {&config, &changed}) c->read_text("file: ./here.txt\nother: nowhere\nweights: balanced\n", "r.yaml");
  CHECK(first.weights == std::vector<std::string>{"balanced"});
  changed.set("weights=[1, 2.5]");
  changed.set("name=y", "a good reason");
  const auto changes = changed_values(config, changed);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].key == "name");
  CHECK(changes[0].from == "x");
  CHECK(changes[0].to == "y");
  CHECK(changes[1].key == "weights");
  CHECK(changed.yaml().find("# a good reason") != std::string::npos);
  config.make_paths_absolute();
  CHECK(first.file == (std::filesystem::current_path() / "here.txt").string());
  CHECK(first.other == "nowhere");  // may be the name of a registered source, or a mistake
  std::filesystem::current_path(before);
  Config again(first);
  again.read_text(changed.yaml(false), "r.yaml");
  CHECK(first.weights == std::vector<std::string>{"1", "2.5"});
}
