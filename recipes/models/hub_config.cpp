#include "vitrail/recipes/models/hub_config.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/models/hub_json.h"
#include "vitrail/recipes/models/model_family.h"

#include <cmath>

namespace vitrail::recipes {
namespace {

/// The section "pretrained_cfg" of timm's config.json.
Preprocessing parse_timm_preprocessing(const JsonObject& c) {
  Preprocessing p;
  int64_t side = 224;
  const Json* const size = c.find("input_size");
  if (size && size->is_array() && size->as_array().size() == 3 && size->as_array()[2].is_integer()) {
    side = size->as_array()[2].as_int64();
    check<IoError>(side >= 1 && side <= kMostSide, "json", "{}: '{}' is {}", c.file(), c.path("input_size"),
                   size->excerpt());
  }
  p.crop = side;
  p.size = int64_t(std::floor(double(side) / c.number("crop_pct", 0.1, 1, 0.875)));
  p.filter = data::parse_filter(c.text("interpolation", "bicubic"));
  p.mean = c.triple("mean", -256, p.mean);
  p.std = c.triple("std", 0, p.std);
  return p;
}

HubConfig parse_timm(const JsonObject& c) {
  HubConfig config{.layout = &nn::layout_named("timm")};
  const JsonObject pretrained = c.object("pretrained_cfg");
  config.preprocessing = parse_timm_preprocessing(pretrained);
  const Json* const labels = pretrained.find("label_names");
  if (labels && labels->is_array() && int64_t(labels->as_array().size()) <= kMostClasses)
    for (const Json& label : labels->as_array())
      if (label.is_string()) config.classes.push_back(label.as_string());
  return config;
}

}  // namespace

HubConfig parse_config(std::string_view text, const std::string& name) {
  const JsonObject c = JsonObject::parse(text, name);
  if (!c.has("model_type") && c.has("pretrained_cfg")) return parse_timm(c);
  const std::string type = c.text("model_type");
  std::string known;
  for (const ModelFamily& family : model_families())
    for (const HubModelType& entry : family.model_types) {
      if (entry.model_type == type) return entry.parse(c);
      known += (known.empty() ? "" : ", ") + std::string(entry.model_type);
    }
  fail<IoError>("json", "{}: 'model_type' is \"{}\"; known are {}", name, type, known);
}

}  // namespace vitrail::recipes
