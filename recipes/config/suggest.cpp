#include "vitrail/recipes/config/suggest.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace vitrail::recipes {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();
constexpr size_t kLongestName = 64;  // a longer one is no typo

/// Damerau-Levenshtein distance in which no letter is edited twice.
int distance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = int(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = int(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return result;
}

std::vector<std::string> words(std::string_view name) {
  std::vector<std::string> result(1);
  for (const char c : name) {
    if (c == '_' || c == '-')
      result.emplace_back();
    else
      result.back() += c;
  }
  std::erase(result, "");
  return result;
}

std::string initials(const std::vector<std::string>& list) {
  std::string result;
  for (const std::string& word : list) result += word[0];
  return result;
}

/// 0 for the same name, up to 2 for a typo, 2 to 3 for other words for the same thing.
double cost(const std::string& name, const std::string& candidate) {
  const int typo = distance(name, candidate);
  if (typo <= (std::min(name.size(), candidate.size()) <= 3 ? 1 : 2)) return typo;
  const auto a = words(name), b = words(candidate);
  if ((a.size() > 1 && initials(a) == candidate) || (b.size() > 1 && initials(b) == name)) return 2;
  const auto shared = std::count_if(a.begin(), a.end(), [&](const std::string& word) {
    return word.size() > 2 && std::find(b.begin(), b.end(), word) != b.end();
  });
  const double share = double(shared) / double(std::max({a.size(), b.size(), size_t{1}}));
  return share >= 0.3 ? 3 - share : kFar;
}

std::pair<std::string_view, std::string_view> split(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return {{}, name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.size() > kLongestName) return {};
  const auto [section, leaf] = split(name);
  const std::string* best = nullptr;
  double least = kFar;
  for (const std::string& candidate : candidates) {
    const auto [its_section, its_leaf] = split(candidate);
    const double total = cost(lower(leaf), lower(its_leaf)) + std::min(1.5, double(distance(section, its_section)));
    if (total < least) {
      least = total;
      best = &candidate;
    }
  }
  return best ? *best : std::string();
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string near = nearest(name, candidates);
  return near.empty() ? near : "; did you mean '" + near + "'?";
}

}  // namespace vitrail::recipes
