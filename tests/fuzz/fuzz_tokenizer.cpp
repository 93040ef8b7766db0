// Any bytes as a vocabulary, up to the first 0, and any bytes behind it as a text: the vocabulary is accepted or
// refused with an IoError, and every text is encoded, with ids that the vocabulary has.
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
  // What is cleaned is UTF-8, and so is what is decoded.
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
