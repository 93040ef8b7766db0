#include "vitrail/data/sources/open_pairs.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/caption_table.h"
#include "vitrail/data/sources/hdf5_dataset.h"
#include "vitrail/data/sources/hdf5_layout.h"
#include "vitrail/data/sources/image_list.h"
#include "vitrail/data/sources/packed_captions.h"
#include "vitrail/data/sources/pair_collector.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/subset.h"
#include "vitrail/data/sources/tar_shards.h"

#include <filesystem>
#include <unordered_map>
#include <utility>

namespace vitrail::data {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

Pairs open_table(const SourcePart& part, const PairOptions& options) {
  const std::string& table = part.paths[0];
  const std::filesystem::path folder = std::filesystem::path(table).parent_path();
  const std::unique_ptr<ImageList> images = part.paths.size() > 1
                                                ? list_of_archives({part.paths.begin() + 1, part.paths.end()})
                                                : list_of_files(folder.empty() ? "." : folder.string());
  PairCollector pairs(options);
  for_each_caption(table, [&](const Caption& row) {
    if (!pairs.wants(row.kind)) return;
    const std::optional<int64_t> image = images->find(row.path);
    if (!image)
      fail<DataError>("pairs", "{}:{}: there is no image '{}' in {}", table, row.line, row.path,
                      images->instead_of(row.path));
    pairs.add(*image, row.text, row.kind);
  });
  return pairs.finish(images->take(), table);
}

/// "x/1" of "x/1.jpg": the key that an image and its text share.
std::string_view key_of(std::string_view name) { return name.substr(0, name.rfind('.')); }

Pairs open_tar(const SourcePart& part, const PairOptions& options) {
  check<DataError>(options.kinds.empty(), "pairs", "{}: captions in archives have no kinds; '{}' was asked for",
                   part.paths[0], options.kinds.empty() ? std::string() : options.kinds[0]);
  TarShards shards(part.paths);
  std::vector<TarShards::Member> members = shards.read_index(), images;
  PairCollector pairs(options);
  int64_t left_out = 0;
  std::unordered_map<std::string_view, const TarShards::Member*> texts;  // of one archive, by key
  for (size_t begin = 0, end = 0; begin < members.size(); begin = end) {
    texts.clear();
    for (; end < members.size() && members[end].shard == members[begin].shard; ++end)
      if (members[end].file.name.ends_with(".txt")) texts.emplace(key_of(members[end].file.name), &members[end]);
    for (size_t i = begin; i < end; ++i) {
      if (!is_image_name(members[i].file.name)) continue;
      const auto found = texts.find(key_of(members[i].file.name));
      std::string_view text;
      if (found != texts.end()) {
        const auto bytes = shards.content(*found->second);
        text = trimmed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      }
      if (text.empty()) {
        ++left_out;
      } else {
        pairs.add(int64_t(images.size()), text, "");
        images.push_back(std::move(members[i]));
      }
    }
  }
  check<DataError>(left_out > 0 || !images.empty(), "pairs", "{} holds no .jpg, .png or .bmp files", shards.names());
  check<DataError>(!images.empty(), "pairs",
                   "{}: none of the {} images has a text (for x/1.jpg a file x/1.txt in the same archive)",
                   shards.names(), left_out);
  const std::string source = shards.names();
  Pairs out = pairs.finish(make_tar_dataset(std::move(shards), std::move(images), {}), source);
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
  const std::string group = group_of(file, path, has_parts_inside(part) ? split : std::string_view(part.split));
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

Pairs open_pairs(const std::string& path, std::string_view split, const PairOptions& options) {
  const std::vector<SourcePart> parts = find_pair_parts(path);
  const SourcePart& part = pick_part(parts, split, path);
  switch (part.kind) {
    case SourceKind::table:
      return open_table(part, options);
    case SourceKind::tar:
      return open_tar(part, options);
    default:
      return open_hdf5_pairs(part, split, options);
  }
}

std::vector<std::string> pair_splits(const std::string& path) { return splits_of(find_pair_parts(path)); }

}  // namespace vitrail::data
