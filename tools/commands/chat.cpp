// vitrail chat: a conversation with a model that sees. vitrail caption: what it says about each of many images.
#include "tools/commands/commands.h"
#include "tools/commands/image_files.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/published_arguments.h"
#include "tools/commands/skip_option.h"
#include "tools/commands/table.h"
#include "tools/commands/terminal_progress.h"
#include "tools/json_text.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/methods/llava_chat.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

/// The options of both commands.
struct TalkOptions {
  std::string model, prompt, tower, system;
  PublishedArguments published;
  int64_t max_tokens = 512, top_k = 0;
  double temperature = 0, top_p = 1;
  uint64_t seed = 0;
  bool json = false;

  void add_to(const Command& command) {
    command.option("--template", prompt, "the words around questions and answers, if not the model's own: v1, chatml");
    command.option("-n,--max-tokens", max_tokens, "tokens of an answer at most").range(1, int64_t{1} << 24);
    command.option("--temperature", temperature, "divides the logits; 0: always the likeliest token");
    command.option("--top-k", top_k, "draw from the k likeliest tokens; 0: all").range(0, int64_t{1} << 24);
    command.option("--top-p", top_p, "draw from the likeliest tokens that reach this probability together").fraction();
    command.option("--seed", seed, "of drawing; the same seed repeats an answer");
    command.option("--tower", tower, "folder of a CLIP, for folders of LLaVA's own program, which lack it");
    published.add_to(command);
  }
  ChatModel open() const {
    ChatModel chat = open_chat_model(
        model, {.prompt = prompt, .accept_keys = published.accept_keys, .tower = tower, .base = published.base});
    print_notes(model, chat.notes);
    return chat;
  }
  ReplyOptions reply() const {
    return {.max_tokens = max_tokens,
            .sampling = {.temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = seed}};
  }
};

constexpr const char* kSeeingModel =
    "run of the method llava or its checkpoint, folder of a LLaVA, Idefics3 or SmolVLM (Hugging Face), or of an "
    "adapter "
    "for one (PEFT)";

/// While it lives, Ctrl-C ends the answer and not the program.
class AnswerInterrupt final {
 public:
  AnswerInterrupt() {
    signalled = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { signalled = 1; };
    ::sigaction(SIGINT, &action, &before_);
  }
  ~AnswerInterrupt() { ::sigaction(SIGINT, &before_, nullptr); }
  AnswerInterrupt(const AnswerInterrupt&) = delete;
  AnswerInterrupt& operator=(const AnswerInterrupt&) = delete;

  static bool arrived() { return signalled != 0; }

 private:
  static inline volatile sig_atomic_t signalled = 0;
  struct sigaction before_ = {};
};

nlohmann::ordered_json to_json(const Reply& reply) {
  return {{"answer", reply.text},
          {"stop", reply.stop},
          {"image_seconds", reply.image_seconds},
          {"prompt_tokens", reply.read},
          {"prompt_seconds", reply.read_seconds},
          {"tokens", reply.said},
          {"seconds", reply.said_seconds}};
}

/// "image 0.7 s, 616 tokens in 9.8 s, 24 tokens at 3.4/s"
std::string cost_text(const Reply& reply) {
  std::string text = reply.image_seconds > 0 ? fmt::format("image {:.3g} s, ", reply.image_seconds) : "";
  text += fmt::format("{} tokens in {:.3g} s, {} tokens", reply.read, reply.read_seconds, reply.said);
  if (reply.said > 1 && reply.said_seconds > 0)
    text += fmt::format(" at {:.3g}/s", double(reply.said - 1) / reply.said_seconds);
  return text;
}

data::Turn user_turn(const std::string& question, bool about_image) {
  return {data::Role::user, (about_image ? std::string(data::kImageMark) + "\n" : "") + question};
}

// ---- chat -----------------------------------------------------------------------------------------------------------

struct ChatOptions : TalkOptions {
  std::string image;
  std::vector<std::string> questions;
};

/// The conversation of one run of the program.
class Talk final {
 public:
  explicit Talk(const ChatOptions& options) : options_(options), model_(options.open()) { show(options.image); }

  /// Each question by itself. The image is read once.
  void answer_all() {
    nlohmann::ordered_json answers = nlohmann::ordered_json::array();
    for (const std::string& question : options_.questions) {
      conversation_.turns = {user_turn(question, has_image_)};
      if (!options_.json && options_.questions.size() > 1) fmt::print("> {}\n", on_one_line(question));
      const Reply reply = answer();
      nlohmann::ordered_json row = {{"question", question}};
      row.update(to_json(reply));
      answers.push_back(std::move(row));
    }
    if (!options_.json) return;
    const nlohmann::ordered_json result = {{"model", model_.source.string()},
                                           {"image", options_.image},
                                           {"template", std::string(model_.form->name)},
                                           {"answers", std::move(answers)}};
    fmt::print("{}\n", json_text(result));
  }

  void converse() {
    fmt::print(stderr,
               "Ask about the image. /clear begins anew, /image FILE shows another one; Ctrl-C ends an answer, "
               "Ctrl-D the conversation.\n");
    for (std::string line; prompt(), std::getline(std::cin, line);) {
      if (line.find_first_not_of(" \t\r") == line.npos) continue;
      if (line == "/clear") {
        conversation_.turns.clear();
      } else if (line.starts_with("/image ")) {
        try {
          show(line.substr(7));
        } catch (const Error& error) {
          fmt::print(stderr, "{}\n", error.what());
        }
      } else {
        say(line);
      }
    }
    fmt::print("\n");
  }

 private:
  static void prompt() {
    fmt::print("> ");
    std::fflush(stdout);
  }

  void show(const std::string& file) {
    std::optional<data::Image> image;
    if (!file.empty()) image = data::read_image(file);
    chat_.emplace(model_, image ? &*image : nullptr);
    has_image_ = image.has_value();
    conversation_.turns.clear();
    if (!options_.system.empty()) conversation_.system = options_.system;
  }

  /// A question and its answer join the conversation, unless the answer fails.
  void say(const std::string& question) {
    const auto before = conversation_.turns;
    conversation_.turns.push_back(user_turn(question, has_image_ && before.empty()));
    try {
      conversation_.turns.push_back({data::Role::assistant, answer().text});
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n/clear begins anew\n", error.what());
      conversation_.turns = before;
    }
  }

  Reply answer() {
    const AnswerInterrupt interrupt;
    Reply reply = chat_->reply(conversation_, options_.reply(), [&](const std::string& piece) {
      if (!options_.json) {
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        std::fflush(stdout);
      }
      return !AnswerInterrupt::arrived();
    });
    if (options_.json) return reply;
    fmt::print("\n");
    std::fflush(stdout);
    fmt::print(stderr, "[{}]\n", cost_text(reply));
    return reply;
  }

  const ChatOptions& options_;
  const ChatModel model_;
  std::optional<Chat> chat_;
  data::Conversation conversation_;
  bool has_image_ = false;
};

void chat(const ChatOptions& options) {
  check<ConfigError>(!options.json || !options.questions.empty(), "chat", "--json prints answers to --ask \"...\"");
  Talk talk(options);
  options.questions.empty() ? talk.converse() : talk.answer_all();
}

// ---- caption --------------------------------------------------------------------------------------------------------

struct CaptionOptions : TalkOptions {
  std::vector<std::string> paths;
  std::string ask = "Describe the image.";
  SkipOption skip;
};

void caption(const CaptionOptions& options) {
  std::vector<std::string> files;
  for (const std::string& path : options.paths) add_images(files, path, options.skip);
  const ChatModel model = options.open();
  data::BadFiles bad_files = options.skip.bad_files();
  TerminalProgress progress;
  const Tick tick = progress.tick("caption");
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (size_t i = 0; i < files.size(); ++i) {
    std::optional<data::Image> image;
    try {
      image = data::read_image(files[i]);
    } catch (const IoError& error) {
      if (!options.skip.skips()) throw;
      progress.message(error.what());
      continue;
    }
    Chat chat(model, &*image);
    const Reply reply = chat.reply({{user_turn(options.ask, true)}, {}}, options.reply());
    if (options.json)
      rows.push_back({{"image", files[i]}, {"caption", reply.text}, {"stop", reply.stop}});
    else
      fmt::print("{}\t{}\n", on_one_line(files[i]), on_one_line(reply.text));
    std::fflush(stdout);
    tick(int64_t(i) + 1, int64_t(files.size()));
  }
  if (options.json) fmt::print("{}\n", json_text(rows));
}

}  // namespace

void add_chat(Program& program) {
  const auto o = std::make_shared<ChatOptions>();
  o->temperature = 0.2;
  const Command command = program.command("chat", "Talks with a model that sees about an image.");
  command.option("model", o->model, kSeeingModel).required();
  command.option("image", o->image, "the image; without one, about nothing");
  command.option("--ask", o->questions, "answer this question and end; may be repeated, each by itself").one_each();
  o->add_to(command);
  command.option("--system", o->system, "the sentence in front, in place of the template's own");
  command.flag("--json", o->json, "with --ask: print one JSON object");
  command.example("vitrail chat runs/llava_easy_vqa-2025-01-31-1 photo.png --ask \"what color is the shape?\"");
  command.action([o] { chat(*o); });
}

void add_caption(Program& program) {
  const auto o = std::make_shared<CaptionOptions>();
  o->max_tokens = 128;
  const Command command = program.command("caption", "Says what is in images, with a model that sees.");
  command.option("model", o->model, kSeeingModel).required();
  command.option("images", o->paths, "images, or folders of images").required();
  command.option("--ask", o->ask, "what the model is asked, unless its template is for captions alone");
  o->add_to(command);
  o->skip.add_to(command);
  command.flag("--json", o->json, "print a JSON array");
  command.example("vitrail caption runs/llava_shapes-2025-01-31-1 photos/");
  command.action([o] { caption(*o); });
}

}  // namespace vitrail::tools
