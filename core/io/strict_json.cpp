#include "vitrail/core/io/strict_json.h"

#include <set>
#include <vector>

namespace vitrail {

using nlohmann::json;

json parse_strict_json(std::string_view text, int deepest,
                       const std::function<void(JsonFault fault, const std::string& what)>& broken) {
  std::vector<std::set<std::string>> seen;  // the names of each open object
  const auto inspect = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > deepest) broken(JsonFault::too_deep, "is nested too deeply");
    if (event == json::parse_event_t::object_start) seen.emplace_back();
    if (event == json::parse_event_t::object_end) seen.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!seen.back().insert(name).second) broken(JsonFault::repeated_name, "\"" + name + "\" comes twice");
    }
    return true;
  };
  try {
    return json::parse(text, inspect);
  } catch (const json::exception& e) {
    broken(JsonFault::syntax, e.what());
  }
  return {};
}

}  // namespace vitrail
