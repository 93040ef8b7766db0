// vitrail tokenizer: a vocabulary learned from captions.
#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/data/sources/caption_table.h"
#include "vitrail/data/text/train_vocabulary.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

struct Options {
  std::vector<std::string> sources;
  std::string out;
  int64_t size = 4096;
  int64_t min_count = 2;
};

void train(const Options& o) {
  data::VocabularyTrainer trainer;
  int64_t captions = 0;
  for (const std::string& source : o.sources)
    data::for_each_text(source, [&](std::string_view text) {
      trainer.add(text);
      ++captions;
    });
  const data::Vocabulary vocabulary = trainer.train(o.size, o.min_count);
  vocabulary.save(o.out);
  std::printf("%s: %lld symbols from %lld captions\n", o.out.c_str(), static_cast<long long>(vocabulary.size()),
              static_cast<long long>(captions));
  if (vocabulary.size() < o.size)
    std::printf("fewer than %lld: no other pair of symbols occurs %lld times\n", static_cast<long long>(o.size),
                static_cast<long long>(o.min_count));
}

}  // namespace

void add_tokenizer(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tokenizer", "Learns a vocabulary (merges.txt, vocab.json) from captions.");
  command->add_option("sources", o->sources, "tables with a column caption, or plain text, a caption a line")
      ->required();
  command->add_option("-o,--out", o->out, "folder to write")->required();
  command->add_option("--size", o->size, "symbols in all; 514 are bytes, start and end of text")->capture_default_str();
  command->add_option("--min-count", o->min_count, "a pair that occurs less often is not joined")
      ->capture_default_str();
  command->footer("Example: vitrail tokenizer captions.tsv --size 4096 -o vocab/");
  command->callback([o] { train(*o); });
}

}  // namespace vitrail::tools
