#include "vitrail/recipes/models/hub_config.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/config/foreign_keys.h"
#include "vitrail/recipes/models/model_family.h"
#include "vitrail/recipes/models/timm_json.h"

#include <utility>

namespace vitrail::recipes {
namespace {

HubConfig parse_by_type(const JsonObject& c) {
  if (!c.has("model_type") && is_timm_config(c)) return parse_timm_config(c);
  const std::string type = c.text("model_type");
  std::string known;
  for (const ModelFamily& family : model_families())
    for (const HubModelType& entry : family.model_types) {
      if (entry.model_type == type) return entry.parse(c);
      known += (known.empty() ? "" : ", ") + std::string(entry.model_type);
    }
  fail<IoError>("json", "{}: 'model_type' is \"{}\"; known are {}; to go by the weights alone: --accept-key model_type",
                c.file(), type, known);
}

}  // namespace

HubConfig parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& accepted) {
  const JsonObject c = JsonObject::parse(text, name, accepted);
  HubConfig config;
  if (c.use_of("model_type") != JsonObject::Use::accepted) {
    config = parse_by_type(c);
    expect_all_read(c);
  }
  for (std::string& note : c.notes()) config.notes.push_back(std::move(note));
  return config;
}

}  // namespace vitrail::recipes
