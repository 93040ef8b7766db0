#include "vitrail/nn/models/vision_transformer.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/nn/weights/layout.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace vitrail::nn {

TEST_CASE("the names of one weight in a layout are those that a whole model is written under, and lead back to it") {
  VitConfig config;
  config.img_size = 8;
  config.patch_size = 4;
  config.num_classes = 3;
  config.embed_dim = 8;
  config.depth = config.num_heads = 2;
  const TensorMap ours = state(VisionTransformer(Scope(1), config));
  for (const char* layout_name : {"timm", "hf_vit", "hf_dinov2", "torchvision"}) {
    CAPTURE(layout_name);
    const Layout& layout = layout_named(layout_name);
    const TensorMap written = to_layout(layout, ours).weights;
    for (const auto& item : ours) {
      const std::string& name = item.first;
      CAPTURE(name);
      for (const NamesOf which : {NamesOf::files, NamesOf::modules}) {
        const std::vector<std::string> names = names_in_layout(layout, name, ours, which);
        REQUIRE_FALSE(names.empty());
        for (size_t i = 0; i < names.size(); ++i) {
          if (which == NamesOf::files) CHECK(written.contains(names[i]));
          const auto place = place_in_ours(layout, names[i]);
          REQUIRE(place.has_value());
          CHECK(place->name == name);
          CHECK(place->part == i);
          CHECK(place->parts == names.size());
        }
      }
    }
  }
  const Layout& vit = layout_named("hf_vit");
  CHECK(names_in_layout(vit, "blocks.1.attn.qkv.bias", ours, NamesOf::modules) ==
        std::vector<std::string>{"vit.layers.1.attention.q_proj.bias", "vit.layers.1.attention.k_proj.bias",
                                 "vit.layers.1.attention.v_proj.bias"});
  CHECK(names_in_layout(vit, "head.weight", ours) == std::vector<std::string>{"classifier.weight"});
  CHECK(names_in_layout(vit, "blocks.1.attn.other", ours).empty());
  CHECK_FALSE(place_in_ours(vit, "decoder.weight").has_value());
  const auto table = place_in_ours(layout_named("hf_clip_vision"), "embeddings.position_embedding.weight");
  REQUIRE(table.has_value());
  CHECK(table->name == "pos_embed");  // [1, N, C], there [N, C]
  CHECK(table->unit_axes == 1);
}

}  // namespace vitrail::nn
