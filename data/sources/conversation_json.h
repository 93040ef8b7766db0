// Conversations in LLaVA's JSON: [{"id": ..., "image": "a/1.jpg", "conversations": [{"from": "human", "value": "..."},
// {"from": "gpt", "value": "..."}]}, ...].
#pragma once

#include "vitrail/data/text/conversation.h"

#include <cstdint>
#include <functional>
#include <string>

namespace vitrail::data {

struct JsonConversation {
  std::string image;  // as written in the file; empty: a conversation without one
  std::string family;
  Conversation conversation;
  int64_t line = 0;  // of the file, where the conversation begins; the first is 1
};

/// Calls back for each conversation of a file: one array, or one object after another (JSON lines). They are read one
/// at a time, so the file may be larger than memory. Turns are from human or user, and gpt or assistant; one from
/// system in front gives the system sentence. A turn of the assistant at the begin is left out. An optional text
/// family, type or category gives the kind of conversation; other members are passed over. An image that no turn names
/// is put into the first one. Throws DataError naming the file and the line for other JSON, turns as check_turns
/// refuses them, an image that is named twice or is not given; IoError for text that is not JSON.
void for_each_conversation(const std::string& path, const std::function<void(JsonConversation)>& visit);

}  // namespace vitrail::data
