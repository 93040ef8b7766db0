#include "vitrail/data/sources/source_parts.h"

#include "vitrail/core/error.h"
#include "vitrail/data/io/lines.h"
#include "vitrail/data/sources/unread_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

namespace vitrail::data {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view end) { return name.ends_with(end); });
}
bool is_hdf5_name(std::string_view name) { return ends_with_any(name, {".h5", ".hdf5"}); }
bool is_tar_name(std::string_view name) { return ends_with_any(name, {".tar", ".tar.gz", ".tgz"}); }

bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_capital(c) || (c >= 'a' && c <= 'z'); }

/// The part that a word in lower case stands for; "" if for none.
std::string_view part_of_word(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kWords = {{{"train", "train"},
                                                                                     {"training", "train"},
                                                                                     {"val", "val"},
                                                                                     {"valid", "val"},
                                                                                     {"validation", "val"},
                                                                                     {"dev", "val"},
                                                                                     {"test", "test"},
                                                                                     {"testing", "test"},
                                                                                     {"eval", "test"},
                                                                                     {"evaluation", "test"},
                                                                                     {"t10k", "test"}}};
  for (const std::string_view ending : {"set", "data", "images"})
    if (word.ends_with(ending)) word.remove_suffix(ending.size());
  for (const auto& [known, split] : kWords)
    if (word == known) return split;
  return {};
}

/// A word for a part in a name.
struct PartWord {
  std::string split;
  size_t begin = 0;
  std::string rest;  // the name without it, in lower case: "2017" of "Train2017"

  bool has_letters() const { return std::any_of(rest.begin(), rest.end(), is_letter); }
};

/// The first word for a part in the name. Words are runs of letters, which end before a capital that follows a small
/// letter; "t10k" is one too.
std::optional<PartWord> part_word(std::string_view name) {
  constexpr std::string_view kMnist = "t10k";
  const std::string small = lower(name);
  for (size_t begin = 0, end = 0; begin < name.size(); begin = end + (end == begin)) {
    end = begin;
    if (small.compare(begin, kMnist.size(), kMnist) == 0) end += kMnist.size();
    const auto goes_on = [&] {
      return is_letter(name[end]) && (!is_capital(name[end]) || end == begin || is_capital(name[end - 1]));
    };
    while (end < name.size() && goes_on()) ++end;
    const std::string_view split = part_of_word(std::string_view(small).substr(begin, end - begin));
    if (!split.empty()) return PartWord{std::string(split), begin, small.substr(0, begin) + small.substr(end)};
  }
  return std::nullopt;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.rfind(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// "digits8-train-images-idx3-ubyte.gz" in three: {"digits8", "train", the labels' file name}.
struct IdxName {
  std::string prefix, split, labels;
};

std::optional<IdxName> idx_images(const std::string& name) {
  const bool dash = name.find("images-idx3-ubyte") != std::string::npos;
  const bool dot = name.find("images.idx3-ubyte") != std::string::npos;
  if (!dash && !dot) return std::nullopt;
  std::string stem = name.substr(0, name.rfind("images"));  // "digits8-train-"
  std::string split;
  for (const std::string word : {"train", "test", "t10k", "val"}) {
    if (!stem.ends_with(word + "-")) continue;
    split = part_of_word(word);
    stem.resize(stem.size() - word.size() - 1);
    break;
  }
  if (stem.ends_with('-')) stem.pop_back();
  return IdxName{stem, split, replaced(replaced(name, "images", "labels"), "idx3", "idx1")};
}

/// A folder's entries by name, sorted by bytes, without those that is_passed_over names.
class Listing final {
 public:
  explicit Listing(const fs::path& folder) : folder_(folder) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (is_passed_over(name)) continue;
      std::error_code unknown;
      (it->is_directory(unknown) ? folders : files).push_back(name);
    }
    check<IoError>(!error, "dataset", "cannot list folder {}: {}", folder.string(), error.message());
    std::sort(files.begin(), files.end());
    std::sort(folders.begin(), folders.end());
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  bool has(const std::string& name) const { return std::binary_search(files.begin(), files.end(), name); }
  template <class Accepts>
  Names matching(Accepts&& accepts) const {
    Names out;
    std::copy_if(files.begin(), files.end(), std::back_inserter(out), accepts);
    return out;
  }

  Names files, folders;

 private:
  fs::path folder_;
};

using Parts = std::vector<SourcePart>;

Parts cifar_parts(const Listing& listing) {
  const Names train =
      listing.matching([](const std::string& n) { return n.starts_with("data_batch_") && n.ends_with(".bin"); });
  Parts parts;
  if (!train.empty()) {
    SourcePart& part = parts.emplace_back(SourcePart{"train", SourceKind::cifar10, {}});
    for (const std::string& name : train) part.paths.push_back(listing.path(name));
  }
  if (listing.has("test_batch.bin")) parts.push_back({"test", SourceKind::cifar10, {listing.path("test_batch.bin")}});
  if (!parts.empty()) return parts;
  for (const std::string split : {"train", "test"})
    if (listing.has(split + ".bin")) parts.push_back({split, SourceKind::cifar100, {listing.path(split + ".bin")}});
  return parts;
}

/// Files of one kind: a part for each split that `split` finds in the names, or one undivided part if it finds none.
Parts parts_by_name(const Listing& listing, const Names& names, SourceKind kind,
                    std::string (*split)(std::string_view)) {
  std::map<std::string, SourcePart> by_split;
  for (const std::string& name : names) by_split[split(name)].paths.push_back(listing.path(name));
  if (by_split.size() > 1) by_split.erase("");  // other files beside train and test
  Parts parts;
  for (auto& [name, part] : by_split) parts.push_back({name, kind, std::move(part.paths)});
  return parts;
}

std::string first_few(const Names& names) {
  constexpr size_t kShown = 6;
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) out += (i > 0 ? ", " : "") + names[i];
  return names.size() > kShown ? out + ", ..." : out;
}

Parts hdf5_parts(const Listing& listing, const std::string& path) {
  Parts parts = parts_by_name(listing, listing.matching(is_hdf5_name), SourceKind::hdf5, split_of);
  for (const SourcePart& part : parts)
    check<DataError>(part.paths.size() == 1, "dataset", "{} holds several HDF5 files, name one of them: {}", path,
                     first_few(part.paths));
  return parts;
}

/// Takes the files with this prefix. Without a prefix, all files must have the same one.
Parts idx_parts(const Listing& listing, const std::string& path, const std::optional<std::string>& prefix) {
  Parts parts;
  std::set<std::string> prefixes;
  for (const std::string& name : listing.files) {
    const std::optional<IdxName> idx = idx_images(name);
    if (!idx || (prefix && idx->prefix != *prefix)) continue;
    prefixes.insert(idx->prefix);
    parts.push_back({idx->split, SourceKind::idx, {listing.path(name)}});
    if (listing.has(idx->labels)) parts.back().paths.push_back(listing.path(idx->labels));
  }
  check<DataError>(prefixes.size() <= 1, "dataset", "{} holds several IDX datasets, name one as in {}/{}: {}", path,
                   path, prefixes.empty() ? std::string() : *prefixes.rbegin(),
                   first_few({prefixes.begin(), prefixes.end()}));
  return parts;
}

Parts tar_parts(const Listing& listing) {
  return parts_by_name(listing, listing.matching(is_tar_name), SourceKind::tar, split_within);
}

/// The part in the folder: its archives, or images.
SourcePart folder_part(const Listing& listing, const std::string& name, const std::string& split) {
  const Listing inside(listing.path(name));
  const Names archives = inside.matching(is_tar_name);
  if (archives.empty()) return {split, SourceKind::folder, {listing.path(name)}};
  SourcePart part{split, SourceKind::tar, {}};
  for (const std::string& archive : archives) part.paths.push_back(inside.path(archive));
  return part;
}

/// Folders whose names have a word for a part.
struct NamedFolder {
  std::string name;
  PartWord word;
};

size_t count_splits(const std::vector<NamedFolder>& folders) {
  std::set<std::string> splits;
  for (const NamedFolder& folder : folders) splits.insert(folder.word.split);
  return splits.size();
}

/// Those among folders that differ from another one in the word alone, as seg_train and seg_test do.
std::vector<NamedFolder> paired(const std::vector<NamedFolder>& folders) {
  std::vector<NamedFolder> out;
  std::copy_if(folders.begin(), folders.end(), std::back_inserter(out), [&](const NamedFolder& folder) {
    return std::any_of(folders.begin(), folders.end(), [&](const NamedFolder& other) {
      return other.word.rest == folder.word.rest && other.word.split != folder.word.split;
    });
  });
  return out;
}

std::string names_of(const std::vector<NamedFolder>& folders) {
  std::string out;
  for (const NamedFolder& folder : folders) out += (out.empty() ? "" : ", ") + folder.name;
  return out;
}

bool has_images(const Listing& listing) {
  return std::any_of(listing.files.begin(), listing.files.end(), is_image_name);
}

/// Refuses to guess whether "train" beside "bus" and "car", all full of images, is a part or a class.
void check_is_part(const Listing& listing, const std::string& name, const std::string& path) {
  const Listing inside(listing.path(name));
  if (!inside.folders.empty() || !has_images(inside)) return;
  const auto others = std::count_if(listing.folders.begin(), listing.folders.end(), [&](const std::string& other) {
    return other != name && has_images(Listing(listing.path(other)));
  });
  check<DataError>(others < 2, "dataset",
                   "{}: '{}' may be a part or a class: it holds images, as {} folders beside it do; if it is a class, "
                   "list the classes in classes.txt; if it is a part, data.root={}/{}",
                   path, name, others, path, name);
}

/// The folders that are parts; find_parts in the header has the rules.
std::vector<NamedFolder> part_folders(const Listing& listing, const std::string& path) {
  const Names classes = listing.has("classes.txt") ? read_lines(listing.path("classes.txt")) : Names();
  std::vector<NamedFolder> plain, unclear;
  for (const std::string& name : listing.folders) {
    const std::optional<PartWord> word = part_word(name);
    if (!word || std::find(classes.begin(), classes.end(), name) != classes.end()) continue;
    (word->has_letters() ? unclear : plain).push_back({name, *word});
  }
  std::vector<NamedFolder> parts = plain.empty() ? paired(unclear) : plain;
  if (!parts.empty()) {  // test_images/ beside train/
    for (const NamedFolder& folder : unclear) {
      const bool there = std::any_of(parts.begin(), parts.end(),
                                     [&](const NamedFolder& part) { return part.word.split == folder.word.split; });
      if (!there && folder.word.begin == 0) parts.push_back(folder);
    }
    if (parts.size() == 1) check_is_part(listing, parts[0].name, path);
    return parts;
  }
  if (unclear.size() == listing.folders.size()) return unclear;
  check<DataError>(count_splits(unclear) < 2, "dataset",
                   "{}: {} look like parts, but differ in more than the word for a part, and there are other folders; "
                   "name the parts train, val and test, or list the classes in classes.txt",
                   path, names_of(unclear));
  return {};  // bullet_train/ beside car/
}

Parts folder_parts(const Listing& listing, const std::string& path) {
  std::vector<NamedFolder> folders = part_folders(listing, path);
  Parts parts;
  for (const NamedFolder& folder : folders) parts.push_back(folder_part(listing, folder.name, folder.word.split));
  return parts;
}

constexpr std::string_view kAccepted =
    "accepted are class folders, images, train/ val/ test/ folders, .tar and .tar.gz archives, CIFAR .bin files, "
    "IDX files and .h5 files";

Parts parts_of_folder(const std::string& path) {
  const Listing listing{path};
  Parts parts = cifar_parts(listing);
  if (parts.empty()) parts = hdf5_parts(listing, path);
  if (parts.empty()) parts = tar_parts(listing);
  if (parts.empty()) parts = idx_parts(listing, path, std::nullopt);
  if (parts.empty()) parts = folder_parts(listing, path);
  if (!parts.empty()) return parts;
  check<DataError>(has_images(listing) || !listing.folders.empty(), "dataset",
                   "{} holds {} files and no dataset: {}; {}", path, listing.files.size(),
                   listing.files.empty() ? std::string("it is empty") : first_few(listing.files), kAccepted);
  return {{"", SourceKind::folder, {path}}};
}

Parts parts_of_file(const std::string& path) {
  const fs::path file(path);
  const std::string name = file.filename().string();
  if (is_hdf5_name(name)) return {{"", SourceKind::hdf5, {path}}};
  if (is_tar_name(name)) return {{"", SourceKind::tar, {path}}};
  if (const std::optional<IdxName> idx = idx_images(name)) {
    SourcePart part{"", SourceKind::idx, {path}};
    if (const fs::path labels = file.parent_path() / idx->labels; fs::exists(labels))
      part.paths.push_back(labels.string());
    return {part};
  }
  if (name.ends_with(".bin")) {
    constexpr uintmax_t kCifar10 = 3073, kCifar100 = 3074;
    const uintmax_t size = fs::file_size(file);
    if (size % kCifar10 == 0) return {{"", SourceKind::cifar10, {path}}};
    if (size % kCifar100 == 0) return {{"", SourceKind::cifar100, {path}}};
  }
  fail<DataError>("dataset", "{} is a file of an unknown format; {}", path, kAccepted);
}

// ---- images with captions -----------------------------------------------------------------------------------------

constexpr std::string_view kPairsAccepted =
    "images with captions are read from tables (captions.train.tsv, train.csv, captions.tsv, ...) with archives or "
    "images beside them, folders and .tar or .tar.gz archives with a .txt for each image, and .h5 files made by "
    "vitrail pack";

bool is_table_name(std::string_view name) { return ends_with_any(name, {".tsv", ".csv"}); }

std::string_view without_ending(std::string_view name) { return name.substr(0, name.rfind('.')); }

/// "train" of train.tsv, captions.train.tsv and mine.train.tsv.
std::string split_of_table(std::string_view name) {
  const std::string_view stem = without_ending(name);
  return split_of(stem.substr(stem.rfind('.') + 1));
}

/// Other tables may lie beside tables of captions, so the name must end after the split.
bool is_caption_table(const std::string& name) {
  if (name == "captions.txt") return true;
  std::string_view stem = without_ending(name);
  if (!is_table_name(name) || stem == "captions") return is_table_name(name);
  if (stem.starts_with("captions.")) stem.remove_prefix(std::string_view("captions.").size());
  return is_part_name(stem);
}

/// Adds the archives that may hold the images of the table.
void add_archives(SourcePart& table, const Listing& listing) {
  const Names names = listing.matching(is_tar_name);
  Names splits;
  splits.reserve(names.size());
  for (const std::string& name : names) splits.push_back(split_within(name));
  const std::optional<std::string> serving = serving_split(splits, table.split);
  for (size_t i = 0; i < names.size(); ++i)
    if (!serving || splits[i] == *serving) table.paths.push_back(listing.path(names[i]));
}

/// Tables with their archives; of captions, or of questions.
template <class Accepts>
Parts table_parts(const Listing& listing, const std::string& path, SourceKind kind, Accepts&& is_table,
                  std::string_view op) {
  Parts parts = parts_by_name(listing, listing.matching(is_table), kind, split_of_table);
  for (SourcePart& part : parts) {
    check<DataError>(part.paths.size() == 1, op, "{} holds several tables of one part, name one of them: {}", path,
                     first_few(part.paths));
    add_archives(part, listing);
  }
  return parts;
}

/// A table named by the user, with the archives beside it.
SourcePart table_part(const fs::path& file, SourceKind kind) {
  SourcePart part{split_of_table(file.filename().string()), kind, {file.string()}};
  add_archives(part, Listing(file.has_parent_path() ? file.parent_path() : fs::path(".")));
  return part;
}

Parts pair_parts_of_folder(const std::string& path) {
  const Listing listing{path};
  Parts parts = table_parts(listing, path, SourceKind::table, is_caption_table, "pairs");
  if (parts.empty()) parts = hdf5_parts(listing, path);
  if (parts.empty()) parts = tar_parts(listing);
  if (parts.empty()) {
    parts = folder_parts(listing, path);
    const auto holds_files = [](const SourcePart& part) { return part.kind != SourceKind::tar; };
    if (!std::all_of(parts.begin(), parts.end(), holds_files)) std::erase_if(parts, holds_files);
  }
  if (parts.empty() && (has_images(listing) || !listing.folders.empty()))
    parts.push_back({"", SourceKind::folder, {path}});
  check<DataError>(!parts.empty(), "pairs", "{} holds no captions in a known format: {}; {}", path,
                   listing.files.empty() ? std::string("no files") : first_few(listing.files), kPairsAccepted);
  return parts;
}

Parts pair_parts_of_file(const std::string& path) {
  const fs::path file(path);
  const std::string name = file.filename().string();
  if (is_hdf5_name(name)) return {{"", SourceKind::hdf5, {path}}};
  if (is_tar_name(name)) return {{"", SourceKind::tar, {path}}};
  check<DataError>(is_table_name(name) || name.ends_with(".txt"), "pairs", "{} is a file of an unknown format; {}",
                   path, kPairsAccepted);
  return {table_part(file, SourceKind::table)};
}

// ---- conversations ------------------------------------------------------------------------------------------------

constexpr std::string_view kConversationsAccepted =
    "conversations are read from tables of questions (questions.train.tsv, train.csv, ...) and from LLaVA's JSON "
    "(conversations.train.json, mine.json, .jsonl, ...) with archives or images beside them";

bool is_conversation_name(std::string_view name) { return ends_with_any(name, {".tsv", ".csv", ".json", ".jsonl"}); }

/// As is_caption_table.
bool is_conversation_table(const std::string& name) {
  if (!is_conversation_name(name)) return false;
  std::string_view stem = without_ending(name);
  for (const std::string_view word : {"questions", "conversations"}) {
    if (stem == word) return true;
    if (stem.starts_with(std::string(word) + ".")) stem.remove_prefix(word.size() + 1);
  }
  return is_part_name(stem);
}

}  // namespace

std::string to_string(SourceKind kind) {
  constexpr std::array<std::string_view, 8> kNames = {
      "CIFAR-10", "CIFAR-100", "HDF5", "tar archives", "IDX", "images", "table of captions", "conversations"};
  return std::string(kNames[size_t(kind)]);
}

std::string split_of(std::string_view name) {
  const std::optional<PartWord> word = part_word(name);
  return word && word->begin == 0 ? word->split : std::string();
}

std::string split_within(std::string_view name) {
  const std::optional<PartWord> word = part_word(name);
  return word ? word->split : std::string();
}

bool is_part_name(std::string_view name) { return !part_of_word(lower(name)).empty(); }

std::optional<std::string> serving_split(const std::vector<std::string>& there, std::string_view wanted) {
  const std::string_view stand_in = wanted == "val" ? "test" : wanted == "test" ? "val" : "";
  for (const std::string_view split : {wanted, stand_in})
    if (std::find(there.begin(), there.end(), split) != there.end()) return std::string(split);
  return std::nullopt;
}

std::string way_forward(const std::vector<std::string>& there, std::string_view split) {
  const auto has = [&](std::string_view name) { return std::find(there.begin(), there.end(), name) != there.end(); };
  if (split == "train" && !there.empty()) return "; data.train_split=" + there.front() + " trains on that";
  if ((split == "val" || split == "test") && (has("train") || has("")))
    return "; data.val_fraction=0.1 holds back a tenth of it to evaluate on, data.val_split=train evaluates on all of "
           "it";
  return {};
}

std::vector<SourcePart> find_parts(const std::string& path) {
  std::error_code missing;
  const fs::file_status status = fs::status(path, missing);
  if (fs::is_directory(status)) return parts_of_folder(path);
  if (fs::is_regular_file(status)) return parts_of_file(path);
  const fs::path prefix(path);
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  if (!fs::exists(status) && fs::is_directory(folder)) {
    Parts parts = idx_parts(Listing(folder), path, prefix.filename().string());
    if (!parts.empty()) return parts;
  }
  check<DataError>(fs::exists(status), "dataset", "{} does not exist", path);
  fail<DataError>("dataset", "{} is neither a file nor a folder; {}", path, kAccepted);
}

std::vector<SourcePart> find_pair_parts(const std::string& path) {
  std::error_code missing;
  const fs::file_status status = fs::status(path, missing);
  check<DataError>(fs::exists(status), "pairs", "{} does not exist", path);
  return fs::is_directory(status) ? pair_parts_of_folder(path) : pair_parts_of_file(path);
}

std::vector<SourcePart> find_conversation_parts(const std::string& path) {
  std::error_code missing;
  const fs::file_status status = fs::status(path, missing);
  check<DataError>(fs::exists(status), "conversations", "{} does not exist", path);
  if (!fs::is_directory(status)) {
    check<DataError>(is_conversation_name(path), "conversations", "{} is a file of an unknown format; {}", path,
                     kConversationsAccepted);
    return {table_part(path, SourceKind::questions)};
  }
  const Listing listing{path};
  Parts parts = table_parts(listing, path, SourceKind::questions, is_conversation_table, "conversations");
  check<DataError>(!parts.empty(), "conversations", "{} holds no conversations in a known format: {}; {}", path,
                   listing.files.empty() ? std::string("no files") : first_few(listing.files), kConversationsAccepted);
  return parts;
}

bool has_parts_inside(const SourcePart& part) { return part.kind == SourceKind::hdf5 && part.split.empty(); }

const SourcePart& pick_part(const std::vector<SourcePart>& parts, std::string_view split, const std::string& path) {
  if (parts.size() == 1 && has_parts_inside(parts[0])) return parts[0];
  std::vector<std::string> splits;
  std::string there;
  for (const SourcePart& part : parts) {
    splits.push_back(part.split);
    there += (there.empty() ? "" : ", ") + (part.split.empty() ? std::string("undivided data") : part.split) + " (" +
             to_string(part.kind) + ")";
  }
  const std::optional<std::string> serving = serving_split(splits, split);
  check<DataError>(serving.has_value(), "dataset", "{} has no part '{}'; there is: {}{}", path, split, there,
                   way_forward(splits, split));
  const auto first = std::find(splits.begin(), splits.end(), *serving);
  const auto second = std::find(first + 1, splits.end(), *serving);
  const auto place = [&](auto at) { return parts[size_t(at - splits.begin())].paths[0]; };
  check<DataError>(second == splits.end(), "dataset",
                   "{}: both {} and {} are taken for the part '{}'; keep one of them", path, place(first),
                   place(second == splits.end() ? first : second), *serving);
  return parts[size_t(first - splits.begin())];
}

std::vector<std::string> splits_of(const std::vector<SourcePart>& parts) {
  std::vector<std::string> splits;
  for (const SourcePart& part : parts) {
    const std::string split = part.split.empty() ? "train" : part.split;
    if (!has_parts_inside(part) && std::find(splits.begin(), splits.end(), split) == splits.end())
      splits.push_back(split);
  }
  return splits;
}

}  // namespace vitrail::data
