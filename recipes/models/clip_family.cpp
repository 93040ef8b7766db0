#include "vitrail/recipes/models/clip_family.h"

#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/eval/clip_features.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/open_model.h"
#include "vitrail/recipes/models/published_model.h"
#include "vitrail/recipes/models/vit_family.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace vitrail::recipes {
namespace {

struct ClipArchitecture final : Architecture {
  explicit ClipArchitecture(nn::ClipConfig c) : config(std::move(c)) {}

  const ModelFamily& family() const override { return model_family(nn::Family::clip); }
  const nn::VitConfig& vision() const override { return config.vision; }
  const nn::TextConfig* text() const override { return &config.text; }
  int64_t num_classes() const override { return 0; }
  std::string describe() const override {
    const nn::TextConfig& t = config.text;
    return fmt::format("CLIP: {}; texts: {} blocks of width {}, {} heads, {} words; together {}",
                       recipes::describe(config.vision), t.depth, t.embed_dim, t.num_heads, t.vocab_size, t.out_dim);
  }

  std::shared_ptr<const Architecture> completed(const TensorMap& weights, const nn::Layout& layout,
                                                const std::string& source,
                                                const nn::Unwritten& unwritten) const override {
    const nn::ClipConfig shapes = nn::clip_config(weights, layout, source, unwritten);
    nn::ClipConfig result = config;
    complete(result.vision, shapes.vision, source);
    result.vision.num_classes = config.vision.num_classes;  // from the file: the width of the shared space
    const auto agree = [&](const char* what, int64_t a, int64_t b) {
      check<IoError>(a == b, "load", "{}: the configuration of the text has {} {}, the weights have {}", source, what,
                     a, b);
    };
    agree("a width of", result.text.embed_dim, shapes.text.embed_dim);
    agree("words:", result.text.vocab_size, shapes.text.vocab_size);
    agree("a context of", result.text.context_length, shapes.text.context_length);
    agree("an output width of", result.text.out_dim, shapes.text.out_dim);
    return clip_architecture(result);
  }

  void open(const PublishedModel& model, OpenModel& opened) const override {
    const auto clip = std::make_shared<nn::Clip>(nn::Scope().without_values(), config);
    nn::share_state(*clip, model.weights, *model.layout, model.source.string());
    set_clip(opened, config, clip, model.vocabulary);
  }

  const nn::Layout& own_layout() const override { return nn::layout_named("open_clip"); }
  const nn::Layout& hugging_face_layout() const override { return nn::layout_named("hf_clip"); }
  std::vector<std::pair<std::string, std::string>> files(const PublishedModel& model,
                                                         const nn::Layout& layout) const override {
    if (layout.name == "open_clip")
      return {{"open_clip_config.json", to_open_clip_config_json(config, model.preprocessing)}};
    return {{"config.json", to_config_json(config, torch_dtype(model))},
            {"preprocessor_config.json", to_preprocessor_json(model.preprocessing, layout)}};
  }

  nn::ClipConfig config;
};

}  // namespace

std::shared_ptr<const Architecture> clip_architecture(const nn::ClipConfig& config) {
  return std::make_shared<ClipArchitecture>(config);
}

std::shared_ptr<const Architecture> clip_from_weights(const TensorMap& weights, const nn::Layout& layout,
                                                      const std::string& source, const nn::Unwritten& unwritten) {
  return clip_architecture(nn::clip_config(weights, layout, source, unwritten));
}

void set_clip(OpenModel& opened, const nn::ClipConfig& config, const std::shared_ptr<nn::Clip>& clip,
              std::function<data::Vocabulary()> vocabulary) {
  // A separate model for the image tower. It shares the weights, and its names have no prefix.
  auto tower = std::make_shared<nn::VisionTransformer>(nn::Scope().without_values(), clip->visual.config);
  nn::share_state(*tower, without_prefix(nn::state(*clip), "visual."), opened.source.string());
  set_backbone(opened, std::move(tower));
  opened.network = clip;
  opened.classify = nullptr;  // the tower's head projects to the shared space and is no classifier
  opened.architecture = clip_architecture(config);
  opened.logit_scale = std::exp(clip->logit_scale.value().item());
  opened.image_features = [features = image_features(*clip), clip](const Tensor& images) { return features(images); };
  opened.vocabulary = std::move(vocabulary);
  if (!opened.vocabulary) return;
  const auto tokenizer =
      [ read = opened.vocabulary, kept = std::make_shared<std::optional<data::Tokenizer>>() ]() -> auto& {
    if (!*kept) kept->emplace(read());
    return **kept;
  };
  opened.text_features = [clip, tokenizer](std::span<const std::string> texts) {
    return text_features(*clip, tokenizer())(texts);
  };
  opened.symbols_cut = [tokenizer, room = clip->text.config.context_length - 2](const std::string& text) {
    return std::max<int64_t>(int64_t(tokenizer().encode(text).size()) - room, 0);  // start and end take two
  };
}

}  // namespace vitrail::recipes
