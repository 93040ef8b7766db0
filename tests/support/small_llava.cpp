#include "tests/support/small_llava.h"

#include "tests/support/letters_tokenizer.h"
#include "tests/support/text_file.h"
#include "vitrail/data/image/codec.h"

#include <cstdint>

namespace vitrail::test {
namespace {

struct Square {
  const char* name;
  uint8_t r, g, b;
};
constexpr Square kSquares[] = {{"red", 220, 30, 30},     {"green", 30, 200, 40}, {"blue", 30, 40, 220},
                               {"yellow", 230, 220, 20}, {"black", 10, 10, 10},  {"white", 250, 250, 250}};

constexpr std::string_view kSmallLlava = R"(
recipe: llava
name: squares
tower: {arch: vit_tiny, patch_size: 4, embed_dim: 24, depth: 2, num_heads: 2, feature_layer: -1, feature_norm: true, pixel_shuffle: 2}
decoder: {embed_dim: 32, depth: 2, num_heads: 4, num_kv_heads: 2, hidden_dim: 48, context_length: 128}
data: {img_size: 16, workers: 1, template: llava_hf, group: image, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
optim: {lr: 3.0e-3}
schedule: {warmup_epochs: 0.5}
train: {epochs: 2, batch_size: 4, log_every: 1, parts: [tower, projector, decoder]}
eval: {every: 2, max_tokens: 8}
)";

void write_squares(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  fs::create_directories(folder / "squares");
  std::string train = "path\tquestion\tanswer\tfamily\n", test = train;
  std::string train_captions = "path\tcaption\n", test_captions = train_captions;
  for (const auto& [name, r, g, b] : kSquares)
    for (int shade = 0; shade < 3; ++shade) {
      data::Image image(16, 16);
      for (size_t i = 0; i < image.pixels().size(); i += 3) {
        const int change = 5 * (shade - 1);
        image.data()[i] = uint8_t(r + change);
        image.data()[i + 1] = uint8_t(g + change);
        image.data()[i + 2] = uint8_t(b + change);
      }
      const std::string path = "squares/" + std::string(name) + std::to_string(shade) + ".png";
      data::write_png(folder / path, image);
      std::string& table = shade == 1 ? test : train;
      table += path + "\twhich colour?\t" + name + "\tcolour\n";
      table += path + "\tis it red?\t" + (name == std::string("red") ? "yes" : "no") + "\tyes or no\n";
      (shade == 1 ? test_captions : train_captions) += path + "\tall " + name + "\n";
    }
  train += "\twho are you?\ta model\t\n";
  write_text(folder / "questions.train.tsv", train);
  write_text(folder / "questions.test.tsv", test);
  fs::create_directories(folder / "captions");
  fs::create_directory_symlink(folder / "squares", folder / "captions" / "squares");
  write_text(folder / "captions" / "captions.train.tsv", train_captions);
  write_text(folder / "captions" / "captions.test.tsv", test_captions);
}

}  // namespace

SquareQuestions::SquareQuestions() {
  write_squares(path());
  write_text(tokenizer(), letters_tokenizer());
}

SmallLlava::SmallLlava(const SquareQuestions& data, const std::vector<std::string>& changes) : config(settings) {
  config.read_text(kSmallLlava, "squares.yaml");
  config.set("data.root=" + data.path().string());
  config.set("decoder.tokenizer=" + data.tokenizer().string());
  for (const std::string& change : changes) config.set(change);
  settings.settle(config);
  recipe = settings.build();
}

std::vector<std::string> first_stage(const SquareQuestions& data) {
  return {"stage=pretrain",         "data.root=" + (data.path() / "captions").string(),
          "data.template=by_stage", "data.follow_symlinks=true",
          "train.parts=[]",         "eval.candidates=4"};
}

}  // namespace vitrail::test
