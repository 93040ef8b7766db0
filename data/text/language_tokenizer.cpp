#include "vitrail/data/text/language_tokenizer.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/text/hub_tokenizer.h"
#include "vitrail/data/text/sentencepiece.h"
#include "vitrail/data/text/tokenizer_settings.h"
#include "vitrail/data/text/unicode.h"

#include <algorithm>

namespace vitrail::data {
namespace {

/// The number of bytes at the end of text that are the beginning of a character.
size_t incomplete_bytes(std::string_view text) {
  constexpr std::string_view kLowest = "\x80\x80\x80", kHighest = "\xBF\xBF\xBF";
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const auto first = static_cast<unsigned char>(text[text.size() - n]);
    if ((first & 0xC0) == 0x80) continue;  // inside a character
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (length <= n) return 0;
    const std::string tail(text.substr(text.size() - n));
    const bool begins = is_utf8(tail + std::string(kLowest.substr(0, length - n))) ||
                        is_utf8(tail + std::string(kHighest.substr(0, length - n)));
    return begins ? n : 0;
  }
  return 0;
}

/// The tokenizer's file in a folder.
std::filesystem::path tokenizer_file(const std::filesystem::path& folder) {
  for (const char* const name : {"tokenizer.json", "tokenizer.model", "tokenizer.bin"})
    if (std::filesystem::exists(folder / name)) return folder / name;
  fail<IoError>("tokenizer", "{}: has no tokenizer.json, tokenizer.model or tokenizer.bin", folder.string());
}

}  // namespace

std::shared_ptr<const LanguageTokenizer> open_language_tokenizer(const std::filesystem::path& path) {
  constexpr int64_t kMostTokenizerBytes = int64_t{1} << 28;
  const std::filesystem::path file = std::filesystem::is_directory(path) ? tokenizer_file(path) : path;
  const std::string name = file.string(), content = read_file(file, kMostTokenizerBytes);
  const auto bytes = std::as_bytes(std::span(content));
  if (file.extension() == ".bin") return std::make_shared<TokenizerPipeline>(parse_llama2c_tokenizer(bytes, name));
  check<ConfigError>(file.extension() == ".json" || file.extension() == ".model", "tokenizer",
                     "{}: is no tokenizer; it must be a tokenizer.json, a tokenizer.model or a tokenizer.bin", name);
  const auto settings = TokenizerSettings::read(file.parent_path());
  TokenizerParts parts = file.extension() == ".json"
                             ? parse_hub_tokenizer(content, name)
                             : parse_sentencepiece(bytes, name, {settings.legacy.value_or(true)});
  settings.apply(parts, name);
  return std::make_shared<TokenizerPipeline>(std::move(parts));
}

std::string LanguageTokenizer::decode(std::span<const int64_t> ids) const {
  StreamDecoder decoder(*this);
  std::string text;
  for (const int64_t id : ids) text += decoder.add(id);
  return text + decoder.finish();
}

StreamDecoder::StreamDecoder(const LanguageTokenizer& tokenizer, bool continues)
    : tokenizer_(tokenizer), drops_space_(!continues && tokenizer.adds_space()) {}

std::string StreamDecoder::add(int64_t id) {
  std::string bytes = tokenizer_.bytes_of(id);
  if (bytes.empty()) return "";
  if (drops_space_ && bytes.front() == ' ') bytes.erase(0, 1);
  drops_space_ = false;
  bytes.insert(0, pending_);
  const size_t whole = bytes.size() - incomplete_bytes(bytes);
  pending_ = bytes.substr(whole);
  bytes.resize(whole);
  return encode_utf8(decode_utf8(bytes));
}

std::string StreamDecoder::finish() {
  std::string rest = encode_utf8(decode_utf8(pending_));
  pending_.clear();
  drops_space_ = tokenizer_.adds_space();
  return rest;
}

}  // namespace vitrail::data
