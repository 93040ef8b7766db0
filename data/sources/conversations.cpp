#include "vitrail/data/sources/conversations.h"

#include "vitrail/core/error.h"
#include "vitrail/data/sources/conversation_json.h"
#include "vitrail/data/sources/image_list.h"
#include "vitrail/data/sources/missing_images.h"
#include "vitrail/data/sources/question_table.h"
#include "vitrail/data/sources/source_parts.h"
#include "vitrail/data/sources/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace vitrail::data {
namespace {

bool is_json(const std::string& path) { return path.ends_with(".json") || path.ends_with(".jsonl"); }

std::unique_ptr<ImageList> images_beside(const SourcePart& part, const ConversationOptions& options) {
  if (part.paths.size() > 1) return list_of_archives({part.paths.begin() + 1, part.paths.end()});
  const std::filesystem::path folder = std::filesystem::path(part.paths[0]).parent_path();
  return list_of_files(folder.empty() ? "." : folder.string(), options.follow_symlinks);
}

}  // namespace

void Conversations::add(Conversation conversation, int64_t image, std::string_view family) {
  samples.push_back(std::move(conversation));
  image_of.push_back(image);
  int64_t number = -1;
  if (!family.empty()) {
    const auto known = std::find(families.begin(), families.end(), family);
    number = known - families.begin();
    if (known == families.end()) families.emplace_back(family);
  }
  if (families.empty()) return;
  family_of.resize(samples.size(), -1);  // conversations before the first with a family had none
  family_of.back() = number;
}

Conversation question_and_answer(std::string_view question, std::string_view answer, bool about_image) {
  std::string words = about_image ? std::string(kImageMark) + "\n" : std::string();
  words += question;
  return {{{Role::user, std::move(words)}, {Role::assistant, std::string(answer)}}, std::nullopt};
}

Conversations open_conversations(const std::string& path, std::string_view split, const ConversationOptions& options) {
  const std::vector<SourcePart> parts = find_conversation_parts(path);
  const SourcePart& part = pick_part(parts, split, path);
  const std::string& file = part.paths[0];
  const std::unique_ptr<ImageList> images = images_beside(part, options);
  MissingImages missing(*images, file, options.skip_missing);
  Conversations out;
  const auto add = [&](Conversation conversation, std::string_view image, std::string_view family, int64_t line) {
    if (image.empty()) return out.add(std::move(conversation), kNoImage, family);
    if (const std::optional<int64_t> found = images->find(image))
      return out.add(std::move(conversation), *found, family);
    missing.add(image, line);
  };
  std::vector<std::string> notes;
  if (is_json(file)) {
    for_each_conversation(
        file, [&](JsonConversation row) { add(std::move(row.conversation), row.image, row.family, row.line); });
  } else {
    const int64_t blank = for_each_question(file, [&](const Question& row) {
      add(question_and_answer(row.question, row.answer, !row.path.empty()), row.path, row.family, row.line);
    });
    if (blank > 0)
      notes.push_back(fmt::format("{}: rows without a question or answer, which are passed over: {}", file, blank));
  }
  out.missing = missing.take("conversations");
  check<DataError>(out.size() > 0, "conversations", "{} has no conversations", file);
  out.images = images->take(std::move(notes));
  out.named = out.images->size() + int64_t(out.missing.size());
  return out;
}

Conversations describing(Pairs pairs) {
  Conversations out;
  for (size_t i = 0; i < pairs.captions.size(); ++i) {
    for (size_t c = 0; c < pairs.captions[i].size(); ++c) {
      const int64_t kind = pairs.kind_of.empty() ? -1 : pairs.kind_of[i][c];
      out.add({{{Role::user, std::string(kImageMark)}, {Role::assistant, std::move(pairs.captions[i][c])}}, {}},
              int64_t(i), kind < 0 ? std::string() : pairs.kinds[size_t(kind)]);
    }
  }
  out.images = std::move(pairs.images);
  out.missing = std::move(pairs.missing);
  out.named = pairs.named;
  return out;
}

Conversations subset(Conversations whole, std::vector<int64_t> images, bool without_image) {
  std::vector<int64_t> number(size_t(whole.images->size()), kNoImage);
  for (size_t i = 0; i < images.size(); ++i) {
    check<ShapeError>(images[i] >= 0 && images[i] < whole.images->size(), "subset", "index {} is outside [0, {})",
                      images[i], whole.images->size());
    number[size_t(images[i])] = int64_t(i);
  }
  Conversations out;
  for (size_t i = 0; i < whole.samples.size(); ++i) {
    const int64_t image = whole.image_of[i] == kNoImage ? kNoImage : number[size_t(whole.image_of[i])];
    if (image == kNoImage && (whole.image_of[i] != kNoImage || !without_image)) continue;
    out.samples.push_back(std::move(whole.samples[i]));
    out.image_of.push_back(image);
    if (!whole.family_of.empty()) out.family_of.push_back(whole.family_of[i]);
  }
  out.images = subset(std::move(whole.images), std::move(images));
  out.families = std::move(whole.families);
  out.missing = std::move(whole.missing);
  out.named = whole.named;
  return out;
}

}  // namespace vitrail::data
