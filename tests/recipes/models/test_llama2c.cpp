#include "tests/support/close.h"
#include "tests/support/json_file.h"
#include "tests/support/messages.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_folder.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/ops.h"
#include "vitrail/nn/state_io.h"
#include "vitrail/recipes/models/language_model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace vitrail;
using namespace vitrail::recipes;
using nlohmann::json;
using test::check_refused;
using test::max_difference;
using test::TemporaryFolder;

namespace {

/// The numbers of llama_stories260k_golden.json, and the folder of the weights that made them. Nothing, with a line in
/// the log, if one of them is missing.
struct Stories {
  json golden;
  std::filesystem::path folder;

  static std::optional<Stories> find() {
    const auto file = test::reference_path("llama_stories260k_golden.json");
    const char* const data = std::getenv("VITRAIL_DATA");
    if (!data) MESSAGE("not run: set VITRAIL_DATA to the folder that holds llama/stories260K.bin");
    if (!data || !file) return std::nullopt;
    return Stories{test::read_json(*file), std::filesystem::path(data) / "llama"};
  }
  /// In f64, as the golden numbers.
  std::unique_ptr<nn::Llama> model(const char* name = "stories260K.bin") const {
    const Llama2c file = read_llama2c(folder / name);
    auto model = std::make_unique<nn::Llama>(nn::Scope(0, DType::f64).without_values(), file.config);
    nn::load_state(*model, file.weights, name);
    return model;
  }
  /// A list of ids as i64 [1, T].
  static Tensor ids(const json& list) {
    const auto values = list.get<std::vector<int64_t>>();
    return tensor(values, {1, int64_t(values.size())});
  }
};

int64_t likeliest(const Tensor& logits) {
  const std::vector<double> row = logits.to_vector();
  return std::max_element(row.begin(), row.end()) - row.begin();
}

/// The likeliest next token, `count` times, through a cache.
std::vector<int64_t> greedy_ids(nn::Llama& model, std::vector<int64_t> text, int64_t count) {
  nn::KvCache cache;
  std::vector<int64_t> answer;
  while (int64_t(answer.size()) < count) {
    const Tensor hidden = model.hidden(model.embed(tensor(text, {1, int64_t(text.size())})), &cache).value();
    answer.push_back(likeliest(model.logits(hidden.slice(1, hidden.size(1) - 1, hidden.size(1))).value()));
    text = {answer.back()};
  }
  return answer;
}

template <class T>
void put(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put(std::string& bytes, const Tensor& t) {
  bytes.append(reinterpret_cast<const char*>(t.contiguous().raw()), size_t(t.nbytes()));
}

/// A matrix as version 2 keeps it: int8 in groups, then their scales.
void put_groups(std::string& bytes, const Tensor& t, int64_t group) {
  const Tensor dense = t.contiguous();
  const auto values = dense.span<float>();
  std::vector<float> scales;
  for (size_t begin = 0; begin < values.size(); begin += size_t(group)) {
    float most = 0;
    for (size_t i = begin; i < begin + size_t(group); ++i) most = std::max(most, std::abs(values[i]));
    scales.push_back(most / 127);
    for (size_t i = begin; i < begin + size_t(group); ++i)
      put(bytes, int8_t(scales.back() == 0 ? 0 : std::lround(values[i] / scales.back())));
  }
  for (const float scale : scales) put(bytes, scale);
}

/// Our rows of queries or keys in the order of llama2.c.
Tensor in_pairs(const Tensor& rows, int64_t heads) {
  const int64_t in = rows.size(1), half = rows.size(0) / heads / 2;
  return rows.reshape({heads, 2, half, in}).transpose(1, 2).contiguous().reshape({-1, in});
}

/// A checkpoint of that version with random weights, and the weights.
std::string checkpoint(int version, const nn::Llama& model, int64_t group = 4) {
  const nn::LlamaConfig& c = model.config;
  TensorMap w = nn::state(model);
  for (int64_t i = 0; i < c.depth; ++i) {
    const std::string attn = "layers." + std::to_string(i) + ".self_attn.";
    w[attn + "q_proj.weight"] = in_pairs(w[attn + "q_proj.weight"], c.num_heads);
    w[attn + "k_proj.weight"] = in_pairs(w[attn + "k_proj.weight"], c.num_kv_heads);
  }
  std::string bytes;
  if (version > 0) put(bytes, uint32_t(0x616b3432)), put(bytes, int32_t(version));
  for (const int64_t size : {c.embed_dim, c.hidden_dim, c.depth, c.num_heads, c.num_kv_heads,
                             version == 0 && !c.tied ? -c.vocab_size : c.vocab_size, c.context_length})
    put(bytes, int32_t(size));
  if (version > 0) put(bytes, uint8_t(c.tied));
  if (version == 2) put(bytes, int32_t(group));
  if (version > 0) bytes.resize(256);
  const auto matrix = [&](const Tensor& t) { version == 2 ? put_groups(bytes, t, group) : put(bytes, t); };
  const auto each = [&](const char* name, bool norm = false) {
    for (int64_t i = 0; i < c.depth; ++i) {
      const Tensor& t = w.at("layers." + std::to_string(i) + "." + name + ".weight");
      norm ? put(bytes, t) : matrix(t);
    }
  };
  const auto attention = [&] {
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"})
      each(name);
  };
  const auto feed_forward = [&] {
    for (const char* name : {"mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"}) each(name);
  };
  if (version == 0) {
    matrix(w.at("embed_tokens.weight")), each("input_layernorm", true), attention();
    each("post_attention_layernorm", true), feed_forward(), put(bytes, w.at("norm.weight"));
    bytes.append(size_t(c.context_length * c.head_dim) * 4, 'x');
  } else {
    each("input_layernorm", true), each("post_attention_layernorm", true), put(bytes, w.at("norm.weight"));
    matrix(w.at("embed_tokens.weight")), attention(), feed_forward();
  }
  if (!c.tied) matrix(w.at("lm_head.weight"));
  return bytes;
}

nn::LlamaConfig small_llama(bool tied) {
  return {.vocab_size = 10,
          .embed_dim = 8,
          .hidden_dim = 12,
          .depth = 2,
          .num_heads = 2,
          .num_kv_heads = 1,
          .tied = tied,
          .context_length = 6};
}

}  // namespace

TEST_CASE("llama2.c: stories260K gives the golden logits") {
  const auto stories = Stories::find();
  if (!stories) return;
  const json& expected = stories->golden["logits"];
  for (const char* name : {"stories260K.bin", "stories260K_v1.bin"}) {
    CAPTURE(name);
    const auto model = stories->model(name);
    CHECK(model->config.num_kv_heads == 4);
    CHECK(model->config.tied);
    const Tensor logits = (*model)(Stories::ids(expected["ids"])).value();
    const auto values = expected["last_position"].get<std::vector<double>>();
    CHECK(max_difference(logits[0][-1], tensor(values, {512})) < 1e-7);  // the file rounds to nine digits
  }
}

TEST_CASE("llama2.c: stories260K tells the golden stories") {
  const auto stories = Stories::find();
  if (!stories) return;
  const auto model = stories->model();
  const auto expected = stories->golden["greedy"]["ids"].get<std::vector<int64_t>>();
  CHECK(greedy_ids(*model, {1}, 256) == expected);
  // A story that goes on from a prompt: its first ids are the prompt.
  const auto prompted = stories->golden["greedy_prompted"]["ids"].get<std::vector<int64_t>>();
  constexpr size_t kPrompt = 12;
  std::vector<int64_t> text = {1};
  text.insert(text.end(), prompted.begin(), prompted.begin() + kPrompt);
  CHECK(greedy_ids(*model, text, int64_t(prompted.size() - kPrompt)) ==
        std::vector<int64_t>(prompted.begin() + kPrompt, prompted.end()));
}

TEST_CASE("llama2.c: stories260K has the golden loss and gradients") {
  const auto stories = Stories::find();
  if (!stories) return;
  const json& expected = stories->golden["train"];
  const auto model = stories->model();
  ag::Tape tape;
  const ag::Var logits = (*model)(Stories::ids(expected["input_ids"]));
  const ag::Var loss =
      ag::cross_entropy(ag::reshape(logits, {64, 512}), Stories::ids(expected["target_ids"]).reshape({-1}));
  CHECK(loss.item() == doctest::Approx(expected["mean_cross_entropy"].get<double>()).epsilon(1e-12));
  tape.backward(loss);

  const std::vector<std::pair<std::string, std::string>> names = {{"tok_embeddings (tied output)", "embed_tokens"},
                                                                  {"attention_norm", "layers.*.input_layernorm"},
                                                                  {"wq", "layers.*.self_attn.q_proj"},
                                                                  {"wk", "layers.*.self_attn.k_proj"},
                                                                  {"wv", "layers.*.self_attn.v_proj"},
                                                                  {"wo", "layers.*.self_attn.o_proj"},
                                                                  {"ffn_norm", "layers.*.post_attention_layernorm"},
                                                                  {"w1", "layers.*.mlp.gate_proj"},
                                                                  {"w2", "layers.*.mlp.down_proj"},
                                                                  {"w3", "layers.*.mlp.up_proj"},
                                                                  {"norm", "norm"}};
  REQUIRE(expected["grad_l2"].size() == names.size());
  for (const auto& pair : names) {
    const std::string &theirs = pair.first, &ours = pair.second;
    CAPTURE(theirs);
    double squares = 0;
    const size_t star = ours.find('*');
    for (int64_t i = 0; i < (star == std::string::npos ? 1 : model->config.depth); ++i) {
      std::string name = ours + ".weight";
      if (star != std::string::npos) name.replace(star, 1, std::to_string(i));
      const std::vector<double> g = model->parameter(name).grad().to_vector();
      for (const double v : g) squares += v * v;
      if (i > 0) continue;
      for (size_t k = 0; k < 3; ++k)  // the first row of queries and keys is the same in both layouts
        CHECK(g[k] == doctest::Approx(expected["grad_first3"][theirs][k].get<double>()).epsilon(1e-9));
    }
    CHECK(std::sqrt(squares) == doctest::Approx(expected["grad_l2"][theirs].get<double>()).epsilon(1e-10));
  }
}

TEST_CASE("llama2.c: all versions give back the weights that were written") {
  const TemporaryFolder folder;
  for (const bool tied : {true, false}) {
    nn::Llama model(nn::Scope(3), small_llama(tied));
    for (const int version : {0, 1, 2}) {
      CAPTURE(version);
      CAPTURE(tied);
      durable_write(folder.path() / "model.bin", checkpoint(version, model));
      const Llama2c read = read_llama2c(folder.path() / "model.bin");
      CHECK(read.config.tied == tied);
      CHECK(read.config.rms_eps == 1e-5);
      const TensorMap expected = nn::state(model);
      REQUIRE(nn::compare(expected, read.weights).ok());
      const double allowed = version == 2 ? 0.05 / 127 : 0;  // half a step of the largest weight
      for (const auto& weight : expected) {
        CAPTURE(weight.first);
        CHECK(max_difference(read.weights.at(weight.first), weight.second) <= allowed);
      }
    }
  }
}

TEST_CASE("llama2.c: opens as a language model, mapped, and refuses what is no checkpoint") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "model.bin";
  nn::Llama model(nn::Scope(3), small_llama(false));
  const std::string bytes = checkpoint(0, model);
  durable_write(file, bytes);
  CHECK(is_language_model(file));
  const LanguageModel opened = open_language_model(file);
  CHECK(opened.dtype() == DType::f32);
  CHECK(opened.config.bos == 1);
  CHECK(opened.config.llama.head_dim == 4);
  CHECK_FALSE(opened.llama->embed_tokens.weight.requires_grad());
  const Tensor ids = tensor({int64_t(1), int64_t(7), int64_t(3)}, {1, 3});
  CHECK(max_difference((*opened.llama)(ids).value(), model(ids).value()) < 1e-6);
  CHECK(open_language_model(file, {.dtype = DType::bf16}).dtype() == DType::bf16);
  CHECK(open_language_model(file, {.trained = true}).llama->embed_tokens.weight.requires_grad());

  const auto refused = [&](const std::string& content, const std::string& text) {
    durable_write(file, content);
    check_refused([&] { read_llama2c(file); }, text);
  };
  durable_write(file, "PK\3\4" + std::string(100, '\0'));  // PyTorch's
  CHECK_FALSE(is_language_model(file));
  refused("", "has 0 bytes; the header of a checkpoint has 28");
  refused(bytes.substr(0, 100), "has 100 bytes; a checkpoint of version 0 with the sizes of its header");
  refused(bytes + "12", std::to_string(bytes.size()));
  refused(std::string(200, '\7'), "is no checkpoint of llama2.c");
  std::string marked = checkpoint(1, model);
  marked[4] = 3;
  refused(marked, "is of version 3; versions 0, 1 and 2 are read");
  refused(checkpoint(1, model).substr(0, 40), "cut off in its header");
  std::string odd = checkpoint(2, model);
  odd[37] = 7;
  refused(odd, "groups of 7 weights do not fill a matrix");
  std::string broken = bytes;
  const float infinite = INFINITY;
  std::memcpy(broken.data() + 28, &infinite, 4);
  durable_write(file, broken);
  check_refused([&] { open_language_model(file); }, "'embed_tokens.weight' [10, 8] has inf at [0, 0]");
  check_refused([&] { open_language_model(folder.path() / "none.bin"); }, "none.bin: no such file or folder");
}
