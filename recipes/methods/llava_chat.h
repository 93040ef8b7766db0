// A model that sees, ready to talk: a run of llava, or a folder of Hugging Face.
#pragma once

#include "vitrail/data/image/image.h"
#include "vitrail/nn/kv_cache.h"
#include "vitrail/nn/models/llava.h"
#include "vitrail/recipes/build/preprocessing.h"
#include "vitrail/recipes/generate/generate.h"
#include "vitrail/recipes/methods/llava_data.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::recipes {

struct ChatModel {
  std::filesystem::path source;                 // the file of the weights
  std::shared_ptr<const LlavaConfig> settings;  // the run's recipe; of a folder, the defaults with the changes
  std::shared_ptr<nn::Llava> llava;             // in evaluation mode
  std::shared_ptr<const data::LanguageTokenizer> tokenizer;
  const data::PromptTemplate* form = nullptr;
  std::optional<std::string> system = {};  // in place of the template's own sentence, where a conversation has none
  Preprocessing preprocessing;
  DType precision = DType::f32;
  std::vector<std::string> notes;  // assumptions made to open it

  /// The words around turns, and the tokens of an image.
  LlavaWords words() const { return {*tokenizer, *form, llava->config.image_tokens()}; }
};

struct ChatModelOptions {
  std::vector<std::string> changes = {};      // key=value, of the run's recipe, or of a recipe for the folder
  std::string prompt = {};                    // name of the template; empty: the model's own
  std::vector<std::string> accept_keys = {};  // of a folder, keys of config.json to pass over
  std::filesystem::path tower = {};           // see LlavaOptions
  std::string base = {};                      // of an adapter: its base model; empty: where the adapter's file says
};

/// Whether the path is such a model: a folder for open_llava, a run of llava or one of its checkpoints, or an adapter
/// of PEFT for one of them. base: as in ChatModelOptions.
bool is_chat_model(const std::filesystem::path& path, const std::string& base = "");
/// Throws as open_llava, open_chat_template and open_run; ConfigError for a run of another method, changes that do not
/// fit or an unknown template.
ChatModel open_chat_model(const std::filesystem::path& path, const ChatModelOptions& options = {});

struct ReplyOptions {
  int64_t max_tokens = 512;
  Sampling sampling = {};
};

struct Reply {
  std::string text;
  std::string_view stop;       // why it ended, see to_string(Stop); "stop string"
  double image_seconds = 0;    // of the tower, if the image was looked at for this reply
  int64_t read = 0, said = 0;  // tokens that were read for this reply, and tokens of the answer
  double read_seconds = 0, said_seconds = 0;
};

/// Talks about one image, or about none. What a conversation has in common with the one before it is not read again:
/// the image of several questions, and the turns so far.
class Chat final {
 public:
  /// model outlives this. image: an image to talk about; null: none.
  Chat(const ChatModel& model, const data::Image* image);

  /// Goes on with a conversation whose last turn is the user's. show: called with each piece of the answer as it comes;
  /// returns false to end the answer there.
  /// Throws DataError if it names an image and there is none; ShapeError if it does not fit the context.
  Reply reply(const data::Conversation& conversation, const ReplyOptions& options,
              const std::function<bool(const std::string&)>& show = {});

 private:
  const ChatModel& model_;
  Tensor pixels_;             // [1, 3, H, W], or undefined
  ag::Var image_;             // of nn::Llava::project(), when it has been looked at
  std::vector<int64_t> ids_;  // of the tokens in cache_
  nn::KvCache cache_;
};

}  // namespace vitrail::recipes
