// Answers of a model that sees: for many questions at a time.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/generate/answer_text.h"
#include "vitrail/recipes/methods/llava_data.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// What ends an answer: the ends of a text, and what the template closes answers with, as an id or as words.
struct AnswerEnds {
  std::vector<int64_t> ids;
  std::vector<std::string> words;
};
AnswerEnds answer_ends(const LlavaWords& words);

/// As AnswerText::add. A row of the decoder behind the last token, of which published models have some, says nothing.
std::string add_token(AnswerText& text, const LlavaWords& words, int64_t id);

/// The text without blanks around it.
std::string trimmed_answer(std::string_view text);

/// The ids of a conversation up to its last answer, where the model goes on.
std::vector<int64_t> prompt_ids(const data::Conversation& conversation, const LlavaWords& words);

/// The likeliest answers to prompts. image_of: of each prompt the row among images, or negative. images: of
/// nn::Llava::project(), or undefined. Prompts of one length are read together, at most batch_size of them, so that
/// none needs padding. Throws ShapeError for a prompt that does not fit the context.
std::vector<std::string> likeliest_answers(nn::Llava& model, const LlavaWords& words,
                                           const std::vector<std::vector<int64_t>>& prompts,
                                           const std::vector<int64_t>& image_of, const ag::Var& images,
                                           int64_t max_tokens, int64_t batch_size);

/// The images of a batch in the order of their places in it: [M, N, C]. Undefined if there is none.
ag::Var images_in_order(const ag::Var& images, const std::vector<int64_t>& image_of);

}  // namespace vitrail::recipes
