#include "vitrail/recipes/models/published_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/core/text.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"
#include "vitrail/recipes/models/weights_file.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "config.json", *kOpenClipConfig = "open_clip_config.json",
                     *kPreprocessor = "preprocessor_config.json";
constexpr const char* kWeights[] = {"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"};
constexpr int64_t kMostJson = int64_t{1} << 24;

/// Files of Python's pickle and of NumPy. Loading a pickle file can run any code.
constexpr std::string_view kForeign[] = {".pth", ".pt", ".bin", ".ckpt", ".pkl", ".npz"};

bool is_foreign(const fs::path& path) {
  const std::string extension = path.extension().string();
  return std::find(std::begin(kForeign), std::end(kForeign), extension) != std::end(kForeign);
}

[[noreturn]] void refuse_foreign(const fs::path& file) {
  fail<ConfigError>("weights",
                    "{}: only safetensors are read; the ten lines of Python in docs/weights.md make one of it",
                    file.string());
}

bool has_usual_name(const fs::path& weights) {
  return std::find(std::begin(kWeights), std::end(kWeights), weights.filename()) != std::end(kWeights);
}

/// The only .safetensors file of a folder, whatever its name. Nothing if there is none.
std::optional<fs::path> only_weights_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  check<ConfigError>(names.size() < 2, "weights", "{}: has {} files of weights and no {}; give one of {}",
                     folder.string(), names.size(), kWeights[0], joined(names));
  return names.empty() ? std::nullopt : std::optional(folder / names.front());
}

/// Reads the configuration files beside the weights. Returns nothing if there are none.
std::optional<HubConfig> config_beside(const fs::path& weights) {
  const fs::path folder = weights.parent_path();
  const auto parse = [&](const char* name, auto function) {
    return function(read_file(folder / name, kMostJson), (folder / name).string());
  };
  if (fs::exists(folder / kOpenClipConfig) && weights.filename() == kWeights[2])
    return parse(kOpenClipConfig, parse_open_clip_config);
  if (!fs::exists(folder / kConfig)) return std::nullopt;
  HubConfig config = parse(kConfig, parse_config);
  if (fs::exists(folder / kPreprocessor))
    config.preprocessing = parse_preprocessor(read_file(folder / kPreprocessor, kMostJson),
                                              (folder / kPreprocessor).string(), *config.layout);
  return config;
}

nn::Unwritten merged(nn::Unwritten preferred, const nn::Unwritten& otherwise) {
  const auto fill = [](auto& field, const auto& other) {
    if (!field) field = other;
  };
  fill(preferred.num_heads, otherwise.num_heads);
  fill(preferred.text_num_heads, otherwise.text_num_heads);
  fill(preferred.ln_eps, otherwise.ln_eps);
  fill(preferred.gelu, otherwise.gelu);
  fill(preferred.pos_interp, otherwise.pos_interp);
  return preferred;
}

/// Takes the architecture from the configuration if it has one, else infers it from the weights.
std::shared_ptr<const Architecture> find_architecture(const PublishedModel& model,
                                                      const std::optional<HubConfig>& config,
                                                      const nn::Unwritten& unwritten) {
  const std::string source = model.source.string();
  if (!config || !config->architecture)
    return model_family(model.layout->family).from_weights(model.weights, *model.layout, source, unwritten);
  const ModelFamily& family = config->architecture->family();
  check<IoError>(family.family == model.layout->family, "load",
                 "{}: the configuration beside it is of the family {}, the weights are of the family {}", source,
                 family.name, model_family(model.layout->family).name);
  return config->architecture->completed(model.weights, *model.layout, source, unwritten);
}

/// Notes F16 weights beside others: they are written as F32 again. A model in F16 alone is written as it was.
void set_floats(PublishedModel& model, const safetensors::Reader& file, const std::vector<std::string>& taken) {
  const auto halves = std::count_if(taken.begin(), taken.end(), [&](auto& name) { return file.dtype(name) == "F16"; });
  if (halves == int64_t(taken.size()) && halves > 0)
    model.floats = safetensors::Floats::f16;
  else if (halves > 0)
    model.notes.push_back(std::to_string(halves) +
                          " of its weights are F16 and become F32: the same numbers in twice "
                          "the bytes");
}

/// OpenAI's and open_clip's weights have the same names but different activations. Without a configuration the
/// activation is a guess, and a note says so.
void note_activation(PublishedModel& model, const nn::Unwritten& unwritten) {
  if (!model.architecture->text() || unwritten.gelu) return;
  const bool quick = model.architecture->vision().gelu == ag::Gelu::quick;
  model.notes.push_back("the file does not say its activation: taken as " +
                        std::string(quick ? "QuickGELU, OpenAI's" : "GELU, open_clip's") + "; the layout " +
                        (quick ? "open_clip is for GELU" : "openai_clip is for QuickGELU"));
}

}  // namespace

std::optional<fs::path> published_weights(const fs::path& path) {
  check<ConfigError>(fs::exists(path), "weights", "{}: no such file or folder", path.string());
  const std::string name = path.filename().string();
  if (!fs::is_directory(path)) {
    if (is_foreign(path)) refuse_foreign(path);
    if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return path;
    return std::nullopt;
  }
  for (const char* file : kWeights)
    if (fs::exists(path / file)) return path / file;
  if (fs::exists(path / "checkpoints")) return std::nullopt;  // the folder of a training run
  if (auto file = only_weights_in(path)) return file;
  for (const auto& entry : fs::directory_iterator(path))
    if (is_foreign(entry.path())) refuse_foreign(entry.path());
  check<ConfigError>(!fs::exists(path / kConfig), "weights", "{}: has a config.json, but no model.safetensors",
                     path.string());
  return std::nullopt;
}

PublishedModel read_published_model(const fs::path& path, const PublishedOptions& options) {
  const auto weights = published_weights(path);
  check<ConfigError>(weights.has_value(), "weights",
                     "{}: neither safetensors, nor a folder with config.json and model.safetensors", path.string());
  PublishedModel model;
  model.source = *weights;
  std::optional<HubConfig> config;
  if (fs::is_directory(path) || has_usual_name(model.source)) config = config_beside(model.source);
  const safetensors::Reader file(model.source);
  model.layout = options.layout ? options.layout
                 : config       ? config->layout
                                : &nn::recognise(file.names(), model.source.string());
  nn::Converted converted = read_in_layout(file, *model.layout, {.network = options.network, .training_head = false});
  model.weights = std::move(converted.weights);
  model.notes = std::move(converted.notes);
  set_floats(model, file, converted.taken);
  nn::Unwritten unwritten = options.unwritten;
  if (config) unwritten = merged(unwritten, config->unwritten);
  if (config && config->architecture) unwritten = merged(unwritten, config->architecture->unwritten());
  unwritten = merged(unwritten, unwritten_in(file.metadata(), model.source.string()));
  model.architecture = find_architecture(model, config, unwritten);
  if (!config) note_activation(model, unwritten);

  const bool said = config && config->preprocessing;
  model.preprocessing =
      said ? *config->preprocessing : published_preprocessing(*model.layout, model.architecture->vision().img_size);
  if (!said)
    model.notes.push_back("nothing says how images are prepared; as is usual for " + std::string(model.layout->title) +
                          ": " + model.preprocessing.text());
  if (config) model.classes = config->classes;
  if (int64_t(model.classes.size()) != model.architecture->num_classes()) model.classes.clear();
  const fs::path folder = model.source.parent_path();
  if (model.architecture->text() && fs::exists(folder / "merges.txt"))
    model.vocabulary = [folder] { return data::Vocabulary::read(folder); };
  return model;
}

}  // namespace vitrail::recipes
