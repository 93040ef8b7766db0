// vitrail eval of a model that sees: questions about images answered, captions told apart.
#pragma once

#include "tools/commands/published_arguments.h"

#include <string>
#include <vector>

namespace vitrail::tools {

struct QuestionArguments {
  std::string model;
  std::vector<std::string> words;    // other data, and overrides of the recipe (key=value)
  std::vector<std::string> changes;  // overrides from options
  PublishedArguments published;
  std::string confusion;  // see confusion_files
  std::string examples;   // PNG to draw a contact sheet to; empty: none
  bool json = false;
};

/// Prints accuracy by kind of question, the same about blank images, and the answers that are taken for others.
void eval_questions(const QuestionArguments& arguments);

}  // namespace vitrail::tools
