// bench_step: the time of one training step of a method (or of a model's forward pass) on random inputs, beside the
// rate that the machine reaches on one large product in the same run.

#include "bench/methods.h"
#include "vitrail/autograd/profile.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/dnnl/matmul.h"
#include "vitrail/core/error.h"
#include "vitrail/core/parallel.h"
#include "vitrail/core/rng.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/models/trained_model.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace vitrail;

struct Options : bench::Options {
  std::string dtype = "f32";
  int threads = 0;
  int steps = 7;
  bool json = false, ops = false;
};

/// Sets method, model, image size, batch size and type as a recipe has them.
void read_recipe(const std::string& file, Options& o) {
  const auto settings = recipes::read_settings(file);
  const auto sections = settings->sections();
  if (const auto* supervised = dynamic_cast<const recipes::SupervisedConfig*>(settings.get())) {
    o.model = supervised->model;
  } else if (const auto* dino = dynamic_cast<const recipes::DinoConfig*>(settings.get())) {
    o.model = dino->model;
    o.dino = *dino;
  } else {
    fail<ConfigError>("bench_step", "{} is a recipe of {}; it takes those of supervised and dino", file,
                      settings->recipe);
  }
  o.method = settings->recipe;
  o.img_size = sections.data.img_size;
  o.batch = sections.batch_size;
  o.dtype = to_string(settings->precision);
}

/// What DINO and CLIP were published with.
void set_published(Options& o) {
  if (o.method == "dino") {
    o.model.drop_path_rate = 0.1;
    o.model.pos_interp = ag::PosInterp::scale_offset;
  }
  if (o.method == "clip") o.model.arch = "ViT-B-32";
}

double seconds_of(const std::function<void()>& fn) {
  const auto start = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Two warm-up runs, then the median of n.
double median_seconds(int n, const std::function<void()>& fn) {
  for (int i = 0; i < 2; ++i) fn();
  std::vector<double> times;
  times.reserve(size_t(n));
  for (int i = 0; i < n; ++i) times.push_back(seconds_of(fn));
  std::nth_element(times.begin(), times.begin() + n / 2, times.end());
  return times[size_t(n / 2)];
}

/// GFLOP/s of oneDNN's best large product, of a few.
template <class T>
double peak_gflops() {
  constexpr int64_t n = 2048;
  Rng rng(0, "peak");
  const Tensor a = rng.normal({n, n}, 0, 1).to(dtype_of<T>()), b = rng.normal({n, n}, 0, 1).to(dtype_of<T>());
  Tensor c = zeros({n, n}, dtype_of<T>());
  const core::Matrix<const T> left{a.data<T>(), n, n, n, 1}, right{b.data<T>(), n, n, n, 1};
  const core::Matrix<T> result{c.data<T>(), n, n, n, 1};
  double best = 1e30;
  for (int i = 0; i < 12; ++i) best = std::min(best, seconds_of([&] { core::dnnl::matmul(left, right, result); }));
  return 2.0 * n * n * n / best / 1e9;
}

/// Where the time of n steps goes, operation by operation, and how far each is from the peaks.
void print_ops(const ag::Profile& profile, int n, double peak) {
  double total = 0;
  for (const ag::ProfileRow& row : profile.rows()) total += row.seconds;
  std::printf("%-28s %6s %9s %6s %9s %6s %8s\n", "operation", "calls", "ms", "share", "GFLOP/s", "peak", "GB/s");
  for (const ag::ProfileRow& row : profile.rows()) {
    const double gflops = 2e-9 * double(row.macs) / row.seconds;
    std::printf("%-28s %6lld %9.2f %5.1f%% %9.1f %5.0f%% %8.1f\n", row.op.c_str(),
                static_cast<long long>(row.calls / n), 1e3 * row.seconds / n, 100 * row.seconds / total, gflops,
                100 * gflops / peak, 1e-9 * double(row.bytes) / row.seconds);
  }
}

void run(const Options& o) {
  const DType dtype = parse_dtype(o.dtype);
  check<ConfigError>(dtype == DType::f32 || dtype == DType::bf16, "bench_step", "--dtype is f32 or bf16, not {}",
                     dtype);
  if (o.threads > 0) set_num_threads(o.threads);
  const bench::Step made = bench::make_step(o);
  const ag::Autocast autocast(dtype);
  const auto step = [&] {
    made.run();
    if (ag::Profile* profile = ag::Profile::current()) profile->lap("update of the weights", 0, made.update_bytes);
  };
  const double seconds = median_seconds(std::max(o.steps, 3), step);
  const double rss = recipes::peak_rss_mb();
  const double gflops = double(made.flops) / seconds / 1e9;
  const double peak = dtype == DType::bf16 ? peak_gflops<bf16>() : peak_gflops<float>();

  if (o.ops) {
    constexpr int kSteps = 5;
    const ag::Profile profile;
    for (int i = 0; i < kSteps; ++i) step();
    print_ops(profile, kSteps, peak);
  }
  if (!o.json) {
    std::printf("%s, %s, %lld images, %s: %.1f ms, %.1f images/s, %.1f GFLOP/s of %.1f (%.0f%%), %.0f MB\n",
                o.method.c_str(), o.model.arch.c_str(), static_cast<long long>(o.batch), o.dtype.c_str(), 1e3 * seconds,
                double(o.batch) / seconds, gflops, peak, 100 * gflops / peak, rss);
    return;
  }
  nlohmann::ordered_json result{{"method", o.method},
                                {"model", o.model.arch},
                                {"img_size", o.img_size},
                                {"batch", o.batch},
                                {"dtype", o.dtype},
                                {"threads", num_threads()},
                                {"forward_only", o.forward_only},
                                {"checkpoint", o.model.checkpoint},
                                {"ms", 1e3 * seconds},
                                {"images_per_s", double(o.batch) / seconds},
                                {"gflops", gflops},
                                {"peak_gflops", peak},
                                {"share_of_peak", gflops / peak},
                                {"peak_rss_mb", rss}};
  if (o.method == "clip") result["tokens"] = o.tokens;
  std::printf("%s\n", result.dump().c_str());
}

int bench_step(int argc, char** argv) {
  spin_briefly(argv);
  Options o;
  std::string recipe, dtype;
  std::optional<std::string> arch;
  std::optional<int64_t> img_size, batch;
  CLI::App app{"Times one training step on random images.", "bench_step"};
  auto* from_recipe = app.add_option(
      "--recipe", recipe, "recipe file: method, model, image size, batch size and type are those that it says");
  for (CLI::Option* option :
       {app.add_option("--method", o.method, "what a step is")
            ->check(CLI::IsMember(bench::methods()))
            ->capture_default_str(),
        app.add_option("--model", arch, "vit_small, resnet50, ... (vitrail summary --help); of clip: ViT-B-32, ..."),
        app.add_option("--embed-dim", o.model.embed_dim, "instead of the model's")->check(CLI::PositiveNumber),
        app.add_option("--depth", o.model.depth, "instead of the model's")->check(CLI::PositiveNumber),
        app.add_option("--num-heads", o.model.num_heads, "instead of the model's")->check(CLI::PositiveNumber),
        app.add_option("--patch-size", o.model.patch_size, "instead of the model's")->check(CLI::PositiveNumber),
        app.add_flag("--checkpoint", o.model.checkpoint, "keep only each block's input")})
    option->excludes(from_recipe);
  app.add_option("--img-size", img_size, "pixels; 224 if not given")->check(CLI::PositiveNumber);
  app.add_option("--batch", batch, "images a step; 16 if not given")->check(CLI::PositiveNumber);
  app.add_option("--tokens", o.tokens, "clip: length of a caption; behind it zeros fill the context")
      ->capture_default_str();
  app.add_option("--dtype", dtype, "f32 or bf16; f32 if not given");
  app.add_option("--threads", o.threads, "compute threads; 0: all");
  app.add_option("--steps", o.steps, "timed steps, at least 3")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_flag("--forward-only", o.forward_only, "no backward, no optimizer");
  app.add_flag("--ops", o.ops, "print also where the time goes, operation by operation");
  app.add_flag("--json", o.json, "print one JSON object");
  app.footer(
      "Examples: bench_step --model vit_base --batch 8 --dtype bf16 --json\n"
      "          bench_step --recipe recipes/dino.yaml --batch 4 --ops\n"
      "          bench_step --method clip --batch 16 --tokens 12");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? recipes::kDone : recipes::kBadRecipe;
  }
  if (recipe.empty())
    set_published(o);
  else
    read_recipe(recipe, o);
  o.model.arch = arch.value_or(o.model.arch);
  o.img_size = img_size.value_or(o.img_size);
  o.batch = batch.value_or(o.batch);
  if (!dtype.empty()) o.dtype = dtype;
  run(o);
  return recipes::kDone;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(bench_step, argc, argv); }
