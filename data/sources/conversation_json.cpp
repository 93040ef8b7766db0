#include "vitrail/data/sources/conversation_json.h"

#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/data/sources/image_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace vitrail::data {
namespace {

constexpr size_t kLargestRecord = size_t{64} << 20;

/// Cuts a file into the objects of its outermost array, or into those that follow each other.
class JsonRecords final {
 public:
  JsonRecords(const MappedFile& file, const std::string& path)
      : path_(&path), rest_(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    skip_blanks();
    array_ = rest_.starts_with('[');
    if (array_) take(1);
    skip_blanks();
  }

  /// The text of the next object; nothing at the end.
  std::optional<std::string_view> next() {
    if (array_ && rest_.starts_with(']')) {
      take(1);
      skip_blanks();
      check<DataError>(rest_.empty(), "conversations", "{}: the array has ended, and there is more", place());
      array_ = false;
    }
    if (array_ && any_ && !rest_.empty()) {
      check<DataError>(rest_[0] == ',', "conversations", "{}: expected ',' or ']' behind a conversation", place());
      take(1);
      skip_blanks();
    }
    if (rest_.empty()) {
      check<DataError>(!array_, "conversations", "{}: the array has no end; is the file complete?", place());
      return std::nullopt;
    }
    any_ = true;
    check<DataError>(rest_.starts_with('{'), "conversations",
                     "{}: expected a conversation, an object {\"image\": ..., \"conversations\": [...]}", place());
    record_line_ = line_;
    const std::string_view record = take(length());
    skip_blanks();
    return record;
  }

  /// "file.json:12", where the last object begins.
  std::string record_place() const { return fmt::format("{}:{}", *path_, record_line_); }
  int64_t record_line() const { return record_line_; }

 private:
  std::string place() const { return fmt::format("{}:{}", *path_, line_); }

  std::string_view take(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    line_ += std::count(taken.begin(), taken.end(), '\n');
    rest_.remove_prefix(count);
    return taken;
  }

  void skip_blanks() { take(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  /// Of the object at the begin of rest_.
  size_t length() const {
    int64_t depth = 0;
    bool quoted = false;
    const size_t most = std::min(rest_.size(), kLargestRecord);
    for (size_t i = 0; i < most; ++i) {
      const char c = rest_[i];
      if (quoted && c == '\\')
        ++i;
      else if (c == '"')
        quoted = !quoted;
      else if (!quoted && (c == '{' || c == '['))
        ++depth;
      else if (!quoted && (c == '}' || c == ']') && --depth == 0)
        return i + 1;
    }
    check<DataError>(rest_.size() <= kLargestRecord, "conversations", "{}: a conversation has more than {} bytes",
                     place(), kLargestRecord);
    fail<DataError>("conversations", "{}: the conversation that begins here has no end; is the file complete?",
                    place());
  }

  const std::string* path_;
  std::string_view rest_;
  bool array_ = false, any_ = false;
  int64_t line_ = 1, record_line_ = 1;
};

/// The text of a member; empty if there is none or it is null.
const std::string& text_of(const Json& object, std::string_view name, const std::string& place) {
  static const std::string none;
  const Json* member = object.find(name);
  if (member == nullptr || member->is_null()) return none;
  if (!member->is_string())
    fail<DataError>("conversations", "{}: '{}' is {}; it must be one text", place, name, member->excerpt());
  return member->as_string();
}

std::vector<std::string_view> member_names(const Json& object) {
  std::vector<std::string_view> names;
  for (const Json::Member& member : object.as_object()) names.push_back(member.name);
  return names;
}

/// The turns in order. One of the system goes to conversation.system.
void read_turns(const Json& turns, const std::string& place, Conversation& conversation) {
  constexpr size_t kMostTurns = 10000;
  if (!turns.is_array() || turns.as_array().size() > kMostTurns)
    fail<DataError>("conversations", "{}: 'conversations' is {}; it must be a list of at most {} turns", place,
                    turns.excerpt(), kMostTurns);
  for (const Json& turn : turns.as_array()) {
    const Json* value = turn.find("value");
    if (value == nullptr || !value->is_string())
      fail<DataError>("conversations", "{}: a turn is {}; it must be {\"from\": \"human\" or \"gpt\", \"value\": TEXT}",
                      place, turn.excerpt());
    const std::string& from = text_of(turn, "from", place);
    const bool user = from == "human" || from == "user", assistant = from == "gpt" || from == "assistant";
    if (from == "system" && conversation.turns.empty()) {
      conversation.system = value->as_string();
    } else if (!assistant || !conversation.turns.empty()) {
      check<DataError>(user || assistant, "conversations",
                       "{}: a turn is from '{}'; it must be from human or gpt (user, assistant, system in front)",
                       place, from);
      conversation.turns.push_back({user ? Role::user : Role::assistant, value->as_string()});
    }
  }
}

/// One image, named by one turn.
void place_image(JsonConversation& row, const std::string& place) {
  const auto named = std::count_if(row.conversation.turns.begin(), row.conversation.turns.end(),
                                   [](const Turn& turn) { return turn.text.find(kImageMark) != turn.text.npos; });
  check<DataError>(named <= 1, "conversations", "{}: {} turns name {}; a conversation has one image", place, named,
                   kImageMark);
  check<DataError>(named == 0 || !row.image.empty(), "conversations", "{}: a turn names {}, and there is no 'image'",
                   place, kImageMark);
  if (named == 0 && !row.image.empty()) row.conversation.turns[0].text.insert(0, std::string(kImageMark) + "\n");
}

JsonConversation read_conversation(std::string_view text, const std::string& place) {
  const Json record = [&] {
    try {
      return Json::parse(text);
    } catch (const JsonError& error) {
      fail<IoError>("conversations", "{}: {}", place, error.reason());
    }
  }();
  JsonConversation row;
  const Json* turns = record.find("conversations");
  if (turns == nullptr)
    fail<DataError>("conversations", "{}: there is no 'conversations'; the nearest name is '{}'", place,
                    most_like("conversations", member_names(record)));
  row.image = text_of(record, "image", place);
  for (const std::string_view name : {"family", "type", "category"})
    if (row.family.empty()) row.family = text_of(record, name, place);
  read_turns(*turns, place, row.conversation);
  check_turns(row.conversation, place);
  place_image(row, place);
  return row;
}

}  // namespace

void for_each_conversation(const std::string& path, const std::function<void(JsonConversation)>& visit) {
  const MappedFile file(path);
  JsonRecords records(file, path);
  while (const std::optional<std::string_view> text = records.next()) {
    JsonConversation row = read_conversation(*text, records.record_place());
    row.line = records.record_line();
    visit(std::move(row));
  }
}

}  // namespace vitrail::data
