// Reads the bytes before the first 0 as a vocabulary and the rest as a text. The reader accepts the vocabulary or
// throws IoError. The tokenizer encodes every text, with ids of the vocabulary.
#include "vitrail/core/error.h"
#include "vitrail/data/text/clean_text.h"
#include "vitrail/data/text/tokenizer.h"
#include "vitrail/data/text/unicode.h"

#include <algorithm>
#include <cstdlib>

using namespace vitrail;

namespace {

void encode(const data::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int64_t> ids = tokenizer.encode(text);
  for (int64_t id : ids)
    if (id < 0 || id >= tokenizer.vocabulary().size()) std::abort();
  // Cleaned text and decoded text are valid UTF-8.
  for (const std::string& clean : {data::clean_text(text), tokenizer.decode(ids)})
    if (data::encode_utf8(data::decode_utf8(clean)) != clean) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  const auto end = std::find(bytes.begin(), bytes.end(), 0);
  const std::string_view text(reinterpret_cast<const char*>(data) + (end - bytes.begin()), size_t(bytes.end() - end));
  try {
    encode(data::Tokenizer(data::Vocabulary::parse(std::as_bytes(bytes.first(size_t(end - bytes.begin()))), "fuzz")),
           text);
  } catch (const IoError&) {
    static const data::Tokenizer small(data::Vocabulary({{"a", "b"}, {"ab", "c</w>"}}));
    encode(small, text);
  }
  return 0;
}
