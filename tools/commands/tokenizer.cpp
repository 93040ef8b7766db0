// vitrail tokenizer: learns a vocabulary from captions.
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

void add_tokenizer(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("tokenizer", "Learns a vocabulary (merges.txt, vocab.json) from captions.");
  command.option("sources", o->sources, "tables with a column `caption`, or plain text with one caption per line")
      .required();
  command.option("-o,--out", o->out, "folder to write").required();
  command.option("--size", o->size, "symbols in all, with the 514 for bytes, start and end of text");
  command.option("--min-count", o->min_count, "do not join a pair that occurs less often");
  command.example("vitrail tokenizer captions.tsv --size 4096 -o vocab/");
  command.action([o] { train(*o); });
}

}  // namespace vitrail::tools
