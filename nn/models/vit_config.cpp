#include "vitrail/nn/models/vit_config.h"

#include "vitrail/core/error.h"

namespace vitrail::nn {
namespace {

struct Variant {
  const char* name;
  int64_t embed_dim, depth, num_heads;
};
constexpr Variant kVariants[] = {
    {"vit_tiny", 192, 12, 3},    {"vit_small", 384, 12, 6},  {"vit_base", 768, 12, 12},
    {"vit_large", 1024, 24, 16}, {"vit_huge", 1280, 32, 16},
};

}  // namespace

int64_t VitConfig::prefix_positions() const {
  switch (pos_embed) {
    case PosEmbed::cls_and_patches:
      return read_tokens();
    case PosEmbed::patches:
      return 0;
    case PosEmbed::all_tokens:
      return read_tokens() + num_registers;
  }
  __builtin_unreachable();
}

std::vector<std::string> vit_variants() {
  std::vector<std::string> names;
  for (const Variant& v : kVariants) names.emplace_back(v.name);
  return names;
}

VitConfig vit_variant(std::string_view name) {
  for (const Variant& v : kVariants) {
    if (v.name != name) continue;
    VitConfig config;
    config.embed_dim = v.embed_dim;
    config.depth = v.depth;
    config.num_heads = v.num_heads;
    return config;
  }
  std::string known;
  for (const Variant& v : kVariants) known += (known.empty() ? "" : ", ") + std::string(v.name);
  fail<ConfigError>("vit", "unknown variant '{}'; known are {}", name, known);
}

}  // namespace vitrail::nn
