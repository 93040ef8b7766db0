// bench_step: the time of one training step (or of a forward pass) on random inputs. For comparison it also measures
// the machine's peak, the rate of one large matrix product, in the same run.
#include "bench/methods.h"
#include "tools/command_line.h"
#include "vitrail/autograd/profile.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops/peak.h"
#include "vitrail/core/parallel.h"
#include "vitrail/recipes/build/build_data.h"
#include "vitrail/recipes/methods/supervised.h"
#include "vitrail/recipes/models/open_run.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/exit_code.h"

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

/// Takes method, model, image size, batch size and precision from a recipe.
void read_recipe(const std::string& file, Options& o) {
  const auto settings = recipes::read_settings(file);
  const auto sections = settings->sections();
  if (const auto* supervised = dynamic_cast<const recipes::SupervisedConfig*>(settings.get())) {
    o.model = supervised->model;
  } else if (const auto* dino = dynamic_cast<const recipes::DinoConfig*>(settings.get())) {
    o.model = dino->model;
    o.dino = *dino;
  } else if (const auto* dinov2 = dynamic_cast<const recipes::Dinov2Config*>(settings.get())) {
    o.model = dinov2->model;
    o.dinov2 = *dinov2;
  } else {
    fail<ConfigError>("bench_step", "{} is a recipe of {}; only recipes of supervised, dino and dinov2 can be timed",
                      file, settings->recipe);
  }
  o.method = settings->recipe;
  o.img_size = sections.data.img_size;
  o.batch = sections.batch_size;
  o.dtype = to_string(settings->precision);
}

/// The published settings of DINO, DINOv2 and CLIP.
void set_published(Options& o) {
  if (o.method == "dino") {
    o.model.drop_path_rate = 0.1;
    o.model.pos_interp = ag::PosInterp::scale_offset;
  }
  if (o.method == "dinov2") {
    const recipes::ModelConfig& published = o.dinov2.model;
    if (!o.model.patch_size) o.model.patch_size = 14;
    o.model.mask_token = published.mask_token;
    o.model.drop_path_rate = published.drop_path_rate;
    o.model.drop_path_uniform = published.drop_path_uniform;
    o.model.layerscale_init = published.layerscale_init;
    o.model.pos_interp = published.pos_interp;
    o.dinov2.crops.local_size = 98 / *o.model.patch_size * *o.model.patch_size;  // 98, or 96 for patches of 16
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

/// A table of the operations of n steps: their time, and their rate as a share of the peak.
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
  const double peak = core::peak_gflops(dtype);

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
  tools::Program program("bench_step", "Times one training step on random images.");
  const tools::Option from_recipe =
      program.option("--recipe", recipe, "recipe file that sets method, model, image size, batch size and precision");
  for (const tools::Option& option :
       {program.option("--method", o.method, "training method").choices(bench::methods()),
        program.option("--model", arch, "vit_small, resnet50, ... (vitrail summary --help); for clip: ViT-B-32, ..."),
        program.option("--embed-dim", o.model.embed_dim, "overrides the model").positive(),
        program.option("--depth", o.model.depth, "overrides the model").positive(),
        program.option("--num-heads", o.model.num_heads, "overrides the model").positive(),
        program.option("--patch-size", o.model.patch_size, "overrides the model").positive(),
        program.option("--window", o.model.window, "side of attention windows, in patches; 0: global attention"),
        program.option("--global-every", o.model.global_every, "with windows: every so many blocks, one is global"),
        program.flag("--checkpoint", o.model.checkpoint, "recompute: keep only the input of each block")})
    option.excludes(from_recipe);
  program.option("--img-size", img_size, "pixels; 224 if not given").positive();
  program.option("--batch", batch, "images per step; 16 if not given").positive();
  program.option("--tokens", o.tokens, "clip: tokens of a caption; zeros fill the rest of the context");
  program.option("--dtype", dtype, "f32 or bf16; f32 if not given");
  program.option("--threads", o.threads, "compute threads; 0: all");
  program.option("--steps", o.steps, "timed steps, at least 3").positive();
  program.flag("--forward-only", o.forward_only, "no backward, no optimizer");
  program.flag("--ops", o.ops, "also print the time of each operation");
  program.flag("--json", o.json, "print one JSON object");
  program.example("bench_step --model vit_base --batch 8 --dtype bf16 --json");
  program.example("bench_step --recipe recipes/dino.yaml --batch 4 --ops");
  program.example("bench_step --method dinov2 --batch 4");
  program.example("bench_step --method clip --batch 16 --tokens 12");
  if (const auto code = program.parse(argc, argv)) return *code;
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
