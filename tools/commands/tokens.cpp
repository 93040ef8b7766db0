// vitrail tokens: the token ids of texts.
#include "tools/commands/commands.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/text/language_tokenizer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string tokenizer;
  std::vector<std::string> texts;
  std::optional<std::string> file;
  bool json = false;
};

std::vector<std::string> read_texts(const std::string& path) {
  constexpr int64_t kMostBytes = int64_t{1} << 28;
  const auto list = nlohmann::json::parse(read_file(path, kMostBytes), nullptr, /*allow_exceptions=*/false);
  check<IoError>(list.is_array(), "tokens", "{}: is no JSON list of texts", path);
  std::vector<std::string> texts;
  for (const auto& text : list) {
    check<IoError>(text.is_string(), "tokens", "{}: entry {} is no text", path, texts.size());
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

/// "</s> (2)"; "none" for no token.
std::string named(const data::LanguageTokenizer& tokenizer, const std::vector<int64_t>& ids) {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int64_t id : ids) tokens.push_back(fmt::format("{} ({})", on_one_line(tokenizer.piece(id)), id));
  return tokens.empty() ? "none" : fmt::format("{}", fmt::join(tokens, ", "));
}

ordered_json as_json(const data::LanguageTokenizer& tokenizer, const std::vector<std::string>& texts) {
  const auto or_null = [](const std::optional<int64_t>& id) { return id ? ordered_json(*id) : ordered_json(); };
  ordered_json result = {{"size", tokenizer.size()},
                         {"bos", or_null(tokenizer.bos())},
                         {"eos", tokenizer.eos()},
                         {"pad", or_null(tokenizer.pad())},
                         {"texts", ordered_json::array()}};
  for (const std::string& text : texts) {
    const std::vector<int64_t> ids = tokenizer.encode(text);
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const int64_t id : ids) tokens.push_back(tokenizer.piece(id));
    result["texts"].push_back({{"ids", ids}, {"tokens", tokens}, {"decoded", tokenizer.decode(ids)}});
  }
  return result;
}

void print_tokens(const Options& o) {
  const auto tokenizer = data::open_language_tokenizer(o.tokenizer);
  const std::vector<std::string> texts = o.file ? read_texts(*o.file) : o.texts;
  if (o.json) {
    fmt::print("{}\n", json_text(as_json(*tokenizer, texts)));
    return;
  }
  const auto list = [](const std::optional<int64_t>& id) { return id ? std::vector{*id} : std::vector<int64_t>(); };
  fmt::print("{} tokens; begin of a text: {}; ends: {}; padding: {}\n", tokenizer->size(),
             named(*tokenizer, list(tokenizer->bos())), named(*tokenizer, tokenizer->eos()),
             named(*tokenizer, list(tokenizer->pad())));
  for (const std::string& text : texts) {
    std::vector<Row> rows;
    for (const int64_t id : tokenizer->encode(text))
      rows.push_back({on_one_line(tokenizer->piece(id)), std::to_string(id)});
    fmt::print("\n{}: {} tokens\n{}", on_one_line(text), rows.size(), rows.empty() ? "" : to_table(rows));
  }
}

}  // namespace

void add_tokens(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("tokens", "Prints the token ids of texts by a language model's tokenizer.");
  command.option("tokenizer", o->tokenizer, "folder of a model, tokenizer.json, tokenizer.model or tokenizer.bin")
      .required();
  const Option texts = command.option("texts", o->texts, "texts; without one, only what the tokenizer is");
  command.option("--texts-file", o->file, "take the texts from this file, a JSON list").excludes(texts);
  command.flag("--json", o->json, "print one JSON object, with the decoded texts");
  command.example("vitrail tokens smollm2/ \"a red circle\"");
  command.action([o] { print_tokens(*o); });
}

}  // namespace vitrail::tools
