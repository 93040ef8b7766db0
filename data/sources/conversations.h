// Conversations: turns about images, and about none, whatever the source.
#pragma once

#include "vitrail/data/sources/dataset.h"
#include "vitrail/data/sources/pairs.h"
#include "vitrail/data/text/conversation.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail::data {

inline constexpr int64_t kNoImage = -1;

struct Conversations {
  std::unique_ptr<Dataset> images;    // each image once, unlabelled; perhaps none
  std::vector<Conversation> samples;  // in the order of the source
  std::vector<int64_t> image_of;      // of each conversation its image, or kNoImage
  std::vector<std::string> families;  // the kinds of questions; empty if the source has none
  std::vector<int64_t> family_of;     // of each conversation an index into families, -1 for none; or empty
  std::vector<std::string> missing;   // images that the source names and that are not there (skip_missing)
  int64_t named = 0;                  // images that the source names, missing or not

  /// The number of conversations.
  int64_t size() const { return int64_t(samples.size()); }
  /// Adds a conversation. family: a name, or empty.
  void add(Conversation conversation, int64_t image, std::string_view family);
};

/// A question of the user, about an image or about none, and its answer.
Conversation question_and_answer(std::string_view question, std::string_view answer, bool about_image);

struct ConversationOptions {
  bool follow_symlinks = false;  // from files to images outside of their folder
  bool skip_missing = false;     // leave out conversations about images that are not there
};

/// Opens the part of the data at path named split: "train", "val" or "test"; as in open_dataset, "val" and "test" stand
/// for each other, and undivided data is "train". find_conversation_parts in source_parts.h says which files it
/// recognises: tables as for_each_question reads them, and JSON as for_each_conversation does.
///
/// Throws DataError for a part that is not there, naming those that are; for an image that is not there, or not in the
/// file's folder, naming the file, the line and the nearest name; and as the readers. IoError for damaged files.
Conversations open_conversations(const std::string& path, std::string_view split,
                                 const ConversationOptions& options = {});

/// Captions as conversations: the user shows an image, the assistant says a caption. Kinds of captions are families.
Conversations describing(Pairs pairs);

/// The conversations about the images, in the order of the whole, and if without_image those about none.
/// Throws ShapeError if there is no image at one of the indices.
Conversations subset(Conversations whole, std::vector<int64_t> images, bool without_image);

}  // namespace vitrail::data
