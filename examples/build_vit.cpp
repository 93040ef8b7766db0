// A vision transformer from scratch: build it, count its parameters, show it an image.
#include <vitrail/autograd/scope.h>
#include <vitrail/core/ops.h>
#include <vitrail/core/rng.h>
#include <vitrail/nn/models/vision_transformer.h>

#include <cstdio>

using namespace vitrail;

int main() {
  nn::VitConfig config = nn::vit_variant("vit_small");  // width 384, 12 blocks, 6 heads, patches of 16 x 16
  config.num_classes = 100;
  nn::VisionTransformer model(nn::Scope(/*seed=*/0), config);
  model.eval();
  std::printf("ViT-S, 100 classes: %.1fM parameters\n", double(model.parameter_count()) / 1e6);
  for (const nn::Parameter* p : model.parameters())
    if (p->name().starts_with("blocks.0."))
      std::printf("  %-26s %s\n", p->name().c_str(), to_string(p->value().shape()).c_str());

  Rng rng(0, "image");
  const Tensor image = rng.normal({1, 3, 224, 224}, 0, 1);
  const Tensor logits = model(image).value();
  const Tensor features = model.features(image).value();
  std::printf("image %s -> features %s, logits %s, most likely class %lld\n", to_string(image.shape()).c_str(),
              to_string(features.shape()).c_str(), to_string(logits.shape()).c_str(),
              static_cast<long long>(core::argmax(logits, -1).span<int64_t>()[0]));
  return model.parameter_count() == 21'704'164 ? 0 : 1;
}
