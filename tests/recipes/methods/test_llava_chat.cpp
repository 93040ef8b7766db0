#include "tests/support/small_llava.h"
#include "tests/support/text_file.h"
#include "tests/support/training_run.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/methods/llava_answer.h"
#include "vitrail/recipes/methods/llava_chat.h"
#include "vitrail/recipes/methods/llava_eval.h"
#include "vitrail/recipes/models/llava_model.h"

#include <doctest/doctest.h>

using namespace vitrail;
using namespace vitrail::recipes;
using test::SmallLlava;
using test::SquareQuestions;

namespace {

struct TrainedLlava {
  SquareQuestions data;
  std::filesystem::path run = data.path() / "run";
  ChatModel model;

  explicit TrainedLlava(const std::vector<std::string>& changes = {}) {
    std::vector<std::string> all = {"train.epochs=40", "eval.every=40"};
    all.insert(all.end(), changes.begin(), changes.end());
    SmallLlava llava(data, all);
    test::run(*llava.recipe, RunFolder::create(run, "squares"), llava.config.yaml(false));
    model = open_chat_model(run);
  }
  data::Image image(const char* name) const { return data::read_image(data.path() / "squares" / name); }
};

data::Conversation question(const std::string& text) {
  return {{{data::Role::user, "<image>\n" + text}}, std::nullopt};
}

}  // namespace

TEST_CASE("a chat reads the image once for several questions, and earlier turns once") {
  for (const std::vector<std::string>& changes :
       {std::vector<std::string>{},
        {"tower.kind=patches", "tower.pixel_shuffle=1", "tower.prefix=true", "data.group=length"}}) {
    const TrainedLlava trained(changes);
    const data::Image red = trained.image("red1.png");
    const ReplyOptions options{.max_tokens = 8};
    Chat chat(trained.model, &red);
    const Reply colour = chat.reply(question("which colour?"), options);
    const Reply is_red = chat.reply(question("is it red?"), options);
    CHECK(colour.image_seconds > 0);
    CHECK(is_red.image_seconds == 0);
    const int64_t image_tokens = trained.model.words().image_tokens;
    CHECK(colour.read > image_tokens);
    CHECK(is_red.read < image_tokens + 40);
    CHECK(is_red.read < colour.read);

    // The same as each by itself, and as answers in a batch.
    for (const auto& [asked, reply] : {std::pair("which colour?", colour), std::pair("is it red?", is_red)}) {
      Chat alone(trained.model, &red);
      CHECK(alone.reply(question(asked), options).text == reply.text);
      const ag::NoGrad no_grad;
      const std::vector<data::Image> images = {red};
      const ag::Var seen =
          trained.model.llava->project(trained.model.llava->features(trained.model.preprocessing.batch(images)));
      const std::vector<std::vector<int64_t>> prompts = {prompt_ids(question(asked), trained.model.words())};
      CHECK(likeliest_answers(*trained.model.llava, trained.model.words(), prompts, {0}, seen, 8, 4)[0] ==
            trimmed_answer(reply.text));
    }

    // A second turn reads neither the image nor the first turn again.
    data::Conversation talk = question("which colour?");
    const Reply first = chat.reply(talk, options);
    talk.turns.push_back({data::Role::assistant, first.text});
    talk.turns.push_back({data::Role::user, "is it red?"});
    const Reply second = chat.reply(talk, options);
    Chat anew(trained.model, &red);
    const Reply whole = anew.reply(talk, options);
    CHECK(whole.text == second.text);
    CHECK(second.read < whole.read - image_tokens);
  }
}

TEST_CASE("a chat shows whole pieces, ends where it is told to, and knows what it cannot answer") {
  const TrainedLlava trained;
  const data::Image blue = trained.image("blue1.png");
  Chat chat(trained.model, &blue);
  std::string shown;
  const Reply all = chat.reply(question("which colour?"), {.max_tokens = 8}, [&](const std::string& piece) {
    shown += piece;
    return true;
  });
  CHECK(shown == all.text);
  CHECK(!all.text.starts_with(" "));
  const Reply cut = chat.reply(question("which colour?"), {.max_tokens = 8}, [](const std::string&) { return false; });
  CHECK(cut.text.size() == 1);
  CHECK(all.text.starts_with(cut.text));
  CHECK(cut.stop == "stopped");
  const Reply drawn =
      chat.reply(question("which colour?"), {.max_tokens = 8, .sampling = {.temperature = 2, .seed = 3}});
  const Reply again =
      chat.reply(question("which colour?"), {.max_tokens = 8, .sampling = {.temperature = 2, .seed = 3}});
  CHECK(drawn.text == again.text);

  Chat blind(trained.model, nullptr);
  CHECK_THROWS_WITH_AS(blind.reply(question("which colour?"), {}), doctest::Contains("there is none"), DataError);
  CHECK(blind.reply({{{data::Role::user, "who are you?"}}, {}}, {.max_tokens = 4}).said <= 4);
  CHECK_THROWS_AS(chat.reply(question(std::string(500, 'x')), {}), ShapeError);
  CHECK(chat.reply(question("which colour?"), {.max_tokens = 8}).text == all.text);  // after the failure
}

TEST_CASE("a folder of Hugging Face talks, is evaluated, and is where a run starts") {
  const SquareQuestions data;
  const std::filesystem::path folder = data.path() / "hub";
  LlavaModel hub;
  nn::LlavaConfig& c = hub.config.llava;
  c.vision = {.img_size = 16, .patch_size = 4, .num_classes = 0, .embed_dim = 16, .depth = 2, .num_heads = 2};
  c.vision.pre_norm = true;
  c.vision.gelu = ag::Gelu::quick;
  c.vision.ln_eps = 1e-5;
  c.vision.pos_interp = ag::PosInterp::size;
  c.feature_layers = {-1};
  c.text = {.vocab_size = 300, .embed_dim = 8, .hidden_dim = 12, .depth = 2, .num_heads = 4, .num_kv_heads = 2};
  c.text.context_length = 256;
  hub.config.decoder.llama = c.text;
  hub.config.decoder.eos = {2};
  hub.config.image_token = 299;
  hub.config.image_size = 16;
  hub.config.preprocessing = {.size = 16, .crop = 16, .crop_offset = data::CropOffset::floor};
  hub.config.preprocessing.mean = hub.config.preprocessing.std = data::kHalfMean;
  hub.llava = std::make_shared<nn::Llava>(nn::Scope(4), c);
  write_llava(hub, folder);
  std::filesystem::copy_file(data.tokenizer(), folder / "tokenizer.bin");
  CHECK_THROWS_WITH_AS(open_chat_model(folder), doctest::Contains("--template"), ConfigError);
  CHECK(open_chat_model(folder, {.prompt = "v1"}).form->name == "v1");
  test::write_text(folder / "chat_template.jinja",
                   "{{ message['role'].upper() + ': ' }}{{ '<image>\\n' }}{{ 'ASSISTANT:' }}");

  REQUIRE(is_chat_model(folder));
  const ChatModel model = open_chat_model(folder, {.changes = {"data.root=" + data.path().string()}});
  CHECK(model.form->name == "llava_hf");
  const data::Image red = data::read_image(data.path() / "squares/red1.png");
  Chat chat(model, &red);
  CHECK(chat.reply(question("which colour?"), {.max_tokens = 3}).said <= 3);
  data::BadFiles bad_files = bad_files_policy(model.settings->data);
  const LlavaScores scores = evaluate_llava(*model.llava, model.words(), open_eval_talks(*model.settings),
                                            *model.settings, model.preprocessing, bad_files, [](int64_t, int64_t) {});
  CHECK(scores.all.questions == 12);
  CHECK(scores.families == std::vector<std::string>{"colour", "yes or no"});

  LlavaConfig settings;
  Config config(settings);
  config.read_text("recipe: llava\ndata: {template: llava_hf}\ntrain: {batch_size: 4}\n", "tune.yaml");
  config.set("init=" + folder.string());
  config.set("data.root=" + data.path().string());
  settings.settle(config);
  CHECK(settings.data.img_size == 16);
  CHECK(settings.model.tower.vit.gelu == ag::Gelu::quick);
  const auto recipe = settings.build();
  recipe->begin();
  const TensorMap weights = sub_map(recipe->state(), "model");
  for (const auto& [name, tensor] : nn::state(*hub.llava)) CHECK(weights.at(name).to_vector() == tensor.to_vector());
}

TEST_CASE("runs of llava are chat models, and others are not") {
  const TrainedLlava trained;
  CHECK(is_chat_model(trained.run));
  CHECK(is_chat_model(trained.run / "checkpoints" / "last.h5"));
  CHECK(!is_chat_model(trained.data.path()));
  CHECK(!is_chat_model("no/such/folder"));
  CHECK(trained.model.form->name == "llava_hf");
  CHECK(open_chat_model(trained.run, {.prompt = "v1"}).form->name == "v1");
  CHECK_THROWS_AS(open_chat_model(trained.run, {.prompt = "v7"}), ConfigError);
}

TEST_CASE("answers are compared without case, blanks and a full stop, and questions have families by their words") {
  CHECK(same_answer(" Red. ", "red"));
  CHECK(!same_answer("red", "reddish"));
  CHECK(!same_answer("", "red"));
  const std::vector<std::string> words = {"color", "shape"};
  CHECK(family_of_question("what color is the shape?", "red", words) == "color");
  CHECK(family_of_question("What is the blue SHAPE?", "circle", words) == "shape");
  CHECK(family_of_question("is it a circle?", "No", words) == "yes/no");
  CHECK(family_of_question("how many?", "3", words) == "other");
}
