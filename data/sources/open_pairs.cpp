#include "vitrail/data/sources/open_pairs.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/image/image_checks.h"
#include "vitrail/data/sources/caption_table.h"
#include "vitrail/data/sources/folder_index.h"
#include "vitrail/data/sources/hdf5_dataset.h"
#include "vitrail/data/sources/hdf5_layout.h"
#include "vitrail/data/sources/image_folder.h"
#include "vitrail/data/sources/image_list.h"
#include "vitrail/data/sources/missing_images.h"
#include "vitrail/data/sources/packed_captions.h"
#include "vitrail/data/sources/pair_collector.h"
#include "vitrail/data/sources/sample_labels.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/data/sources/tar_shards.h"
#include "vitrail/data/sources/unread_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <span>
#include <utility>

namespace vitrail::data {
namespace {

Pairs open_table(const SourcePart& part, const PairOptions& options) {
  const std::string& table = part.paths[0];
  const std::filesystem::path folder = std::filesystem::path(table).parent_path();
  const std::unique_ptr<ImageList> images =
      part.paths.size() > 1 ? list_of_archives({part.paths.begin() + 1, part.paths.end()})
                            : list_of_files(folder.empty() ? "." : folder.string(), options.follow_symlinks);
  PairCollector pairs(options);
  MissingImages missing(*images, table, options.skip_missing);
  const int64_t blank = for_each_caption(table, [&](const Caption& row) {
    if (!pairs.wants(row.kind)) return;
    if (const std::optional<int64_t> image = images->find(row.path)) return pairs.add(*image, row.text, row.kind);
    missing.add(row.path, row.line);
  });
  std::vector<std::string> left_out = missing.take("pairs");
  std::vector<std::string> notes;
  if (blank > 0) notes.push_back(fmt::format("{}: rows without a caption, which are passed over: {}", table, blank));
  Pairs out = pairs.finish(images->take(std::move(notes)), table);
  out.named = int64_t(out.captions.size() + left_out.size());
  out.missing = std::move(left_out);
  return out;
}

void expect_no_kinds(const SourcePart& part, const PairOptions& options) {
  check<DataError>(options.kinds.empty(), "pairs", "{}: captions in .txt files have no kinds; '{}' was asked for",
                   part.paths[0], options.kinds.empty() ? std::string() : options.kinds[0]);
}

Pairs open_tar(const SourcePart& part, const PairOptions& options) {
  expect_no_kinds(part, options);
  TarShards shards(part.paths);
  const std::vector<TarShards::Member> members = shards.take_index();
  const Sidecars texts(members, ".txt");
  std::vector<TarShards::Member> images;
  PairCollector pairs(options);
  int64_t left_out = 0;
  UnreadFiles unread;
  for (const TarShards::Member& member : members) {
    if (!is_image_name(member.file.name)) {
      count_unread(unread, member.file.name);
      continue;
    }
    const TarShards::Member* text = texts.of(member);
    const std::string_view caption = text == nullptr ? std::string_view() : trimmed_text(shards.content(*text));
    if (caption.empty()) {
      ++left_out;
      continue;
    }
    pairs.add(int64_t(images.size()), caption, "");
    images.push_back(member);
  }
  const std::string source = shards.names();
  std::vector<std::string> notes = unread_notes(unread, source);
  check<DataError>(left_out > 0 || !images.empty(), "pairs", "{} holds no {} files{}", source, image_kinds("or"),
                   as_ending(notes));
  check<DataError>(
      !images.empty(), "pairs",
      "{}: none of the {} images has a text: for x/1.jpg a file x/1.txt in the same archive, or one of the "
      "same key, which is the name up to its first dot (x/1.image.jpg, x/1.text.txt)",
      source, left_out);
  Pairs out = pairs.finish(make_tar_dataset(std::move(shards), std::move(images), {}, std::move(notes)), source);
  out.left_out = left_out;
  return out;
}

/// The text beside an image file, without blanks at its ends; empty if there is none. A link counts as none unless
/// links are followed: it may lead to any file.
std::string text_beside(const std::string& image, bool follow_symlinks) {
  constexpr int64_t kMostBytes = int64_t{1} << 20;
  for (const char* ending : {".txt", ".TXT"}) {
    const std::filesystem::path text = std::filesystem::path(image).replace_extension(ending);
    std::error_code unknown;
    const std::filesystem::file_status status = std::filesystem::symlink_status(text, unknown);
    if (!std::filesystem::exists(status) || (std::filesystem::is_symlink(status) && !follow_symlinks)) continue;
    const std::string content = read_file(text, kMostBytes);
    return std::string(trimmed_text(std::as_bytes(std::span(content))));
  }
  return {};
}

Pairs open_folder(const SourcePart& part, const PairOptions& options) {
  expect_no_kinds(part, options);
  const std::string& root = part.paths[0];
  FolderIndex index = index_folder(root, options.follow_symlinks);
  std::vector<std::string> images;
  PairCollector pairs(options);
  for (std::string& file : index.files) {
    const std::string text = text_beside(root + "/" + file, options.follow_symlinks);
    if (text.empty()) continue;
    pairs.add(int64_t(images.size()), text, "");
    images.push_back(std::move(file));
  }
  const auto left_out = int64_t(index.files.size() - images.size());
  std::vector<std::string> notes = unread_notes(index.unread, root);
  check<DataError>(!images.empty(), "pairs",
                   "{} has no captions: no table (captions.tsv), and none of its {} images has a text beside it "
                   "(x/1.txt for x/1.jpg){}",
                   root, left_out, as_ending(notes));
  Pairs out = pairs.finish(make_file_dataset(root, std::move(images), {}, std::move(notes)), root);
  out.left_out = left_out;
  return out;
}

Pairs open_hdf5_pairs(const SourcePart& part, std::string_view split, const PairOptions& options) {
  const std::string& path = part.paths[0];
  check<DataError>(hdf5::is_sealed(path), "pairs",
                   "{} was not made by vitrail pack; captions are read from tables, from archives, or from what "
                   "vitrail pack --captions made of them",
                   path);
  hdf5::Reader file = hdf5::open_sealed(path);
  const std::string group = group_of(file, path, has_parts_inside(part) ? split : "");
  PairCollector pairs(options);
  std::vector<int64_t> chosen;
  const auto collect = [&](int64_t image, std::string_view text, std::string_view kind) {
    if (!pairs.wants(kind)) return;
    if (chosen.empty() || chosen.back() != image) chosen.push_back(image);
    pairs.add(int64_t(chosen.size()) - 1, text, kind);
  };
  const int64_t captioned = for_each_packed_caption(file, path, group, collect);
  std::unique_ptr<Dataset> images = open_packed(path, std::move(file), group, {.labelled = false});
  check<DataError>(images->size() == captioned, "pairs", "{}: {} images, captions of {}", path, images->size(),
                   captioned);
  const int64_t left_out = captioned - int64_t(chosen.size());
  Pairs out = pairs.finish(subset(std::move(images), std::move(chosen)), path);
  out.left_out = left_out;
  return out;
}

}  // namespace

Pairs subset(Pairs whole, std::vector<int64_t> indices) {
  Pairs out;
  for (const int64_t i : indices) {
    check<ShapeError>(i >= 0 && i < whole.images->size(), "subset", "index {} is outside [0, {})", i,
                      whole.images->size());
    out.captions.push_back(whole.captions[size_t(i)]);
    if (!whole.kind_of.empty()) out.kind_of.push_back(whole.kind_of[size_t(i)]);
  }
  out.images = subset(std::move(whole.images), std::move(indices));
  out.kinds = std::move(whole.kinds);
  out.left_out = whole.left_out;
  out.missing = std::move(whole.missing);
  out.named = whole.named;
  return out;
}

Pairs open_pairs(const std::string& path, std::string_view split, const PairOptions& options) {
  const std::vector<SourcePart> parts = find_pair_parts(path);
  const SourcePart& part = pick_part(parts, split, path);
  switch (part.kind) {
    case SourceKind::table:
      return open_table(part, options);
    case SourceKind::tar:
      return open_tar(part, options);
    case SourceKind::folder:
      return open_folder(part, options);
    default:
      return open_hdf5_pairs(part, split, options);
  }
}

std::vector<std::string> pair_splits(const std::string& path) {
  const std::vector<SourcePart> parts = find_pair_parts(path);
  return has_parts_inside(parts[0]) ? hdf5_splits(parts[0].paths[0]) : splits_of(parts);
}

}  // namespace vitrail::data
