#include "vitrail/recipes/methods/lm_data.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"

#include <algorithm>
#include <filesystem>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

/// The file itself, or the .txt files of the folder by name.
std::vector<fs::path> text_files(const fs::path& path) {
  check<ConfigError>(fs::exists(path), "texts", "{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  check<DataError>(!files.empty(), "texts", "{}: has no .txt file", path.string());
  std::sort(files.begin(), files.end());
  return files;
}

/// The text without white space at its ends.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// Calls fn(text) for each text of a file.
template <class F>
void for_each_part(std::string_view content, std::string_view separator, F&& fn) {
  while (true) {
    const size_t at = separator.empty() ? content.npos : content.find(separator);
    if (const std::string_view text = trimmed(content.substr(0, at)); !text.empty()) fn(text);
    if (at == content.npos) return;
    content.remove_prefix(at + separator.size());
  }
}

/// The files of the tokenizer at data.tokenizer, or of the model at init.
TokenizerFiles tokenizer_files_of(const LmConfig& config) {
  std::string place = config.data.tokenizer;
  const bool of_init = place.empty() && !config.init.empty();
  if (of_init) place = config.init;
  check<ConfigError>(!place.empty() && fs::exists(place), "data.tokenizer",
                     "'{}' is no file or folder; give a tokenizer.json, tokenizer.model or tokenizer.bin", place);
  TokenizerFiles files;
  if (!of_init || fs::is_directory(place)) files = read_tokenizer_files(place);
  if (of_init && files.empty()) files = open_language_model(place, {.accept_keys = config.accept_keys}).tokenizer_files;
  check<ConfigError>(!files.empty(), "data.tokenizer", "{}: has no tokenizer.json, tokenizer.model or tokenizer.bin",
                     place);
  return files;
}

}  // namespace

std::vector<int32_t> read_texts(const std::string& path, std::string_view separator,
                                const data::LanguageTokenizer& tokenizer) {
  constexpr int64_t kMostBytes = int64_t{1} << 34;
  const std::optional<int64_t> bos = tokenizer.bos();
  const std::vector<int64_t> eos = tokenizer.eos();
  std::vector<int32_t> tokens;
  for (const fs::path& file : text_files(path)) {
    const std::string content = read_file(file, kMostBytes);
    for_each_part(content, separator, [&](std::string_view text) {
      if (bos) tokens.push_back(int32_t(*bos));
      for (const int64_t id : tokenizer.encode(text)) tokens.push_back(int32_t(id));
      if (!eos.empty() && eos.front() != bos) tokens.push_back(int32_t(eos.front()));
    });
  }
  check<DataError>(!tokens.empty(), "texts", "{}: has no text", path);
  return tokens;
}

LmData::LmData(const LmConfig& config) {
  const LmConfig::Data& c = config.data;
  check<ConfigError>(!c.root.empty(), "data.root", "is empty; give a text file or a folder of .txt files");
  files = tokenizer_files_of(config);
  tokenizer = open_tokenizer(files);
  train = read_texts(c.root, c.separator, *tokenizer);
  if (!c.val_root.empty()) {
    val = read_texts(c.val_root, c.separator, *tokenizer);
  } else {
    const auto held_out = int64_t(double(train.size()) * c.val_share);
    val.assign(train.end() - held_out, train.end());
    train.resize(train.size() - val.size());
  }
  check<DataError>(int64_t(train.size()) > c.context_length, "data.context_length",
                   "{} is more than the {} tokens to train on", c.context_length, train.size());
  const bool unused = c.val_root.empty() && c.val_share == 0;  // no evaluation
  check<DataError>(unused || int64_t(val.size()) > c.context_length,
                   c.val_root.empty() ? "data.val_share" : "data.val_root",
                   "{} tokens to evaluate on make no block of data.context_length {}", val.size(), c.context_length);
}

}  // namespace vitrail::recipes
