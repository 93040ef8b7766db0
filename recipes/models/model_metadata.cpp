#include "vitrail/recipes/models/model_metadata.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/text.h"
#include "vitrail/recipes/build/build_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace vitrail::recipes {
namespace {

constexpr const char *kHeads = "vitrail.num_heads", *kTextHeads = "vitrail.text_num_heads", *kEpsKey = "vitrail.ln_eps",
                     *kTextEps = "vitrail.text_ln_eps", *kGelu = "vitrail.gelu", *kTextGelu = "vitrail.text_gelu",
                     *kPool = "vitrail.pool", *kNormAfterPool = "vitrail.norm_after_pool", *kCausal = "vitrail.causal",
                     *kTextPool = "vitrail.text_pool", *kPositions = "vitrail.pos_interp",
                     *kClassesKey = "vitrail.classes";

constexpr Named<ag::Gelu> kGeluNames[] = {{"erf", ag::Gelu::erf}, {"tanh", ag::Gelu::tanh}, {"quick", ag::Gelu::quick}};
constexpr Named<nn::Pool> kPoolNames[] = {
    {"token", nn::Pool::token}, {"avg", nn::Pool::avg}, {"token_and_avg", nn::Pool::token_and_avg}};
constexpr Named<nn::TextPool> kTextPools[] = {
    {"argmax", nn::TextPool::argmax}, {"first", nn::TextPool::first}, {"last", nn::TextPool::last}};
constexpr Named<bool> kFlags[] = {{"false", false}, {"true", true}};

template <class E, size_t N>
void write_name(safetensors::Metadata& metadata, const char* key, const std::optional<E>& value,
                const Named<E> (&table)[N]) {
  for (const Named<E>& known : table)
    if (value == known.value) metadata[key] = std::string(known.name);
}

template <class E, size_t N>
std::optional<E> name_in(const safetensors::Metadata& metadata, const char* key, const Named<E> (&table)[N],
                         const std::string& source) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  for (const Named<E>& known : table)
    if (known.name == found->second) return known.value;
  fail<IoError>("load", "{}: its metadata has '{}' {}; known are {}", source, key, found->second,
                joined(table, [](const Named<E>& known) { return known.name; }));
}

std::optional<ag::PosInterp> positions_in(const safetensors::Metadata& metadata, const std::string& source) {
  const auto found = metadata.find(kPositions);
  if (found == metadata.end()) return std::nullopt;
  const auto rules = position_rules();
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](auto& r) { return r.name == found->second; });
  check<IoError>(rule != rules.end(), "load", "{}: its metadata has '{}' {}; known are {}", source, kPositions,
                 found->second, joined(rules, [](auto& r) { return std::string(r.name); }));
  return rule->value;
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
  if (unwritten.ln_eps) metadata[kEpsKey] = fmt::format("{}", *unwritten.ln_eps);
  if (unwritten.text_ln_eps) metadata[kTextEps] = fmt::format("{}", *unwritten.text_ln_eps);
  write_name(metadata, kGelu, unwritten.gelu, kGeluNames);
  write_name(metadata, kTextGelu, unwritten.text_gelu, kGeluNames);
  write_name(metadata, kPool, unwritten.pool, kPoolNames);
  write_name(metadata, kNormAfterPool, unwritten.norm_after_pool, kFlags);
  write_name(metadata, kCausal, unwritten.causal, kFlags);
  write_name(metadata, kTextPool, unwritten.text_pool, kTextPools);
  if (unwritten.pos_interp) metadata[kPositions] = std::string(name_of(*unwritten.pos_interp));
  if (!classes.empty()) metadata[kClassesKey] = Json(classes).text();
  return metadata;
}

std::vector<std::string> classes_in(const safetensors::Metadata& metadata, const std::string& source) {
  const auto found = metadata.find(kClassesKey);
  if (found == metadata.end()) return {};
  std::vector<std::string> names;
  try {
    const Json list = Json::parse(found->second);
    for (const Json& name : list.as_array()) names.push_back(name.as_string());
  } catch (const IoError&) {
    fail<IoError>("load", "{}: its metadata has '{}' {}; it must be a list of names", source, kClassesKey,
                  Json(found->second).excerpt());
  }
  return names;
}

nn::Unwritten unwritten_in(const safetensors::Metadata& metadata, const std::string& source) {
  constexpr int64_t kMostHeadsSaved = 1 << 14;
  nn::Unwritten unwritten;
  unwritten.num_heads = number_in<int64_t>(metadata, kHeads, kMostHeadsSaved, source);
  unwritten.text_num_heads = number_in<int64_t>(metadata, kTextHeads, kMostHeadsSaved, source);
  unwritten.ln_eps = number_in<double>(metadata, kEpsKey, 1, source);
  unwritten.text_ln_eps = number_in<double>(metadata, kTextEps, 1, source);
  unwritten.gelu = name_in(metadata, kGelu, kGeluNames, source);
  unwritten.text_gelu = name_in(metadata, kTextGelu, kGeluNames, source);
  unwritten.pool = name_in(metadata, kPool, kPoolNames, source);
  unwritten.norm_after_pool = name_in(metadata, kNormAfterPool, kFlags, source);
  unwritten.causal = name_in(metadata, kCausal, kFlags, source);
  unwritten.text_pool = name_in(metadata, kTextPool, kTextPools, source);
  unwritten.pos_interp = positions_in(metadata, source);
  return unwritten;
}

}  // namespace vitrail::recipes
