#include "vitrail/recipes/models/published_model.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/safetensors.h"
#include "vitrail/recipes/models/clip_json.h"
#include "vitrail/recipes/models/hub_config.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/model_metadata.h"

#include <fmt/format.h>

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

/// Reads the configuration files beside the weights. Returns nothing if there are none.
std::optional<HubConfig> config_beside(const fs::path& weights) {
  const fs::path folder = weights.parent_path();
  if (std::find(std::begin(kWeights), std::end(kWeights), weights.filename()) == std::end(kWeights))
    return std::nullopt;
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

/// OpenAI's and open_clip's weights have the same names but different activations. Without a configuration the
/// activation is a guess, and a note says so.
void note_activation(PublishedModel& model, const nn::Unwritten& unwritten) {
  if (!model.architecture->text() || unwritten.gelu) return;
  const bool quick = model.architecture->vision().gelu == ag::Gelu::quick;
  model.notes.push_back("the file does not say its activation: taken as " +
                        std::string(quick ? "QuickGELU, OpenAI's" : "GELU, open_clip's") + "; the layout " +
                        (quick ? "open_clip is for GELU" : "openai_clip is for QuickGELU"));
}

/// Names that are not one for each output are of no use, and a note says so.
void check_class_names(PublishedModel& model) {
  const auto names = int64_t(model.classes.size()), outputs = model.architecture->num_classes();
  if (names == outputs) return;
  if (names > 0 && outputs > 0)
    model.notes.push_back(
        fmt::format("there are {} names of classes for {} outputs: they are not used", names, outputs));
  model.classes.clear();
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
  for (const auto& entry : fs::directory_iterator(path))
    if (is_foreign(entry.path())) refuse_foreign(entry.path());
  check<ConfigError>(!fs::exists(path / kConfig), "weights", "{}: has a config.json, but no model.safetensors",
                     path.string());
  return std::nullopt;
}

std::vector<std::string> published_classes(const fs::path& weights) {
  try {
    const std::optional<HubConfig> config = config_beside(weights);
    if (config && !config->classes.empty()) return config->classes;
  } catch (const Error&) {  // of a model that is not ours: its weights may still serve
  }
  return classes_in(safetensors::Reader(weights).metadata(), weights.string());
}

PublishedModel read_published_model(const fs::path& path, const PublishedOptions& options) {
  const auto weights = published_weights(path);
  check<ConfigError>(weights.has_value(), "weights",
                     "{}: neither safetensors, nor a folder with config.json and model.safetensors", path.string());
  PublishedModel model;
  model.source = *weights;
  const std::optional<HubConfig> config = config_beside(model.source);
  const safetensors::Reader file(model.source);
  model.layout = options.layout ? options.layout
                 : config       ? config->layout
                                : &nn::recognise(file.names(), model.source.string());
  nn::Converted converted = nn::from_layout(*model.layout, file.read_all());
  model.weights = std::move(converted.weights);
  model.notes = std::move(converted.notes);
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
  if (model.classes.empty()) model.classes = classes_in(file.metadata(), model.source.string());
  check_class_names(model);
  const fs::path folder = model.source.parent_path();
  if (model.architecture->text() && fs::exists(folder / "merges.txt"))
    model.vocabulary = [folder] { return data::Vocabulary::read(folder); };
  return model;
}

}  // namespace vitrail::recipes
