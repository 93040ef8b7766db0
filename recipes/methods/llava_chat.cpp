#include "vitrail/recipes/methods/llava_chat.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/data/text/chat_template.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/config/config.h"
#include "vitrail/recipes/methods/llava_answer.h"
#include "vitrail/recipes/methods/llava_start.h"
#include "vitrail/recipes/models/llava_model.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/models/peft_adapter.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

namespace vitrail::recipes {
namespace {

namespace fs = std::filesystem;

ChatModel open_hub_model(const fs::path& path, const ChatModelOptions& options) {
  LlavaModel opened =
      open_llava(path, {.accept_keys = options.accept_keys, .tower = options.tower, .base = options.base});
  const fs::path folder = opened.source.parent_path();  // of the base, if path is an adapter
  const auto settings = std::make_shared<LlavaConfig>();
  settings->data.img_size = opened.config.image_size;
  settings->model.decoder.set(opened.config.llava.text);
  settings->max_length = opened.config.llava.text.context_length;
  Config config(*settings);
  for (const std::string& change : options.changes) config.set(change);
  ChatModel model{.source = opened.source,
                  .settings = settings,
                  .llava = opened.llava,
                  .tokenizer = data::open_language_tokenizer(folder),
                  .preprocessing = opened.config.preprocessing,
                  .precision = opened.dtype(),
                  .notes = std::move(opened.notes)};
  const data::ChatTemplate own = options.prompt.empty()
                                     ? data::open_chat_template(folder)
                                     : data::ChatTemplate{&data::prompt_template(options.prompt), std::nullopt};
  model.form = own.form;
  model.system = own.system;
  return model;
}

/// adapter: to add to the weights of the run; may be empty.
ChatModel open_chat_run(const fs::path& path, const ChatModelOptions& options, const fs::path& adapter) {
  LlavaRun run = open_llava_run(path, options.changes);
  std::vector<std::string> notes;
  if (!adapter.empty()) add_adapter(run.weights, adapter, options.accept_keys, notes);
  const LlavaConfig& c = *run.config;
  const std::string source = run.checkpoint.string();
  ChatModel model{.source = run.checkpoint,
                  .settings = run.config,
                  .llava = std::make_shared<nn::Llava>(nn::Scope().without_values(), c.llava()),
                  .tokenizer = open_tokenizer(run.tokenizer_files),
                  .preprocessing = eval_preprocessing(c.data),
                  .precision = c.precision,
                  .notes = std::move(notes)};
  nn::load_state(*model.llava, run.weights, source);
  model.llava->freeze();
  model.llava->eval();
  model.form = &data::prompt_template(options.prompt.empty() ? c.template_name() : options.prompt);
  return model;
}

/// Tokens of the first `count` ids, when an image has become so many.
int64_t expanded_length(const std::vector<int64_t>& ids, size_t count, int64_t image_tokens) {
  const auto images = std::count(ids.begin(), ids.begin() + std::ptrdiff_t(count), data::kImageId);
  return int64_t(count) + images * (image_tokens - 1);
}

}  // namespace

bool is_chat_model(const fs::path& path, const std::string& base) {
  if (is_adapter(path)) {
    const std::optional<fs::path> found = find_base(path, base);
    return found && !is_adapter(*found) && is_chat_model(*found);
  }
  return is_llava(path) || is_llava_run(path);
}

ChatModel open_chat_model(const fs::path& path, const ChatModelOptions& options) {
  if (is_llava(path, options.base)) return open_hub_model(path, options);
  return is_adapter(path) ? open_chat_run(base_of_adapter(path, options.base), options, path)
                          : open_chat_run(path, options, {});
}

Chat::Chat(const ChatModel& model, const data::Image* image) : model_(model) {
  if (image != nullptr) pixels_ = model.preprocessing.batch({image, 1});
}

Reply Chat::reply(const data::Conversation& conversation, const ReplyOptions& options,
                  const std::function<bool(const std::string&)>& show) {
  using Clock = std::chrono::steady_clock;
  nn::Llava& llava = *model_.llava;
  const LlavaWords words = model_.words();
  const ag::NoGrad no_grad;
  const ag::Autocast precision(model_.precision);
  Reply reply;
  data::Conversation asked = conversation;
  if (!asked.system) asked.system = model_.system;
  const std::vector<int64_t> ids = data::label_segments(asked, words.form, words.tokenizer).ids;
  const bool sees = std::find(ids.begin(), ids.end(), data::kImageId) != ids.end();
  check<DataError>(!sees || pixels_.defined(), "chat", "the question is about an image, and there is none");
  if (sees && !image_.defined()) {
    const auto started = Clock::now();
    image_ = llava.project(llava.features(pixels_));
    reply.image_seconds = std::chrono::duration<double>(Clock::now() - started).count();
  }

  // The last token is always read again: it gives the first word.
  const auto differs = std::mismatch(ids.begin(), ids.end() - 1, ids_.begin(), ids_.end()).first;
  auto common = size_t(differs - ids.begin());
  const auto image_at = std::find(ids.begin(), ids.end(), data::kImageId);
  const size_t image_end = sees ? size_t(image_at - ids.begin()) + 1 : 0;
  if (llava.config.prefix && common < image_end) common = 0;  // the prefix is read in one piece
  cache_.truncate(expanded_length(ids, common, words.image_tokens));

  const std::vector<nn::LabelledText> rest = {{{ids.begin() + std::ptrdiff_t(common), ids.end()}, {}}};
  const nn::Splice batch = llava.splice(rest);
  const Tensor embeddings = llava.embed(batch, batch.images > 0 ? image_ : ag::Var()).value();
  nn::LlamaInput input;
  if (llava.config.prefix) input.prefix = expanded_length(ids, image_end, words.image_tokens);

  const AnswerEnds ends = answer_ends(words);
  AnswerText text(words.tokenizer, ends.words, false);
  const auto say = [&](std::string piece) {
    if (reply.text.empty()) piece.erase(0, piece.find_first_not_of(" \n"));
    reply.text += piece;
    return piece.empty() || !show || show(piece);
  };
  ids_.assign(ids.begin(), ids.begin() + std::ptrdiff_t(common));  // of the cache, if generate() throws
  const Generation answers =
      generate(llava.language_model, embeddings, input, cache_,
               {.max_tokens = options.max_tokens, .sampling = options.sampling, .stop_ids = ends.ids},
               [&](int64_t, int64_t id) { return say(add_token(text, words, id)) && !text.stopped(); });
  say(text.finish());
  const Answer& answer = answers.samples[0];
  ids_ = ids;
  ids_.insert(ids_.end(), answer.ids.begin(), answer.ids.end());
  while (expanded_length(ids_, ids_.size(), words.image_tokens) > cache_.length())
    ids_.pop_back();  // those not yet read
  reply.stop = text.stopped() ? "stop string" : to_string(answer.stop);
  reply.read = answers.prompt_tokens;
  reply.said = int64_t(answer.ids.size());
  reply.read_seconds = answers.prefill_seconds;
  reply.said_seconds = answers.decode_seconds;
  return reply;
}

}  // namespace vitrail::recipes
