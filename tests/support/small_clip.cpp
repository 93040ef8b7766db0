#include "tests/support/small_clip.h"

#include "vitrail/core/rng.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/clip_family.h"

namespace vitrail::test {

nn::VitConfig small_vit() {
  nn::VitConfig c{.img_size = 16, .patch_size = 8, .num_classes = 0, .embed_dim = 16};
  c.depth = c.num_heads = 2;
  return c;
}

nn::ClipConfig small_clip() {
  nn::ClipConfig c;
  c.vision = small_vit();
  c.vision.num_classes = 6;
  c.vision.pre_norm = true;
  c.vision.head_bias = false;
  c.vision.ln_eps = 1e-5;
  c.vision.gelu = c.text.gelu = ag::Gelu::quick;
  c.text.vocab_size = 515;
  c.text.context_length = 8;
  c.text.embed_dim = 16;
  c.text.depth = c.text.num_heads = 2;
  c.text.out_dim = 6;
  return c;
}

recipes::PublishedModel published_clip(const nn::ClipConfig& config) {
  recipes::PublishedModel model;
  model.source = "made";
  model.layout = &nn::layout_named("open_clip");
  model.architecture = recipes::clip_architecture(config);
  nn::Clip clip(nn::Scope(3), config);
  for (nn::Parameter* p : clip.parameters())
    p->update([&](Tensor& t) {
      if (p->name().ends_with("bias")) t.copy_(Rng(4, p->name()).normal(t.shape(), 0, 0.1));
    });
  model.weights = nn::state(clip);
  model.preprocessing = recipes::published_preprocessing(*model.layout, config.vision.img_size);
  model.vocabulary = [] { return data::Vocabulary(std::vector<data::Vocabulary::Symbols>{{"a", "b"}}); };
  return model;
}

Tensor small_images() { return Rng(1, "images").uniform({2, 3, 16, 16}, -3, 3); }
std::vector<std::string> small_texts() { return {"ab a", "b"}; }

}  // namespace vitrail::test
