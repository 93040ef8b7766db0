// Reads any bytes as a checkpoint of llama2.c. The reader gives the weights that the header announces, or throws.
#include "tests/fuzz/memory_file.h"
#include "vitrail/core/error.h"
#include "vitrail/recipes/models/language_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vitrail;
  try {
    const recipes::Llama2c read = recipes::read_llama2c(vitrail::fuzz::MemoryFile(data, size).path());
    for (const auto& [name, weight] : read.weights)
      if (!weight.defined() || weight.dtype() != DType::f32) std::abort();
    if (read.weights.at("embed_tokens.weight").shape() != Shape{read.config.vocab_size, read.config.embed_dim})
      std::abort();
  } catch (const Error&) {
  }
  return 0;
}
