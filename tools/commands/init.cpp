// vitrail init: a published architecture with random weights, as a folder that other programs open.
#include "tools/commands/commands.h"
#include "tools/commands/model_text.h"
#include "vitrail/recipes/models/random_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace vitrail::tools {
namespace {

struct Options {
  std::string arch, out, vocabulary, layout = "hf";
  recipes::RandomModelOptions model;
};

void init(Options o) {
  if (!o.vocabulary.empty()) o.model.vocabulary = o.vocabulary;
  const recipes::PublishedModel model = recipes::random_model(o.arch, o.model);
  std::printf("%s, random weights of seed %llu\n", describe(model).c_str(),
              static_cast<unsigned long long>(o.model.seed));
  print_written(recipes::write_model(model, o.layout, o.out));
}

}  // namespace

void add_init(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("init", "Makes a model with random weights, as Hugging Face lays it out.");
  std::string names;
  for (const std::string& name : recipes::random_model_names()) names += (names.empty() ? "" : ", ") + name;
  command->add_option("--arch", o->arch, names)->required();
  command->add_option("-o,--out", o->out, "folder to write (file.safetensors in other layouts)")->required();
  command->add_option("--layout", o->layout, "another layout, see vitrail convert --help")->capture_default_str();
  command->add_option("--classes", o->model.num_classes, "outputs of a classifier; 0: none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("--vocab", o->vocabulary, "CLIP: merges.txt, or a folder with it, for the tokenizer's files");
  command->add_option("--seed", o->model.seed, "of the weights")->capture_default_str();
  command->footer("Example: vitrail init --arch clip_vit_b32 --vocab bpe_simple_vocab_16e6.txt.gz --out clip/");
  command->callback([o] { init(*o); });
}

}  // namespace vitrail::tools
