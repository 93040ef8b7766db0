// The JSON files that describe published models: config.json of Hugging Face and of timm, open_clip_config.json.
#pragma once

#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

class Architecture;

/// The content of such a file. Hugging Face's has the whole architecture and the layout of the weights. timm's and
/// open_clip's leave out what the shapes of the weights show.
struct HubConfig {
  const nn::Layout* layout = nullptr;
  std::shared_ptr<const Architecture> architecture = {};  // null: it follows from the weights
  nn::Unwritten unwritten = {};
  std::optional<Preprocessing> preprocessing = {};
  std::vector<std::string> classes = {};  // names of the outputs; empty: unknown
};

/// Parses a config.json. name: the file, for messages. A key that is missing from a file of Hugging Face has the
/// default of the library transformers. Throws IoError naming the key for a value that has another type or is out of
/// range (a width above 16384, more than 256 blocks, ...), for an unknown kind of model, and for options that we do not
/// have.
HubConfig parse_config(std::string_view json, const std::string& name);

}  // namespace vitrail::recipes
