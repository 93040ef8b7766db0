#include "vitrail/recipes/run/loop.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/autograd/tape.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/memory.h"
#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/metrics_log.h"
#include "vitrail/recipes/run/progress.h"
#include "vitrail/recipes/run/signals.h"
#include "vitrail/recipes/run/tensorboard.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace vitrail::recipes {
namespace {

struct Interrupted {};  // ends an evaluation when the user stops the run

class Stopwatch {
 public:
  explicit Stopwatch(double start = 0) : start_(start) {}
  double seconds() const { return start_ + std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  double start_;
  Clock::time_point begin_ = Clock::now();
};

/// The loop's part of a checkpoint. The place in the data and the random numbers of a step follow from the step alone.
struct Position {
  int64_t step = 0;       // steps done
  int64_t evaluated = 0;  // steps done at the last evaluation
  int64_t log_lines = 0;  // of metrics.jsonl
  double best_score = -std::numeric_limits<double>::infinity();
  Stats metrics;  // of the last evaluation, by name
};

TensorMap to_map(const Position& p, const Plan& plan) {
  TensorMap map = {{"step", tensor<int64_t>({p.step}, {})},
                   {"batch_size", tensor<int64_t>({plan.batch_size}, {})},
                   {"steps_per_epoch", tensor<int64_t>({plan.steps_per_epoch}, {})},
                   {"evaluated", tensor<int64_t>({p.evaluated}, {})},
                   {"log_lines", tensor<int64_t>({p.log_lines}, {})},
                   {"best_score", scalar(p.best_score, DType::f64)}};
  for (const auto& [name, value] : p.metrics) map.emplace("metrics/" + name, scalar(value, DType::f64));
  return map;
}

Position to_position(const TensorMap& map, const Plan& plan) {
  const auto number = [&map](const char* name) -> const Tensor& {
    const auto it = map.find(name);
    check<IoError>(it != map.end(), "checkpoint", "loop/{} is missing", name);
    return it->second;
  };
  // The steps done give the place in the data only if these are unchanged.
  const int64_t batch_size = number("batch_size").span<int64_t>()[0];
  const int64_t steps_per_epoch = number("steps_per_epoch").span<int64_t>()[0];
  check<ConfigError>(
      batch_size == plan.batch_size && steps_per_epoch == plan.steps_per_epoch, "train",
      "the run has {} steps an epoch with batches of {}; a resumed run cannot have {} with batches of {}",
      steps_per_epoch, batch_size, plan.steps_per_epoch, plan.batch_size);
  Position p;
  p.step = number("step").span<int64_t>()[0];
  p.evaluated = number("evaluated").span<int64_t>()[0];
  p.log_lines = number("log_lines").span<int64_t>()[0];
  p.best_score = number("best_score").item();
  for (const auto& [name, value] : sub_map(map, "metrics")) p.metrics.emplace_back(name, value.item());
  return p;
}

class Loop {
 public:
  Loop(Recipe& recipe, const RunFolder& folder, const LoopOptions& options)
      : recipe_(recipe),
        plan_(recipe.plan()),
        steps_(plan_.epochs * plan_.steps_per_epoch),
        folder_(folder),
        options_(options),
        progress_(options.out, options.plain),
        position_(restore()),
        saved_(position_.step),
        log_(folder.metrics(), position_.log_lines),
        board_(folder.tensorboard(), position_.step),
        clock_(log_.last_time()) {}

  int run() {
    if (!options_.changed.empty()) durable_write(folder_.resolved(), options_.changed);
    loader_ = recipe_.load({epoch(), position_.step % plan_.steps_per_epoch * plan_.batch_size});
    while (position_.step < steps_ || evaluation_due()) {
      if (Signals::stop() != 0) return stop();
      if (evaluation_due())
        evaluate();
      else
        step();
    }
    write_result();
    return 0;
  }

 private:
  int64_t epoch() const { return position_.step / plan_.steps_per_epoch; }

  /// An epoch has just ended, and its evaluation is still to be done.
  bool evaluation_due() const {
    const int64_t done = position_.step;
    if (done == 0 || done % plan_.steps_per_epoch != 0 || position_.evaluated == done) return false;
    return done == steps_ || epoch() % plan_.eval_every == 0;
  }

  Position restore() {
    remove_stale_temporaries(folder_.checkpoints());
    if (!std::filesystem::exists(folder_.last()) && !std::filesystem::exists(folder_.best())) {
      for (const std::string& message : recipe_.begin()) progress_.message(message);
      return {};
    }
    const auto [checkpoint, path, problems] = load_newest_checkpoint({folder_.last(), folder_.best()});
    for (const std::string& problem : problems) progress_.message(problem);
    expect_classes(checkpoint, path.string());
    recipe_.load_state(sub_map(checkpoint.tensors, "recipe"));
    Position position = to_position(sub_map(checkpoint.tensors, "loop"), plan_);
    progress_.message(fmt::format("resuming after step {} of {} ({})", position.step, steps_, path.string()));
    return position;
  }

  /// Throws DataError if the data no longer has the classes of the checkpoint, in their order.
  void expect_classes(const Checkpoint& checkpoint, const std::string& path) {
    const std::vector<std::string> now = recipe_.classes(), &then = checkpoint.classes;
    if (now.empty() || then.empty()) return;
    const data::ClassMatch match =
        data::match_classes("resume", {.owner = "the data", .names = now, .count = int64_t(now.size())},
                            {.owner = path, .names = then, .count = int64_t(then.size())});
    if (!match.note.empty()) progress_.message("[resume] " + match.note);
    check<DataError>(match.same, "resume",
                     "the data has the classes {}, but {} was trained on {}; data.classes=FILE gives their order",
                     data::shortened_list(now), path, data::shortened_list(then));
  }

  void step() {
    const Stopwatch watch;
    const std::optional<data::Batch> batch = loader_->next();
    check(batch.has_value(), "train", "the loader ended at step {} of {}", position_.step, steps_);
    const double waited = watch.seconds();
    const At at{.epoch = epoch(),
                .step = position_.step,
                .lr = plan_.lr(double(position_.step)),
                .weight_decay = plan_.weight_decay(double(position_.step))};
    const Stats stats = guarded_step(*batch, at);
    speed_.add(watch.seconds(), waited);
    ++position_.step;
    for (const std::string& message : recipe_.take_messages()) progress_.message(message);
    report(stats, at);
    const bool epoch_done = position_.step % plan_.steps_per_epoch == 0;
    const bool asked = Signals::take_checkpoint_request();
    const bool due = epoch_done ? !evaluation_due()  // an evaluation saves by itself
                                : plan_.checkpoint_every > 0 && position_.step % plan_.checkpoint_every == 0;
    if (asked || due) save();
    if (asked) progress_.message(fmt::format("saved {} after step {}", folder_.last().string(), position_.step));
  }

  /// The recipe's step. If a number is not finite, runs the step again to find the first operation at fault.
  Stats guarded_step(const data::Batch& batch, const At& at) {
    const auto attempt = [&] {
      const ag::RandomScope random(plan_.seed, uint64_t(at.step));
      const ag::Autocast precision(plan_.compute);
      return recipe_.step(batch, at);
    };
    try {
      return attempt();
    } catch (const NumericError& error) {
      progress_.message(error.what());
      progress_.message("running the step again to find the first operation at fault");
      const ag::TraceNonFinite trace;
      attempt();
      throw;
    }
  }

  void report(const Stats& stats, const At& at) {
    const int64_t done = position_.step;
    const double units_per_s = double(plan_.units_per_step()) / speed_.seconds_per_step();
    if (done % plan_.log_every == 0 || done % plan_.steps_per_epoch == 0) {
      Stats row = {{"step", double(done)}, {"epoch", double(at.epoch + 1)}, {"time", clock_.seconds()}};
      row.insert(row.end(), stats.begin(), stats.end());
      row.insert(row.end(), {{"lr", at.lr},
                             {"images_per_s", units_per_s},
                             {"data_wait", speed_.data_share()},
                             {"memory_mb", double(rss_bytes()) / (1 << 20)}});
      log("train", row);
    }
    if (!progress_.due()) return;
    ProgressView view = progress_view(at.epoch, done - at.epoch * plan_.steps_per_epoch, plan_.steps_per_epoch);
    view.stats = stats;
    view.stats.emplace_back("lr", at.lr);
    view.units_per_s = units_per_s;
    view.unit = plan_.unit;
    view.data_share = speed_.data_share();
    view.memory = rss_bytes();
    const int64_t evaluations_left = (steps_ - done) / plan_.steps_per_epoch / plan_.eval_every;
    view.seconds_left =
        double(steps_ - done) * speed_.seconds_per_step() + double(evaluations_left) * evaluation_seconds_;
    progress_.update(view);
  }

  ProgressView progress_view(int64_t epoch, int64_t done, int64_t total) const {
    ProgressView view;
    view.epoch = epoch + 1;
    view.epochs = plan_.epochs;
    view.step = done;
    view.steps = total;
    return view;
  }

  void log(const char* type, const Stats& row) {
    log_.log(type, row);
    Stats scalars;
    for (const auto& entry : row)
      if (entry.first != "step") scalars.push_back(entry);
    board_.log(type, scalars, position_.step);
  }

  void evaluate() {
    const int64_t last_epoch = epoch() - 1;
    const Stopwatch watch;
    Evaluation result;
    try {
      const ag::Autocast precision(plan_.compute);
      result = recipe_.evaluate([&](int64_t done, int64_t total) {
        if (Signals::stop() != 0) throw Interrupted();
        ProgressView view = progress_view(last_epoch, done, total);
        view.phase = "eval";
        progress_.update(view);
      });
    } catch (const Interrupted&) {
      return;  // a resumed run does it again
    }
    evaluation_seconds_ = watch.seconds();
    for (const std::string& message : recipe_.take_messages()) progress_.message(message);
    Stats row = {{"step", double(position_.step)}, {"epoch", double(last_epoch + 1)}, {"time", clock_.seconds()}};
    row.insert(row.end(), result.stats.begin(), result.stats.end());
    log("val", row);
    std::string text = fmt::format("epoch {}/{}", last_epoch + 1, plan_.epochs);
    for (const auto& [name, value] : result.stats)
      text += fmt::format(" {} {:.{}f}", name, value, name.ends_with("images") ? 0 : 4);
    progress_.message(text);

    position_.evaluated = position_.step;
    position_.metrics = result.stats;
    if (result.score && *result.score > position_.best_score) {
      position_.best_score = *result.score;
      save(folder_.best());
    }
    save();
  }

  void save() {
    save(folder_.last());
    saved_ = position_.step;
    write_bad_files();
  }

  void save(const std::filesystem::path& path) {
    log_.sync();
    position_.log_lines = log_.lines();
    Checkpoint checkpoint;
    add_map(checkpoint.tensors, "recipe", recipe_.state());
    add_map(checkpoint.tensors, "loop", to_map(position_, plan_));
    checkpoint.recipe = options_.config;
    checkpoint.classes = recipe_.classes();
    save_checkpoint(path, checkpoint);
  }

  int stop() {
    if (saved_ != position_.step || position_.step == 0) save();
    progress_.message(fmt::format("stopped after step {} of {}; resume with: train --resume {}", position_.step, steps_,
                                  folder_.path().string()));
    return 128 + Signals::stop();
  }

  void write_bad_files() const {
    const data::BadFiles* bad_files = loader_->bad_files();
    if (!bad_files) return;
    const auto path = folder_.bad_files();
    std::set<std::string> lines;  // includes those found before the run was resumed
    std::ifstream before(path);
    for (std::string line; std::getline(before, line);) lines.insert(line);
    for (const data::BadFile& file : bad_files->list()) lines.insert(file.name + "\t" + file.reason);
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    if (!text.empty()) durable_write(path, text);
  }

  void write_result() const {
    const std::map<std::string, double> by_name(position_.metrics.begin(), position_.metrics.end());
    Json metrics = Json::object();  // in the same order whether the run was resumed or not
    for (const auto& [name, value] : by_name) metrics[name] = value;
    const Json result = Json::object({{"recipe", plan_.name},
                                      {"metrics", metrics},
                                      {"classes", recipe_.classes()},
                                      {"epochs", plan_.epochs},
                                      {"steps", steps_},
                                      {"seconds", clock_.seconds()},
                                      {"peak_rss_mb", peak_rss_mb()},
                                      {"commit", commit()},
                                      {"command", options_.command}});
    durable_write(folder_.result(), result.text(2) + "\n");
  }

  Recipe& recipe_;
  const Plan plan_;
  const int64_t steps_;
  const RunFolder& folder_;
  const LoopOptions options_;
  Progress progress_;
  Position position_;
  int64_t saved_;  // step of last.h5
  MetricsLog log_;
  TensorBoard board_;
  Stopwatch clock_;
  std::unique_ptr<data::Loader> loader_;
  Speed speed_;
  double evaluation_seconds_ = 0;
};

}  // namespace

int run_training(Recipe& recipe, const RunFolder& folder, const LoopOptions& options) {
  const Signals signals;
  return Loop(recipe, folder, options).run();
}

void dry_run(Recipe& recipe, std::FILE* out) {
  const Plan& plan = recipe.plan();
  for (const ModelCard& card : recipe.cards()) fmt::print(out, "{}", to_text(card));
  std::fflush(out);

  constexpr int64_t kSteps = 5;  // the first warms up and is not counted
  const auto loader = recipe.load({});
  std::vector<double> seconds;
  for (int64_t i = 0; i < std::min(kSteps, plan.epochs * plan.steps_per_epoch); ++i) {
    const Stopwatch watch;
    const auto batch = loader->next();
    const ag::RandomScope random(plan.seed, uint64_t(i));
    const ag::Autocast precision(plan.compute);
    recipe.step(*batch,
                {.epoch = 0, .step = i, .lr = plan.lr(double(i)), .weight_decay = plan.weight_decay(double(i))});
    seconds.push_back(watch.seconds());
  }
  if (seconds.size() > 1) seconds.erase(seconds.begin());
  std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(seconds.size() / 2), seconds.end());
  const double step = seconds[seconds.size() / 2], epoch = step * double(plan.steps_per_epoch);
  fmt::print(out,
             "a step          {:.1f} ms of {} {}, {:.0f} {}/s\nmemory          {:.0f} MiB at most, {:.0f} of them "
             "tensors\nan epoch        {} steps, {} without evaluation\nthe whole run   {} epochs, {}\n",
             1e3 * step, plan.units_per_step(), plan.unit, double(plan.units_per_step()) / step, plan.unit,
             peak_rss_mb(), double(memory::peak_bytes()) / (1 << 20), plan.steps_per_epoch, clock_text(epoch),
             plan.epochs, clock_text(epoch * double(plan.epochs)));
}

}  // namespace vitrail::recipes
