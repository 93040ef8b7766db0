#include "vitrail/data/sources/unread_files.h"

#include "vitrail/core/error.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/image/webp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

namespace vitrail::data {
namespace {

template <size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_leftover(std::string_view name) {
  constexpr std::array<std::string_view, 9> kLeftovers{"__macosx",   "thumbs.db",    "desktop.ini",
                                                       "@eadir",     "$recycle.bin", "system volume information",
                                                       "lost+found", "__pycache__",  "icon\r"};
  return name.starts_with('.') || is_one_of(lower(name), kLeftovers);
}

bool is_text_kind(std::string_view ending) {
  constexpr std::array<std::string_view, 13> kTexts{".txt", ".json", ".jsonl", ".cls", ".xml",  ".csv",    ".tsv",
                                                    ".md",  ".yaml", ".yml",   ".log", ".html", ".caption"};
  return is_one_of(ending, kTexts);
}

/// All together, with or without files of text.
Unread sum_of(const UnreadFiles& unread, bool with_texts) {
  Unread sum;
  for (const auto& [folder, one] : unread) {
    sum.links += one.links;
    for (const auto& [ending, count] : one.endings)
      if (with_texts || !is_text_kind(ending)) sum.endings[ending] += count;
  }
  return sum;
}

/// "12 files are of kinds that are not read (.heic)", "3 files are of kinds that are not read (.gif 1, .heic 2)".
std::string kinds_text(const Unread& unread) {
  std::vector<std::string> kinds;
  for (const auto& [ending, count] : unread.endings)
    kinds.push_back((ending.empty() ? "without ending" : ending) +
                    (unread.endings.size() > 1 ? " " + std::to_string(count) : std::string()));
  const int64_t files = unread.files();
  return fmt::format("{} ({})",
                     files == 1 ? "1 file is of a kind that is not read"
                                : fmt::format("{} files are of kinds that are not read", files),
                     fmt::join(kinds, ", "));
}

std::string links_text(const Unread& unread) {
  return unread.links == 1 ? "1 symbolic link was not followed"
                           : fmt::format("{} symbolic links were not followed", unread.links);
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

bool is_image_name(std::string_view name) {
  constexpr std::array<std::string_view, 6> kImages{".jpg", ".jpeg", ".png", ".bmp", ".jpe", ".jfif"};
  const std::string ending = ending_of(name);
  return is_one_of(ending, kImages) || (ending == ".webp" && reads_webp());
}

bool is_passed_over(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (is_leftover(path.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

std::string_view first_folder(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string ending_of(std::string_view name) {
  const std::string_view file = file_name(name);
  const size_t dot = file.rfind('.');
  return dot == std::string_view::npos ? std::string() : lower(file.substr(dot));
}

int64_t Unread::files() const {
  return std::accumulate(endings.begin(), endings.end(), int64_t{0},
                         [](int64_t sum, const auto& item) { return sum + item.second; });
}

void count_unread(UnreadFiles& unread, std::string_view path) {
  if (path != "classes.txt") ++unread[std::string(first_folder(path))].endings[ending_of(path)];
}

std::vector<std::string> unread_notes(const UnreadFiles& unread, const std::string& source) {
  const Unread all = sum_of(unread, /*with_texts=*/false);
  std::vector<std::string> notes;
  if (!all.endings.empty()) notes.push_back(source + ": " + kinds_text(all) + "; " + image_kinds("and") + " are read");
  if (all.links > 0) notes.push_back(fmt::format("{}: {}; {}", source, links_text(all), kFollowLinks));
  return notes;
}

std::string as_ending(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += "; " + note;
  return text;
}

void check_no_class_vanishes(const UnreadFiles& unread, const std::vector<std::string_view>& paths,
                             const SourceOptions& options, const std::string& source) {
  const auto is_flat = [](std::string_view path) { return first_folder(path).empty(); };
  if (!options.labelled || std::any_of(paths.begin(), paths.end(), is_flat)) return;
  std::set<std::string_view> with_images;
  for (const std::string_view path : paths) with_images.insert(first_folder(path));
  const auto& known = options.classes;
  std::vector<std::string> lost;
  int64_t files = 0;
  for (const auto& [folder, one] : unread) {
    const bool is_class = known.empty() || std::find(known.begin(), known.end(), folder) != known.end();
    if (folder.empty() || !is_class || with_images.contains(folder)) continue;
    lost.push_back("'" + folder + "'");
    files += one.files() + one.links;
  }
  if (lost.empty()) return;
  const Unread all = sum_of(unread, /*with_texts=*/true);
  const std::string kinds = all.endings.empty() ? "" : kinds_text(all);
  fail<DataError>("dataset", "{}: {}{}{}, all {} images of {} {} among them; {}", source, kinds,
                  all.links > 0 && !kinds.empty() ? " and " : "", all.links > 0 ? links_text(all) : "", files,
                  lost.size() == 1 ? "class" : "classes", fmt::join(lost, ", "),
                  all.links > 0 ? kFollowLinks
                                : "convert them to JPEG or PNG, or, if a folder is no class, move it away or list the "
                                  "classes in classes.txt");
}

}  // namespace vitrail::data
