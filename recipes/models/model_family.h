// The families of published models: ViT and its relatives, CLIP. Adding one is a file that derives Architecture, and a
// line in model_family.cpp.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/models/hub_config.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail::recipes {

struct ModelFamily;
struct OpenModel;
struct PublishedModel;
class JsonObject;

/// The sizes and options from which a published network is built. It has no weights.
class Architecture {
 public:
  virtual ~Architecture() = default;

  /// The family whose files it reads and writes.
  virtual const ModelFamily& family() const = 0;
  /// The image network, or the image tower.
  virtual const nn::VitConfig& vision() const = 0;
  /// The text tower; null if there is none.
  virtual const nn::TextConfig* text() const { return nullptr; }
  /// Outputs of the classifier; 0 if there is none.
  virtual int64_t num_classes() const = 0;
  /// "ViT: 12 blocks of width 768, 12 heads, images of 224, patches of 16"
  virtual std::string describe() const = 0;

  /// This architecture, read from a file, completed by facts that only the weights show.
  /// Throws IoError naming the first size in which the two differ; source stands for the file of the weights.
  virtual std::shared_ptr<const Architecture> completed(const TensorMap& weights, const nn::Layout& layout,
                                                        const std::string& source,
                                                        const nn::Unwritten& unwritten) const = 0;

  /// Builds the network, shares the weights with it, and gives its capabilities to opened.
  /// Throws IoError listing the weights that do not fit, under their names in the file.
  virtual void open(const PublishedModel& model, OpenModel& opened) const = 0;
  /// The image network with random weights.
  std::unique_ptr<nn::Backbone> untrained(uint64_t seed) const;

  /// The layout whose names are ours.
  virtual const nn::Layout& own_layout() const = 0;
  /// The layout of Hugging Face that fits.
  virtual const nn::Layout& hugging_face_layout() const = 0;
  /// The files that belong beside the weights in a folder of that layout: names and contents.
  /// Throws ConfigError naming the option that models of the layout do not have.
  virtual std::vector<std::pair<std::string, std::string>> files(const PublishedModel& model,
                                                                 const nn::Layout& layout) const = 0;

  /// The facts that no weight shows.
  nn::Unwritten unwritten() const;
};

/// A "model_type" in a config.json of Hugging Face.
struct HubModelType {
  std::string_view model_type;
  HubConfig (*parse)(const JsonObject& config);
};

struct ModelFamily {
  nn::Family family;      // of its layouts
  std::string_view name;  // "ViT"
  std::span<const HubModelType> model_types;
  /// The architecture of weights under our names. Throws IoError as nn::vit_config.
  std::shared_ptr<const Architecture> (*from_weights)(const TensorMap& weights, const nn::Layout& layout,
                                                      const std::string& source, const nn::Unwritten& unwritten);
};

/// All families, and the one of a kind.
std::span<const ModelFamily> model_families();
const ModelFamily& model_family(nn::Family family);

}  // namespace vitrail::recipes
