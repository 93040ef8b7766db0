// vitrail init: writes a published architecture with random weights, for other programs to open.
#include "tools/commands/commands.h"
#include "tools/commands/model_text.h"
#include "vitrail/recipes/models/random_model.h"
#include "vitrail/recipes/models/write_model.h"

#include <fmt/format.h>

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

void add_init(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("init", "Writes a model with random weights, in the layout of Hugging Face.");
  command.option("--arch,arch", o->arch, fmt::format("{}", fmt::join(recipes::random_model_names(), ", "))).required();
  command.option("-o,--out", o->out, "folder to write (for other layouts: file.safetensors)").required();
  command.option("--layout", o->layout, "layout to write, see vitrail convert --help");
  command.option("--classes", o->model.num_classes, "outputs of the classifier; 0: no classifier").range(0, 1 << 20);
  command.option("--vocab", o->vocabulary, "CLIP: merges.txt or its folder, for the tokenizer's files");
  command.option("--seed", o->model.seed, "random seed of the weights");
  command.example("vitrail init --arch clip_vit_b32 --vocab bpe_simple_vocab_16e6.txt.gz --out clip/");
  command.action([o] { init(*o); });
}

}  // namespace vitrail::tools
