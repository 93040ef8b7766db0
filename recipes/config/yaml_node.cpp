#include "vitrail/recipes/config/yaml_node.h"

#include "vitrail/core/error.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace vitrail::recipes {
namespace {

using Kind = YamlNode::Kind;

constexpr size_t kMaxDepth = 32;
constexpr int64_t kMaxNodes = 10000;

/// Builds the tree as the parser reports it. open_ holds the collections not yet ended, outermost first.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const std::string& name) : name_(name) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add({node(Kind::kNull, mark), anchor}); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(tag, mark);
    YamlNode scalar = node(Kind::kScalar, mark);
    scalar.quoted = tag == "!";
    scalar.text = value;
    add({std::move(scalar), anchor});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_at(mark, "an alias inside what it stands for");
    count(found->second.size, mark);
    YamlNode copy = found->second;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    attach(std::move(copy));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Kind::kList, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Kind::kMap, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Item {
    YamlNode node;
    YAML::anchor_t anchor;
  };

  static YamlNode node(Kind kind, const YAML::Mark& mark) {
    YamlNode result;
    result.kind = kind;
    result.line = mark.line + 1;
    result.column = mark.column + 1;
    return result;
  }
  template <class... Args>
  [[noreturn]] void fail_at(const YAML::Mark& mark, std::string_view format, const Args&... args) const {
    fail<ConfigError>("config", "{}:{}:{}: " + std::string(format), name_, mark.line + 1, mark.column + 1, args...);
  }
  void refuse_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (tag != "?" && tag != "!" && !tag.empty()) fail_at(mark, "tags such as '{}' are not used in recipes", tag);
  }
  void count(int64_t nodes, const YAML::Mark& mark) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) fail_at(mark, "more than {} values with aliases expanded", kMaxNodes);
  }

  void open(Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(tag, mark);
    if (open_.size() == kMaxDepth) fail_at(mark, "nested deeper than {} levels", kMaxDepth);
    count(1, mark);
    open_.push_back({node(kind, mark), anchor});
  }
  void close() {
    Item done = std::move(open_.back());
    open_.pop_back();
    finish(std::move(done));
  }
  void add(Item item) {
    count(1, {});
    finish(std::move(item));
  }
  void finish(Item item) {
    if (item.anchor != YAML::NullAnchor) anchors_[item.anchor] = item.node;
    attach(std::move(item.node));
  }
  void attach(YamlNode child) {
    if (open_.empty()) {
      root_ = std::move(child);
      return;
    }
    YamlNode& parent = open_.back().node;
    parent.size += child.size;
    if (parent.kind == Kind::kMap && parent.keys.size() == parent.children.size()) {
      check_key(parent, child);
      parent.keys.push_back(std::move(child));
    } else {
      parent.children.push_back(std::move(child));
    }
  }
  void check_key(const YamlNode& map, const YamlNode& key) const {
    const auto place = [&] { return name_ + ":" + std::to_string(key.line) + ":" + std::to_string(key.column); };
    check<ConfigError>(key.kind == Kind::kScalar, "config", "{}: a key must be a name", place());
    check<ConfigError>(key.text != "<<", "config", "{}: merge keys (<<) are not used in recipes", place());
    const auto first =
        std::find_if(map.keys.begin(), map.keys.end(), [&](const YamlNode& k) { return k.text == key.text; });
    if (first != map.keys.end())
      fail<ConfigError>("config", "{}: key '{}' is given twice, first in line {}", place(), key.text, first->line);
  }

  std::string name_;
  YamlNode root_;
  std::vector<Item> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  int64_t nodes_ = 0;
};

/// Refuses files that are not text.
void check_text(std::string_view text, const std::string& name) {
  check<ConfigError>(int64_t(text.size()) <= kMaxRecipeBytes, "config", "{}: {} bytes; a recipe has at most {}", name,
                     text.size(), kMaxRecipeBytes);
  check<ConfigError>(!text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), "config",
                     "{}:1:1: the file is UTF-16; save it as UTF-8", name);
  const size_t control = size_t(
      std::find_if(text.begin(), text.end(),
                   [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f; }) -
      text.begin());
  if (control == text.size()) return;
  const std::string_view before = text.substr(0, control);
  fail<ConfigError>("config", "{}:{}:{}: a control character (byte {}); recipes are UTF-8 text", name,
                    std::count(before.begin(), before.end(), '\n') + 1, control - (before.rfind('\n') + 1) + 1,
                    int{static_cast<unsigned char>(text[control])});
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& name) {
  check_text(text, name);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::istringstream in{std::string(text)};
  Builder builder(name);
  try {
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    Builder rest(name);
    check<ConfigError>(!parser.HandleNextDocument(rest), "config", "{}: a recipe is one document, without '---' inside",
                       name);
    return root;
  } catch (const YAML::Exception& e) {
    fail<ConfigError>("config", "{}:{}:{}: {}", name, e.mark.line + 1, e.mark.column + 1, e.msg);
  }
}

}  // namespace vitrail::recipes
