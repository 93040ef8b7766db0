#include "vitrail/nn/models/vit_config.h"

#include "vitrail/core/error.h"
#include "vitrail/core/text.h"

namespace vitrail::nn {
namespace {

struct VitVariant {
  const char* name;
  int64_t embed_dim, depth, num_heads;
};
constexpr VitVariant kVitVariants[] = {
    {"vit_tiny", 192, 12, 3},    {"vit_small", 384, 12, 6},  {"vit_base", 768, 12, 12},
    {"vit_large", 1024, 24, 16}, {"vit_huge", 1280, 32, 16},
};

}  // namespace

int64_t VitConfig::prefix_positions() const {
  switch (pos_embed) {
    case PosEmbed::cls_and_patches:
      return read_tokens();
    case PosEmbed::patches:
    case PosEmbed::rope:
      return 0;
    case PosEmbed::all_tokens:
      return read_tokens() + num_registers;
  }
  __builtin_unreachable();
}

std::vector<std::string> vit_variants() {
  std::vector<std::string> names;
  for (const VitVariant& v : kVitVariants) names.emplace_back(v.name);
  return names;
}

VitConfig vit_variant(std::string_view name) {
  for (const VitVariant& v : kVitVariants) {
    if (v.name != name) continue;
    VitConfig config;
    config.embed_dim = v.embed_dim;
    config.depth = v.depth;
    config.num_heads = v.num_heads;
    return config;
  }
  fail<ConfigError>("vit", "unknown variant '{}'; known are {}", name,
                    joined(kVitVariants, [](const VitVariant& v) { return v.name; }));
}

}  // namespace vitrail::nn
