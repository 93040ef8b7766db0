// How well a model that sees tells about images: the loss of right answers, questions answered, captions told apart.
#pragma once

#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/methods/llava_data.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail::recipes {

/// A question of the data and what the model says to it.
struct AnsweredQuestion {
  int64_t sample = 0;  // its number among the conversations
  std::string answer;
  std::string blank;  // about an image of the mean colour; empty if that is not asked
};

/// How many questions are answered right.
struct RightAnswers {
  int64_t questions = 0, right = 0, right_blank = 0;

  /// Shares of right answers, with the images and with blank ones; 0 without questions.
  double accuracy() const { return questions > 0 ? double(right) / double(questions) : 0; }
  double accuracy_blank() const { return questions > 0 ? double(right_blank) / double(questions) : 0; }
};

struct LlavaScores {
  double loss = 0;  // mean over the tokens of all answers
  int64_t tokens = 0, conversations = 0, left_out = 0;
  std::vector<AnsweredQuestion> answered;  // empty: questions were not asked
  bool blank = false;
  RightAnswers all;
  std::vector<std::string> families;
  std::vector<RightAnswers> by_family;
  int64_t ranked = 0, ranked_first = 0;  // images, and those whose own caption is the likeliest

  /// "loss", "perplexity", and what was measured of: "accuracy" and "accuracy_blank", with "_FAMILY" for each family;
  /// "ranked_first". Shares are fractions.
  Stats stats() const;
  /// accuracy, ranked_first, or -loss: the first of them that was measured; and its name.
  double score() const;
  std::string score_name() const;
};

/// Whether two answers are the same, apart from spaces around them, case, and a full stop.
bool same_answer(std::string_view a, std::string_view b);

/// Runs the model in evaluation mode over the data, in the compute type of ag::Autocast. Images are looked at once.
/// Questions are answered by the likeliest token each time. With captions (words.form.captions), images are ranked.
/// Throws: DataError if no image can be read; as data::label_segments; what tick throws.
LlavaScores evaluate_llava(nn::Llava& model, const LlavaWords& words, const LlavaEvalData& data,
                           const LlavaConfig& config, const Preprocessing& pixels, data::BadFiles& bad_files,
                           const Tick& tick);

/// The mean loss of the labelled tokens of each text: B numbers. images: as in nn::Llava::embed.
std::vector<double> losses_of(nn::Llava& model, const nn::Splice& batch, const ag::Var& images);

}  // namespace vitrail::recipes
