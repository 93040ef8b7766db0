// The JSON files that describe published models: config.json of Hugging Face and of timm, open_clip_config.json.
#pragma once

#include "vitrail/nn/weights/architecture.h"
#include "vitrail/recipes/build/preprocessing.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::recipes {

class Architecture;

/// A setting that such a file states and that the weights show too, as a number; a flag is 0 or 1.
struct Stated {
  std::string key;  // "model_args.depth"
  double value;
  double (*in_weights)(const Architecture& architecture);
  double tolerance = 0;
};
/// Of ratios of widths, which are rounded to whole widths.
inline constexpr double kRatioTolerance = 0.13;

/// An architecture of timm, known by its name.
struct NamedArchitecture {
  std::string name;
  int64_t width = 0, num_heads = 0;
};

/// The content of such a file. Hugging Face's has the whole architecture and the layout of the weights. timm's and
/// open_clip's leave out what the shapes of the weights show.
struct HubConfig {
  const nn::Layout* layout = nullptr;                     // null: the user goes by the weights alone
  std::shared_ptr<const Architecture> architecture = {};  // null: it follows from the weights
  nn::Unwritten unwritten = {};
  std::optional<Preprocessing> preprocessing = {};
  std::vector<std::string> classes = {};  // names of the outputs; empty: unknown
  std::vector<Stated> stated = {};        // to be compared with the weights
  std::optional<NamedArchitecture> named = {};
  std::string no_texts = {};            // why texts cannot be read; empty: they can
  std::vector<std::string> notes = {};  // what was passed over
};

/// Parses a config.json. name: the file, for messages. A key that is missing from a file of Hugging Face has the
/// default of the library transformers. accepted: keys to pass over, each alone ("dropout") or with its
/// path ("vision_config.dropout").
/// Throws IoError naming the key for a value that has another type or is out of range (a width above 16384, more than
/// 256 blocks, ...), for an unknown kind of model, for options that we do not have, and for unknown keys.
HubConfig parse_config(std::string_view json, const std::string& name, const std::vector<std::string>& accepted = {});

}  // namespace vitrail::recipes
