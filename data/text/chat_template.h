// The chat template of a model's folder: which of our prompt templates it is.
#pragma once

#include "vitrail/data/text/conversation.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vitrail::data {

/// A prompt template, and the sentence of the system that a model's own template has in its place.
struct ChatTemplate {
  const PromptTemplate* form = nullptr;
  std::optional<std::string> system{};  // "" for none; nothing: the form's own
};

/// Recognises a Jinja template by the words in it, as it is not interpreted. Nothing for an unknown one.
std::optional<ChatTemplate> recognise_chat_template(std::string_view jinja);

/// A Jinja template for transformers that writes the prompts of `form`. Its first line has the name, by which
/// recognise_chat_template knows it. A message's content may be a text with kImageMark, or a list of images and texts.
std::string to_jinja(const PromptTemplate& form);

/// The Jinja template of a folder: chat_template.jinja, else the one in chat_template.json, processor_config.json or
/// tokenizer_config.json. Nothing if the folder has none. Throws IoError for a damaged file.
std::optional<std::string> find_chat_template(const std::filesystem::path& folder);

/// The chat template of a folder. Throws ConfigError, which names the option --template and its values, if the folder
/// has none or its template is not known; the message shows how that begins.
ChatTemplate open_chat_template(const std::filesystem::path& folder);

}  // namespace vitrail::data
