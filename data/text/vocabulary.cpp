#include "vitrail/data/text/vocabulary.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/io/gzip.h"
#include "vitrail/data/text/byte_alphabet.h"
#include "vitrail/data/text/tokenizer_json.h"
#include "vitrail/data/text/unicode.h"
#include "vitrail/data/text/words.h"

#include <algorithm>
#include <utility>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEndOfWord = "</w>";
constexpr int64_t kMostBytes = int64_t{1} << 28;

/// CLIP's published list has more merges than CLIP uses.
constexpr std::string_view kClipHeader = "\"bpe_simple_vocab_16e6.txt#version";
constexpr size_t kClipMerges = 49152 - 256 - 2;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A JSON object that gives each symbol's id.
Json read_ids(const fs::path& path) {
  const std::string text = read_file(path, kMostBytes);
  try {
    return Json::parse(text, 1);
  } catch (const JsonError& e) {
    fail<IoError>("vocabulary", "{}: is not a JSON object of symbols and ids: {}", path.string(), e.reason());
  }
}

}  // namespace

Vocabulary::Vocabulary(std::vector<Symbols> merges, const std::string& source) : merges_(std::move(merges)) {
  for (const bool ends_word : {false, true})
    for (size_t i = 0; i < bytes_in_order().size(); ++i) {
      std::string symbol;
      append_utf8(symbol, visible_char(bytes_in_order()[i]));
      byte_ids_[bytes_in_order()[i]] = int32_t(i);
      symbols_.push_back(ends_word ? symbol.append(kEndOfWord) : symbol);
    }
  constexpr size_t kMostMerges = size_t{1} << 24;
  check<IoError>(merges_.size() <= kMostMerges, "vocabulary", "{}: {} merges are too many", source, merges_.size());
  const size_t bytes = symbols_.size();
  symbols_.reserve(bytes + merges_.size() + 2);
  ids_.reserve(bytes + merges_.size());
  for (size_t id = 0; id < bytes; ++id) ids_[symbols_[id]] = int32_t(id);
  for (const auto& [left, right] : merges_) {
    for (const std::string* part : {&left, &right})
      check<IoError>(ids_.contains(*part), "vocabulary", "{}: merge {} joins '{}', which no earlier merge makes",
                     source, symbols_.size() - bytes + 1, *part);
    symbols_.push_back(left + right);
    ids_[symbols_.back()] = int32_t(symbols_.size() - 1);
  }
  merge_table_ = MergeTable(merges_.size());
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const int32_t left = ids_.at(merges_[rank].first), right = ids_.at(merges_[rank].second);
    merge_table_.set(left, right, {int32_t(rank), ids_.at(symbols_[bytes + rank])});
  }
  symbols_.emplace_back(kStartOfText);
  symbols_.emplace_back(kEndOfText);
}

Vocabulary Vocabulary::parse(std::span<const std::byte> bytes, const std::string& name) {
  Bytes inflated;
  if (is_gzip(bytes)) {
    inflated = gunzip(bytes, name, uint64_t(kMostBytes));
    bytes = inflated;
  }
  std::string_view text = as_text(bytes);
  const auto next_line = [&] {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  };
  size_t number = 1, most = size_t(-1);
  if (text.starts_with("#version") || text.starts_with(kClipHeader)) {
    if (text.starts_with(kClipHeader)) most = kClipMerges;
    next_line();
    ++number;
  }
  std::vector<Symbols> merges;
  merges.reserve(kClipMerges);
  for (; !text.empty() && merges.size() < most; ++number) {
    const std::string_view line = next_line();
    if (line.empty() && text.empty()) break;
    const size_t space = line.find(' ');
    check<IoError>(space != line.npos && space > 0 && space + 1 < line.size() && line.find(' ', space + 1) == line.npos,
                   "vocabulary", "{}:{}: '{}' is not a merge; it must be two symbols with a space between", name,
                   number, line.substr(0, 80));
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  check<IoError>(!merges.empty(), "vocabulary", "{}: holds no merges", name);
  return Vocabulary(std::move(merges), name);
}

Vocabulary Vocabulary::read(const fs::path& path) {
  if (!fs::is_directory(path)) {
    const std::string content = read_file(path, kMostBytes);
    if (path.extension() == ".json") return parse_tokenizer_json(content, path.string());
    return parse(std::as_bytes(std::span(content)), path.string());
  }
  const fs::path merges = path / "merges.txt", tokenizer = path / "tokenizer.json", json = path / "vocab.json";
  if (!fs::exists(merges)) {
    check<IoError>(fs::exists(tokenizer), "vocabulary", "{}: has neither merges.txt nor tokenizer.json", path.string());
    return read(tokenizer);
  }
  Vocabulary vocabulary = read(merges);
  if (fs::exists(json)) vocabulary.check_ids(read_ids(json), json.string(), "merges.txt beside it");
  return vocabulary;
}

void Vocabulary::check_ids(const Json& ids, const std::string& path, std::string_view merges) const {
  const bool flat = ids.is_object() && std::all_of(ids.as_object().begin(), ids.as_object().end(),
                                                   [](const Json::Member& m) { return m.value.is_integer(); });
  check<IoError>(flat, "vocabulary", "{}: is not a JSON object of symbols and ids", path);
  const auto id_of = [&](const std::string& symbol) {
    if (symbol == kStartOfText) return start_of_text();
    if (symbol == kEndOfText) return end_of_text();
    const auto known = ids_.find(symbol);
    return known == ids_.end() ? -1 : int64_t(known->second);
  };
  std::vector<bool> seen(symbols_.size());
  for (const auto& [symbol, id] : ids.as_object()) {
    const int64_t expected = id_of(symbol);
    if (expected < 0) continue;  // not one of our symbols
    check<IoError>(id.as_int64() == expected, "vocabulary", "{}: '{}' has id {}; {} gives {}", path, symbol,
                   id.as_int64(), merges, expected);
    seen[size_t(expected)] = true;
  }
  for (const std::string& symbol : symbols_)
    check<IoError>(seen[size_t(id_of(symbol))], "vocabulary", "{}: '{}' has no id; {} gives {}", path, symbol, merges,
                   id_of(symbol));
}

std::string Vocabulary::merges_text() const {
  std::string lines = "#version: 0.2\n";
  for (const auto& [left, right] : merges_) lines += left + " " + right + "\n";
  return lines;
}

void Vocabulary::save(const fs::path& folder) const {
  std::error_code error;
  fs::create_directories(folder, error);
  check<WriteError>(!error, "vocabulary", "{}: cannot make the folder: {}", folder.string(), error.message());
  Json::Object ids;
  for (size_t id = 0; id < symbols_.size(); ++id) ids.emplace_back(symbols_[id], id);
  durable_write(folder / "merges.txt", merges_text());
  durable_write(folder / "vocab.json", Json::object(std::move(ids)).text());
}

std::string Vocabulary::bytes_of(int64_t id) const {
  check<ConfigError>(id >= 0 && id < size(), "vocabulary", "id {} is outside [0, {})", id, size());
  if (id >= start_of_text()) return symbol(id);
  std::string_view text = symbol(id);
  const bool ends_word = text.size() > kEndOfWord.size() && text.ends_with(kEndOfWord);
  if (ends_word) text.remove_suffix(kEndOfWord.size());
  const std::string bytes = visible_bytes(text).value();
  return ends_word ? bytes + " " : bytes;
}

}  // namespace vitrail::data
