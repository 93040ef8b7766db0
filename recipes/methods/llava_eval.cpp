#include "vitrail/recipes/methods/llava_eval.h"

#include "vitrail/autograd/ops.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/recipes/methods/llava_answer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace vitrail::recipes {
namespace {

/// The loss of each labelled token: [S], in the order of batch.targets.
Tensor token_losses(nn::Llava& model, const nn::Splice& batch, const ag::Var& images) {
  const ag::Var hidden = reshape(model.hidden(batch, images), {-1, model.config.text.embed_dim});
  const ag::Var logits = model.language_model.logits(index_select(hidden, 0, batch.predicting));
  return core::neg(core::gather_last(core::log_softmax(logits.value()), batch.targets));
}

std::string key_of(std::string name) {
  for (char& c : name)
    if (c == ' ' || c == '/') c = '_';
  return name;
}

/// One evaluation.
struct Evaluator {
  nn::Llava& model;
  const LlavaWords& words;
  const LlavaEvalData& data;
  const LlavaConfig& config;
  LlavaScores scores = {};
  double loss_sum = 0;
  ag::Var blank = {};                      // of project()
  std::vector<std::string> captions = {};  // all different ones

  bool asks() const { return config.eval.answers && !words.form.captions; }

  /// Conversations about images: image_of their rows among `images`, or negative.
  void add(const std::vector<int64_t>& samples, const std::vector<int64_t>& image_of, const ag::Var& images) {
    const auto count = int64_t(samples.size()), at_once = config.eval.batch_size;
    std::vector<nn::LabelledText> texts;
    std::vector<int64_t> rows;
    std::vector<size_t> order(samples.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::vector<nn::LabelledText> all;
    for (const int64_t sample : samples) {
      data::LabelledIds labelled =
          data::label_segments(data.talks.samples[size_t(sample)], words.form, words.tokenizer);
      data::truncate(labelled, std::min(config.max_length, model.config.text.context_length), words.image_tokens);
      all.push_back({std::move(labelled.ids), std::move(labelled.labels)});
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return all[a].ids.size() < all[b].ids.size(); });
    for (int64_t begin = 0; begin < count; begin += at_once) {
      texts.clear();
      rows.clear();
      for (int64_t i = begin; i < std::min(count, begin + at_once); ++i) {
        texts.push_back(all[order[size_t(i)]]);
        rows.push_back(image_of[order[size_t(i)]]);
      }
      const nn::Splice batch = model.splice(texts);
      if (batch.supervised() == 0) continue;
      for (const double loss : token_losses(model, batch, images_in_order(images, rows)).to_vector()) loss_sum += loss;
      scores.tokens += batch.supervised();
    }
    scores.conversations += count;
    if (asks()) ask(samples, image_of, images);
  }

  void ask(const std::vector<int64_t>& samples, const std::vector<int64_t>& image_of, const ag::Var& images) {
    std::vector<std::vector<int64_t>> prompts;
    std::vector<int64_t> asked, rows;
    for (size_t i = 0; i < samples.size(); ++i) {
      const data::Conversation& conversation = data.talks.samples[size_t(samples[i])];
      if (!is_one_question(conversation)) continue;
      prompts.push_back(prompt_ids(conversation, words));
      asked.push_back(samples[i]);
      rows.push_back(image_of[i]);
    }
    if (asked.empty()) return;
    const auto answer = [&](const ag::Var& seen, const std::vector<int64_t>& of) {
      return likeliest_answers(model, words, prompts, of, seen, config.eval.max_tokens, config.eval.batch_size);
    };
    const std::vector<std::string> answers = answer(images, rows);
    std::vector<std::string> blanks(answers.size());
    if (config.eval.blank) {
      std::vector<int64_t> same = rows;
      for (int64_t& row : same) row = std::min<int64_t>(row, 0);
      blanks = answer(blank, same);
    }
    for (size_t i = 0; i < asked.size(); ++i) scores.answered.push_back({asked[i], answers[i], blanks[i]});
  }

  /// Whether the caption of each image is likelier than others of the data. image_of: rows of images, in order.
  void rank(const std::vector<int64_t>& samples, const std::vector<int64_t>& image_of, const ag::Var& images) {
    for (size_t begin = 0, end = 0; begin < samples.size() && scores.ranked < config.eval.ranked; begin = end) {
      std::vector<std::string> sentences;  // its own captions, then others
      for (end = begin; end < samples.size() && image_of[end] == image_of[begin]; ++end)
        sentences.emplace_back(last_answer(data.talks.samples[size_t(samples[end])]));
      const size_t own = sentences.size(), wanted = own - 1 + size_t(config.eval.candidates);
      if (captions.size() < wanted) continue;
      Rng rng(0, "candidates", uint64_t(samples[begin]));
      while (sentences.size() < wanted) {
        const std::string& other = captions[size_t(rng.below(int64_t(captions.size())))];
        if (std::find(sentences.begin(), sentences.end(), other) == sentences.end()) sentences.push_back(other);
      }
      sentences.erase(sentences.begin() + 1, sentences.begin() + std::ptrdiff_t(own));
      std::vector<nn::LabelledText> texts;
      for (const std::string& sentence : sentences) {
        data::LabelledIds labelled =
            data::label_segments(data::question_and_answer("", sentence, true), words.form, words.tokenizer);
        texts.push_back({std::move(labelled.ids), std::move(labelled.labels)});
      }
      const std::vector<int64_t> same(texts.size(), image_of[begin]);
      const std::vector<double> losses = losses_of(model, model.splice(texts), images_in_order(images, same));
      scores.ranked_first += std::min_element(losses.begin(), losses.end()) == losses.begin();
      ++scores.ranked;
    }
  }

  void finish() {
    check<DataError>(scores.tokens > 0, "llava", "no answer of the part '{}' could be read", config.data.val_split);
    scores.loss = loss_sum / double(scores.tokens);
    scores.blank = config.eval.blank;
    std::sort(scores.answered.begin(), scores.answered.end(),
              [](const AnsweredQuestion& a, const AnsweredQuestion& b) { return a.sample < b.sample; });
    scores.families = data.families;
    scores.by_family.resize(data.families.size());
    for (const AnsweredQuestion& question : scores.answered) {
      const std::string_view right = last_answer(data.talks.samples[size_t(question.sample)]);
      const auto count = [&](RightAnswers& of) {
        ++of.questions;
        of.right += same_answer(question.answer, right);
        of.right_blank += config.eval.blank && same_answer(question.blank, right);
      };
      count(scores.all);
      const int64_t family = data.family_of.empty() ? -1 : data.family_of[size_t(question.sample)];
      if (family >= 0) count(scores.by_family[size_t(family)]);
    }
  }
};

}  // namespace

Stats LlavaScores::stats() const {
  Stats stats = {{"loss", loss}, {"perplexity", std::exp(loss)}};
  const auto add = [&](const std::string& ending, const RightAnswers& of) {
    stats.emplace_back("accuracy" + ending, of.accuracy());
    if (blank) stats.emplace_back("accuracy_blank" + ending, of.accuracy_blank());
  };
  if (!answered.empty()) add("", all);
  for (size_t i = 0; i < by_family.size(); ++i)
    if (by_family[i].questions > 0) add("_" + key_of(families[i]), by_family[i]);
  if (ranked > 0) stats.emplace_back("ranked_first", double(ranked_first) / double(ranked));
  return stats;
}

double LlavaScores::score() const {
  if (!answered.empty()) return all.accuracy();
  return ranked > 0 ? double(ranked_first) / double(ranked) : -loss;
}

std::string LlavaScores::score_name() const {
  if (!answered.empty()) return "accuracy";
  return ranked > 0 ? "ranked_first" : "-loss";
}

bool same_answer(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view text) {
    std::string t = trimmed_answer(text);
    if (t.ends_with('.')) t.pop_back();
    for (char& c : t)
      if ('A' <= c && c <= 'Z') c = char(c - 'A' + 'a');
    return t;
  };
  return plain(a) == plain(b);
}

std::vector<double> losses_of(nn::Llava& model, const nn::Splice& batch, const ag::Var& images) {
  const ag::NoGrad no_grad;
  const std::vector<double> tokens = token_losses(model, batch, images).to_vector();
  std::vector<double> sums(size_t(batch.batch())), counts(size_t(batch.batch()));
  const auto places = batch.predicting.span<int64_t>();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto text = size_t(places[i] / batch.length());
    sums[text] += tokens[i];
    counts[text] += 1;
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] /= std::max(counts[i], 1.0);
  return sums;
}

LlavaScores evaluate_llava(nn::Llava& model, const LlavaWords& words, const LlavaEvalData& data,
                           const LlavaConfig& config, const Preprocessing& pixels, data::BadFiles& bad_files,
                           const Tick& tick) {
  const ag::NoGrad no_grad;
  model.eval();
  Evaluator evaluator{model, words, data, config};
  const int64_t side = pixels.img_size();
  if (evaluator.asks() && config.eval.blank) evaluator.blank = model.project(model.features(zeros({1, 3, side, side})));
  const bool ranks = words.form.captions && config.eval.ranked > 0;
  if (ranks) {
    for (const data::Conversation& talk : data.talks.samples) evaluator.captions.emplace_back(last_answer(talk));
    std::sort(evaluator.captions.begin(), evaluator.captions.end());
    evaluator.captions.erase(std::unique(evaluator.captions.begin(), evaluator.captions.end()),
                             evaluator.captions.end());
  }

  const data::Dataset& images = *data.talks.images;
  std::vector<std::vector<int64_t>> about(size_t(images.size()));
  std::vector<int64_t> about_none;
  for (int64_t i = 0; i < data.talks.size(); ++i) {
    const int64_t image = data.talks.image_of[size_t(i)];
    (image == data::kNoImage ? about_none : about[size_t(image)]).push_back(i);
  }
  int64_t seen = 0;
  if (images.size() > 0) {
    const auto loader =
        eval_loader(pixels, config.data, images, std::min(config.eval.batch_size, images.size()), bad_files);
    while (const auto batch = loader->next()) {
      const ag::Var tokens = model.project(model.features((*batch)["images"]));
      std::vector<int64_t> samples, rows;
      for (size_t row = 0; row < batch->indices.size(); ++row)
        for (const int64_t sample : about[size_t(batch->indices[row])]) {
          samples.push_back(sample);
          rows.push_back(int64_t(row));
        }
      seen += int64_t(samples.size());
      if (!samples.empty()) evaluator.add(samples, rows, tokens);
      if (ranks && !samples.empty()) evaluator.rank(samples, rows, tokens);
      tick(seen, data.talks.size());
    }
  }
  evaluator.scores.left_out = data.talks.size() - int64_t(about_none.size()) - seen;
  if (!about_none.empty()) evaluator.add(about_none, std::vector<int64_t>(about_none.size(), -1), {});
  tick(data.talks.size(), data.talks.size());
  evaluator.finish();
  return std::move(evaluator.scores);
}

}  // namespace vitrail::recipes
