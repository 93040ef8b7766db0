// Reads any text as one of the JSON files of a published model. The parser accepts it, with all numbers within bounds,
// or throws.
#include "vitrail/core/error.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/llama_json.h"
#include "vitrail/recipes/models/model_family.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vitrail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto accepted = [](const auto& parse) {
    try {
      parse();
    } catch (const Error&) {
    }
  };
  accepted([&] {
    const recipes::HubConfig config = recipes::parse_config(text, "fuzz.json");
    if (!config.architecture) return;
    const nn::VitConfig& v = config.architecture->vision();
    if (v.embed_dim < 1 || v.embed_dim > (1 << 14) || v.depth > 256 || v.mlp_hidden < 0) std::abort();
  });
  accepted([&] { recipes::parse_open_clip_config(text, "fuzz.json"); });
  accepted([&] {
    const nn::LlamaConfig c = recipes::parse_decoder(recipes::JsonObject::parse(text, "fuzz.json")).llama;
    if (c.depth < 1 || c.depth > 256 || c.num_heads % c.num_kv_heads != 0 || c.head_dim % 2 != 0) std::abort();
  });
  for (const char* layout : {"hf_vit", "hf_clip"})
    accepted([&] { recipes::parse_preprocessor(text, "fuzz.json", nn::layout_named(layout)); });
  return 0;
}
