#include "vitrail/recipes/models/vit_family.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/vit_json.h"

#include <fmt/format.h>

#include <utility>

namespace vitrail::recipes {
namespace {

/// Whether the head is the projection of a CLIP's image tower, which has no bias, and no classifier.
bool projects(const nn::VitConfig& config) { return !config.head_bias; }

struct VitArchitecture final : Architecture {
  explicit VitArchitecture(const nn::VitConfig& c) : config(c) {}

  const ModelFamily& family() const override { return model_family(nn::Family::vit); }
  const nn::VitConfig& vision() const override { return config; }
  int64_t num_classes() const override { return projects(config) ? 0 : config.num_classes; }
  std::string describe() const override {
    const std::string outputs = std::to_string(config.num_classes);
    const std::string head = config.num_classes == 0 ? ""
                             : projects(config)      ? ", projected to " + outputs
                                                     : ", " + outputs + " classes";
    return (config.pre_norm ? "CLIP's image tower: " : "ViT: ") + recipes::describe(config) + head;
  }

  std::shared_ptr<const Architecture> completed(const TensorMap& weights, const nn::Layout& layout,
                                                const std::string& source,
                                                const nn::Unwritten& unwritten) const override {
    nn::VitConfig result = config;
    complete(result, nn::vit_config(weights, layout, source, unwritten), source);
    return vit_architecture(result);
  }

  void open(const PublishedModel& model, OpenModel& opened) const override {
    auto vit = std::make_shared<nn::VisionTransformer>(nn::Scope().without_values(), config);
    nn::share_state(*vit, model.weights, *model.layout, model.source.string());
    set_backbone(opened, std::move(vit));
    if (projects(config) && config.num_classes > 0)  // features in the space of both towers
      opened.image_features = std::exchange(opened.classify, nullptr);
  }

  const nn::Layout& own_layout() const override { return nn::layout_named("timm"); }
  const nn::Layout& hugging_face_layout() const override { return recipes::hugging_face_layout(config); }
  std::vector<std::pair<std::string, std::string>> files(const PublishedModel& model,
                                                         const nn::Layout& layout) const override {
    return {{"config.json", to_config_json(config, layout, model.classes, torch_dtype(model))},
            {"preprocessor_config.json", to_preprocessor_json(model.preprocessing, layout)}};
  }

  nn::VitConfig config;
};

}  // namespace

std::shared_ptr<const Architecture> vit_architecture(const nn::VitConfig& config) {
  return std::make_shared<VitArchitecture>(config);
}

std::shared_ptr<const Architecture> vit_from_weights(const TensorMap& weights, const nn::Layout& layout,
                                                     const std::string& source, const nn::Unwritten& unwritten) {
  return vit_architecture(nn::vit_config(weights, layout, source, unwritten));
}

void complete(nn::VitConfig& config, const nn::VitConfig& shapes, const std::string& source) {
  const auto agree = [&](const char* what, int64_t a, int64_t b) {
    check<IoError>(a == b, "load", "{}: the configuration has {} {}, the weights have {}", source, what, a, b);
  };
  agree("a width of", config.embed_dim, shapes.embed_dim);
  agree("a feed-forward width of", hidden_width(config), hidden_width(shapes));
  agree("a patch size of", config.patch_size, shapes.patch_size);
  agree("input channels ('num_channels'):", config.in_chans, shapes.in_chans);
  agree("an image size of", config.img_size, shapes.img_size);
  agree("registers:", config.num_registers, shapes.num_registers);
  if (projects(config) && shapes.num_classes > 0) agree("a projection to", config.num_classes, shapes.num_classes);
  config.num_classes = shapes.num_classes;
  config.head_bias = shapes.head_bias;
  config.pool = shapes.pool;
  config.mask_token = shapes.mask_token;
}

std::string describe(const nn::VitConfig& v) {
  std::string text = fmt::format("{} blocks of width {}, {} heads, images of {}, patches of {}", v.depth, v.embed_dim,
                                 v.num_heads, v.img_size, v.patch_size);
  if (v.num_registers > 0) text += fmt::format(", {} registers", v.num_registers);
  if (v.ffn == nn::Ffn::swiglu) text += ", SwiGLU";
  if (v.distilled) text += ", a distillation token";
  return text;
}

}  // namespace vitrail::recipes
