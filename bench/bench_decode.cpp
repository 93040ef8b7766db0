// bench_decode: the speed of a decoder of 1.1 billion random weights, of TinyLlama's shape, in reading a prompt and in
// writing tokens. In the same run it measures the rate at which memory is read, the limit of decoding, and the fastest
// product, the limit of reading a prompt. bench/peer_decode.py measures PyTorch and llama.cpp.
#include "tools/command_line.h"
#include "vitrail/autograd/macs.h"
#include "vitrail/autograd/profile.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/isa.h"
#include "vitrail/core/ops/peak.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/rng.h"
#include "vitrail/nn/models/llama.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace vitrail;

struct Options {
  std::string dtype = "bf16";
  int64_t prompt = 512, tokens = 128, depth = 22;
  int threads = 0, rounds = 3;
  bool json = false, ops = false;
};

constexpr int64_t kTokensAPass = 4;            // tokens between two passes over memory
constexpr int64_t kMemory = int64_t{2} << 30;  // bytes of a pass
constexpr int64_t kRandomNumbers = int64_t{1} << 20;

class Timer {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double fastest(const std::vector<double>& seconds) { return *std::min_element(seconds.begin(), seconds.end()); }

/// TinyLlama's shape. The same million random numbers fill every matrix, in bf16.
std::unique_ptr<nn::Llama> random_decoder(const Options& o) {
  const nn::LlamaConfig config{.vocab_size = 32000,
                               .embed_dim = 2048,
                               .hidden_dim = 5632,
                               .depth = o.depth,
                               .num_heads = 32,
                               .num_kv_heads = 4,
                               .context_length = std::max<int64_t>(2048, o.prompt + o.tokens)};
  auto llama = std::make_unique<nn::Llama>(nn::Scope().without_values().frozen(DType::bf16), config);
  llama->eval();
  const Tensor numbers = Rng(0, "weights").normal({kRandomNumbers}, 0, 0.02).to(DType::bf16);
  for (nn::Parameter* p : llama->parameters())
    p->update([&](Tensor& t) {
      if (t.dtype() != DType::bf16) {
        t.fill_(1);  // gains of norms
        return;
      }
      for (int64_t i = 0; i < t.numel(); i += kRandomNumbers)
        std::memcpy(t.raw() + i * 2, numbers.raw(), size_t(std::min(kRandomNumbers, t.numel() - i) * 2));
    });
  if (o.dtype == "int8") llama->quantize_int8();
  return llama;
}

/// The logits [1, V] of the last token of ids [1, T].
Tensor read_tokens(nn::Llama& llama, const Tensor& ids, nn::KvCache& cache) {
  const Tensor hidden = llama.hidden(llama.embed(ids), &cache).value();
  return llama.logits(hidden.slice(1, hidden.size(1) - 1, hidden.size(1))).value().reshape({1, -1});
}

int64_t likeliest(const Tensor& logits) {
  const auto row = logits.span<float>();
  return std::max_element(row.begin(), row.end()) - row.begin();
}

/// Seconds of each prompt and token, GB/s of the passes between the tokens.
struct Result {
  std::vector<double> prefill, token, gbps;
  int64_t prefill_macs = 0;
  double peak_gflops = 0;
};

Result measure(nn::Llama& llama, const Options& o) {
  const ag::NoGrad no_grad;
  const ag::Autocast autocast(DType::bf16);
  Tensor memory = Tensor::empty({kMemory}, DType::u8);
  memory.fill_(1);
  Tensor prompt = Tensor::empty({1, o.prompt}, DType::i64);
  Rng rng(0, "prompt");
  for (int64_t& id : prompt.span<int64_t>()) id = rng.below(llama.config.vocab_size);

  Result r;
  for (int round = 0; round < o.rounds; ++round) {
    r.peak_gflops = std::max(r.peak_gflops, core::peak_gflops(DType::bf16));
    nn::KvCache cache;
    const int64_t macs = ag::macs();
    const Timer prefill;
    int64_t next = likeliest(read_tokens(llama, prompt, cache));
    r.prefill.push_back(prefill.seconds());
    r.prefill_macs = ag::macs() - macs;
    for (int64_t i = 0; i < o.tokens; ++i) {
      if (i % kTokensAPass == 0) r.gbps.push_back(core::read_gbps(memory));
      const Timer token;
      next = likeliest(read_tokens(llama, tensor<int64_t>({next}, {1, 1}), cache));
      r.token.push_back(token.seconds());
    }
  }
  return r;
}

/// The operations of reading the prompt, or of writing tokens.
void print_ops(const char* what, const ag::Profile& profile) {
  std::printf("%s\n%-28s %6s %9s %9s %8s\n", what, "operation", "calls", "ms", "GFLOP/s", "GB/s");
  for (const ag::ProfileRow& row : profile.rows())
    std::printf("%-28s %6lld %9.2f %9.1f %8.1f\n", row.op.c_str(), static_cast<long long>(row.calls), 1e3 * row.seconds,
                2e-9 * double(row.macs) / row.seconds, 1e-9 * double(row.bytes) / row.seconds);
}

void show_ops(nn::Llama& llama, const Options& o) {
  const ag::NoGrad no_grad;
  const ag::Autocast autocast(DType::bf16);
  nn::KvCache cache;
  const Tensor prompt = zeros({1, o.prompt}, DType::i64);
  {
    const ag::Profile profile;
    read_tokens(llama, prompt, cache);
    print_ops("reading the prompt", profile);
  }
  const ag::Profile profile;
  for (int64_t i = 0; i < 16; ++i) read_tokens(llama, prompt.slice(1, 0, 1), cache);
  print_ops("writing 16 tokens", profile);
}

int bench_decode(int argc, char** argv) {
  spin_briefly(argv);
  Options o;
  tools::Program program("bench_decode", "Times a decoder of TinyLlama's shape with random weights.");
  program.option("--dtype", o.dtype, "type of the weights").choices({"bf16", "int8"});
  program.option("--prompt", o.prompt, "tokens that are read at once").positive();
  program.option("--tokens", o.tokens, "tokens that are written, one by one").positive();
  program.option("--depth", o.depth, "layers; 22 have 1.1 billion weights").positive();
  program.option("--rounds", o.rounds, "how often all is measured").positive();
  program.option("--threads", o.threads, "compute threads; 0: all");
  program.flag("--ops", o.ops, "also print the time of each operation");
  program.flag("--json", o.json, "print one JSON object");
  program.example("bench_decode --dtype int8 --threads 1");
  if (const auto code = program.parse(argc, argv)) return *code;
  if (o.threads > 0) set_num_threads(o.threads);
  const std::unique_ptr<nn::Llama> llama = random_decoder(o);
  if (o.ops) show_ops(*llama, o);
  const Result r = measure(*llama, o);

  const double seconds = fastest(r.prefill), gflops = 2e-9 * double(r.prefill_macs) / seconds;
  const double gb = 1e-9 * double(llama->bytes_per_token()), read = *std::max_element(r.gbps.begin(), r.gbps.end());
  const nlohmann::ordered_json result{{"engine", "vitrail"},
                                      {"dtype", o.dtype},
                                      {"threads", num_threads()},
                                      {"isa", isa()},
                                      {"prompt", o.prompt},
                                      {"tokens", o.tokens},
                                      {"depth", o.depth},
                                      {"prefill_tokens_per_s", double(o.prompt) / seconds},
                                      {"prefill_gflops", gflops},
                                      {"peak_gflops", r.peak_gflops},
                                      {"prefill_share", gflops / r.peak_gflops},
                                      {"decode_tokens_per_s", 1 / fastest(r.token)},
                                      {"decode_tokens_per_s_median", 1 / median(r.token)},
                                      {"weights_gb", gb},
                                      {"read_gbps", read},
                                      {"read_gbps_median", median(r.gbps)},
                                      {"decode_share", gb / fastest(r.token) / read},
                                      {"decode_share_median", gb / median(r.token) / median(r.gbps)},
                                      {"peak_rss_mb", recipes::peak_rss_mb()}};
  if (o.json) {
    std::printf("%s\n", result.dump().c_str());
    return recipes::kDone;
  }
  std::printf("%s, %d threads: %lld tokens read at %.1f a second (%.0f GFLOP/s, %.0f%% of the peak %.0f)\n",
              o.dtype.c_str(), num_threads(), static_cast<long long>(o.prompt), double(o.prompt) / seconds, gflops,
              100 * gflops / r.peak_gflops, r.peak_gflops);
  const auto print_rate = [&](const char* which, double token, double gbps) {
    std::printf("%s: written at %.2f a second, %.1f GB/s of %.1f (%.0f%%)\n", which, 1 / token, gb / token, gbps,
                100 * gb / token / gbps);
  };
  print_rate("fastest", fastest(r.token), read);
  print_rate("median", median(r.token), median(r.gbps));
  return recipes::kDone;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(bench_decode, argc, argv); }
