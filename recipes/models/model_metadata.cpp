#include "vitrail/recipes/models/model_metadata.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace vitrail::recipes {
namespace {

constexpr const char *kHeads = "vitrail.num_heads", *kTextHeads = "vitrail.text_num_heads", *kEps = "vitrail.ln_eps",
                     *kGelu = "vitrail.gelu", *kClasses = "vitrail.classes";

constexpr std::pair<std::string_view, ag::Gelu> kGelus[] = {
    {"erf", ag::Gelu::erf}, {"tanh", ag::Gelu::tanh}, {"quick", ag::Gelu::quick}};

std::string_view name_of(ag::Gelu gelu) {
  return std::find_if(std::begin(kGelus), std::end(kGelus), [&](auto& g) { return g.second == gelu; })->first;
}

template <class T>
std::optional<T> number_in(const safetensors::Metadata& metadata, const char* key, T most, const std::string& source) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  T value{};
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check<IoError>(error == std::errc() && end == text.data() + text.size() && value > 0 && value <= most, "load",
                 "{}: its metadata has '{}' {}; it must be a number above 0, at most {}", source, key, text, most);
  return value;
}

}  // namespace

safetensors::Metadata to_metadata(const nn::Unwritten& unwritten, const std::vector<std::string>& classes) {
  safetensors::Metadata metadata = {{"format", "pt"}};
  if (unwritten.num_heads) metadata[kHeads] = std::to_string(*unwritten.num_heads);
  if (unwritten.text_num_heads) metadata[kTextHeads] = std::to_string(*unwritten.text_num_heads);
  if (unwritten.ln_eps) metadata[kEps] = fmt::format("{}", *unwritten.ln_eps);
  if (unwritten.gelu) metadata[kGelu] = std::string(name_of(*unwritten.gelu));
  if (!classes.empty()) metadata[kClasses] = Json(classes).text();
  return metadata;
}

std::vector<std::string> classes_in(const safetensors::Metadata& metadata, const std::string& source) {
  const auto found = metadata.find(kClasses);
  if (found == metadata.end()) return {};
  std::vector<std::string> names;
  try {
    for (const Json& name : Json::parse(found->second).as_array()) names.push_back(name.as_string());
  } catch (const IoError&) {
    fail<IoError>("load", "{}: its metadata has '{}' {}; it must be a list of names", source, kClasses,
                  Json(found->second).excerpt());
  }
  return names;
}

nn::Unwritten unwritten_in(const safetensors::Metadata& metadata, const std::string& source) {
  constexpr int64_t kMostHeadsSaved = 1 << 14;
  nn::Unwritten unwritten;
  unwritten.num_heads = number_in<int64_t>(metadata, kHeads, kMostHeadsSaved, source);
  unwritten.text_num_heads = number_in<int64_t>(metadata, kTextHeads, kMostHeadsSaved, source);
  unwritten.ln_eps = number_in<double>(metadata, kEps, 1, source);
  if (const auto found = metadata.find(kGelu); found != metadata.end()) {
    const auto* const gelu =
        std::find_if(std::begin(kGelus), std::end(kGelus), [&](auto& g) { return g.first == found->second; });
    check<IoError>(gelu != std::end(kGelus), "load", "{}: its metadata has '{}' {}; known are erf, tanh and quick",
                   source, kGelu, found->second);
    unwritten.gelu = gelu->second;
  }
  return unwritten;
}

}  // namespace vitrail::recipes
