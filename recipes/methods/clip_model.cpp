#include "vitrail/recipes/methods/clip_model.h"

#include "vitrail/core/error.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/published_model.h"

#include <cstring>
#include <utility>

namespace vitrail::recipes {

TrainedClip load_trained_clip(const std::filesystem::path& path, const std::vector<std::string>& changes) {
  return to_clip(open_run(path, changes));
}

TrainedClip to_clip(OpenedRun run) {
  auto* config = dynamic_cast<ClipConfig*>(run.settings.get());
  check<ConfigError>(config != nullptr, "checkpoint", "{} is of a run of '{}', which has no text tower; '{}' has one",
                     run.checkpoint.string(), run.settings->recipe, "clip");
  std::unique_ptr<RecipeConfig> owner = std::move(run.settings);
  TrainedClip trained{run.checkpoint, std::unique_ptr<ClipConfig>(static_cast<ClipConfig*>(owner.release())),
                      data::Tokenizer(to_vocabulary(run.state.at("vocabulary"), run.checkpoint.string())), nullptr};
  trained.model = build_clip(nn::Scope().without_values(), config->clip(), config->data.img_size,
                             trained.tokenizer.vocabulary().size());
  nn::load_state(*trained.model, sub_map(run.state, "model"), trained.checkpoint.string());
  trained.model->eval();
  return trained;
}

TensorMap clip_weights(const std::filesystem::path& path) {
  TensorMap weights = published_weights(path) ? read_weights(path).tensors : sub_map(open_run(path).state, "model");
  check<IoError>(weights.contains("text.token_embedding.weight"), "init", "{} has no text tower", path.string());
  return weights;
}

Tensor to_tensor(const data::Vocabulary& vocabulary) {
  const std::string merges = vocabulary.merges_text();
  Tensor bytes = Tensor::empty({int64_t(merges.size())}, DType::u8);
  std::memcpy(bytes.raw(), merges.data(), merges.size());
  return bytes;
}

data::Vocabulary to_vocabulary(const Tensor& merges, const std::string& name) {
  return data::Vocabulary::parse(std::as_bytes(merges.span<uint8_t>()), name);
}

}  // namespace vitrail::recipes
