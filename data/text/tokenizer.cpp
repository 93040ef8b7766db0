#include "vitrail/data/text/tokenizer.h"

#include "vitrail/core/error.h"
#include "vitrail/data/text/byte_pairs.h"
#include "vitrail/data/text/clean_text.h"
#include "vitrail/data/text/unicode.h"
#include "vitrail/data/text/words.h"

#include <algorithm>

namespace vitrail::data {
namespace {

constexpr size_t kLongestWord = size_t{1} << 30;  // longer words are cut, so that positions fit an int32_t

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  std::vector<int32_t> symbols;
  PairMerger merger(vocabulary_.merge_table(), PairMerger::NewPairs::after_rank);
  const auto encode_word = [&](std::string_view word) {
    symbols.clear();
    for (size_t i = 0; i < word.size(); ++i)
      symbols.push_back(vocabulary_.byte_id(static_cast<unsigned char>(word[i]), i + 1 == word.size()));
    merger.merge(symbols, ids);
  };
  for_each_word(clean_text(text), [&](std::string_view word) {
    if (word == kStartOfText)
      ids.push_back(vocabulary_.start_of_text());
    else if (word == kEndOfText)
      ids.push_back(vocabulary_.end_of_text());
    else
      for (; !word.empty(); word.remove_prefix(std::min(kLongestWord, word.size())))
        encode_word(word.substr(0, kLongestWord));
  });
  return ids;
}

Tensor Tokenizer::encode_batch(std::span<const std::string> texts, int64_t context_length) const {
  check<ConfigError>(context_length >= 2, "tokenizer", "context_length is {}; start and end of text alone take 2",
                     context_length);
  Tensor batch = zeros({int64_t(texts.size()), context_length}, DType::i64);
  int64_t* row = batch.data<int64_t>();
  for (const std::string& text : texts) {
    const std::vector<int64_t> ids = encode(text);
    const int64_t n = std::min(int64_t(ids.size()), context_length - 2);
    row[0] = vocabulary_.start_of_text();
    std::copy_n(ids.begin(), n, row + 1);
    row[n + 1] = vocabulary_.end_of_text();
    row += context_length;
  }
  return batch;
}

std::string Tokenizer::decode(std::span<const int64_t> ids) const {
  std::string bytes;
  for (int64_t id : ids) bytes += vocabulary_.bytes_of(id);
  return encode_utf8(decode_utf8(bytes));
}

}  // namespace vitrail::data
