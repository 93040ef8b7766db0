#include "vitrail/recipes/methods/llava_answer.h"

#include "vitrail/core/error.h"
#include "vitrail/recipes/generate/generate.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <utility>

namespace vitrail::recipes {

AnswerEnds answer_ends(const LlavaWords& words) {
  AnswerEnds ends{.ids = words.tokenizer.eos(), .words = {}};
  const std::string close(words.form.close);
  if (close.empty() || close == "</s>") return ends;
  if (const std::optional<int64_t> id = close.front() == '<' ? words.tokenizer.id_of(close) : std::nullopt)
    ends.ids.push_back(*id);
  else
    ends.words.push_back(close);
  return ends;
}

std::string add_token(AnswerText& text, const LlavaWords& words, int64_t id) {
  return id < words.tokenizer.size() ? text.add(id) : "";
}

std::string trimmed_answer(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin));
}

std::vector<int64_t> prompt_ids(const data::Conversation& conversation, const LlavaWords& words) {
  data::Conversation asked = conversation;
  if (!asked.turns.empty() && asked.turns.back().role == data::Role::assistant) asked.turns.pop_back();
  return data::label_segments(asked, words.form, words.tokenizer).ids;
}

ag::Var images_in_order(const ag::Var& images, const std::vector<int64_t>& image_of) {
  std::vector<int64_t> rows;
  std::copy_if(image_of.begin(), image_of.end(), std::back_inserter(rows), [](int64_t row) { return row >= 0; });
  if (rows.empty()) return {};
  std::vector<int64_t> all(size_t(images.size(0)));
  std::iota(all.begin(), all.end(), 0);
  return rows == all ? images : ag::index_select(images, 0, tensor(rows, {int64_t(rows.size())}));
}

std::vector<std::string> likeliest_answers(nn::Llava& model, const LlavaWords& words,
                                           const std::vector<std::vector<int64_t>>& prompts,
                                           const std::vector<int64_t>& image_of, const ag::Var& images,
                                           int64_t max_tokens, int64_t batch_size) {
  const ag::NoGrad no_grad;
  const AnswerEnds ends = answer_ends(words);
  std::vector<size_t> order(prompts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto kind = [&](size_t i) { return std::pair(prompts[i].size(), image_of[i] >= 0); };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return kind(a) < kind(b); });
  std::vector<std::string> answers(prompts.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && end - begin < size_t(batch_size) && kind(order[end]) == kind(order[begin])) ++end;
    std::vector<nn::LabelledText> texts;
    std::vector<int64_t> rows;
    std::deque<AnswerText> said;
    for (size_t i = begin; i < end; ++i) {
      texts.push_back({prompts[order[i]], {}});
      rows.push_back(image_of[order[i]]);
      said.emplace_back(words.tokenizer, ends.words, false);
    }
    const nn::Splice batch = model.splice(texts);
    const Tensor embeddings = model.embed(batch, images_in_order(images, rows)).value();
    nn::KvCache cache;
    std::vector<std::string> text(texts.size());
    generate(model.language_model, embeddings, model.decoder_input(batch), cache,
             {.max_tokens = max_tokens, .stop_ids = ends.ids}, [&](int64_t sample, int64_t id) {
               text[size_t(sample)] += add_token(said[size_t(sample)], words, id);
               return !said[size_t(sample)].stopped();
             });
    for (size_t i = begin; i < end; ++i) answers[order[i]] = trimmed_answer(text[i - begin] + said[i - begin].finish());
    begin = end;
  }
  return answers;
}

}  // namespace vitrail::recipes
