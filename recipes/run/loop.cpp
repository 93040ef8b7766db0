#include "vitrail/recipes/run/loop.h"

#include "vitrail/autograd/scope.h"
#include "vitrail/core/comm/comm.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/core/io/json.h"
#include "vitrail/core/memory.h"
#include "vitrail/core/parallel.h"
#include "vitrail/data/image/background.h"
#include "vitrail/data/load/bad_files.h"
#include "vitrail/data/sources/class_match.h"
#include "vitrail/recipes/run/checkpoint.h"
#include "vitrail/recipes/run/environment.h"
#include "vitrail/recipes/run/metrics_log.h"
#include "vitrail/recipes/run/position.h"
#include "vitrail/recipes/run/progress.h"
#include "vitrail/recipes/run/ranks.h"
#include "vitrail/recipes/run/signals.h"
#include "vitrail/recipes/run/tensorboard.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <utility>

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

constexpr const char* kMeans[] = {"loss", "acc"};  // numbers of a step whose mean over the epoch is reported

double& entry(Stats& stats, std::string_view name) {
  for (auto& [key, value] : stats)
    if (key == name) return value;
  return stats.emplace_back(name, 0).second;
}

constexpr const char* kStartSuffix = "_start";  // after the name of a number from before the first step

/// Scores of an untrained network, of the pixels, or from before the first step never change.
bool is_baseline(std::string_view name) {
  return name.ends_with("_untrained") || name.ends_with("_pixels") || name.ends_with(kStartSuffix);
}

/// "loss 2.0497 top1 25.22%": the baselines alone, or the other numbers.
std::string stats_text(const Stats& stats, bool baselines = false) {
  std::string text;
  for (const auto& [name, value] : stats)
    if (is_baseline(name) == baselines) text += (text.empty() ? "" : " ") + stat_text(name, value);
  return text;
}

/// Throws DiskFull if a run's two checkpoints, and the temporary file that replaces one of them, do not fit.
void expect_space(const std::filesystem::path& folder, int64_t checkpoint_bytes) {
  constexpr double kFiles = 3, kMiB = 1 << 20;
  std::error_code unknown;
  const auto space = std::filesystem::space(folder, unknown);
  const double needed = kFiles * double(checkpoint_bytes);
  check<DiskFull>(
      unknown || double(space.available) >= needed, "checkpoints",
      "{}: {:.0f} MiB are free; a checkpoint of this run has {:.0f} MiB, and last.h5, best.h5 and a temporary "
      "file need {:.0f} MiB; choose another disk with out=FOLDER",
      folder.string(), double(space.available) / kMiB, double(checkpoint_bytes) / kMiB, needed / kMiB);
}

class Loop {
 public:
  Loop(Recipe& recipe, const RunFolder& folder, const LoopOptions& options)
      : recipe_(recipe),
        plan_(recipe.plan()),
        steps_(plan_.epochs * plan_.steps_per_epoch),
        shards_(shards_of_plan(plan_)),
        folder_(folder),
        options_(options),
        progress_(options.out, options.plain),
        position_(restore()),
        saved_(position_.step) {}

  int run() {
    if (comm().size() > 1) {
      from_lead(TensorMap{{"step", tensor<int64_t>({position_.step}, {})}});
      from_lead(recipe_.state());
    }
    asked_ = requests_of_all();
    const int code = lead();
    from_lead(Command{.order = Order::end, .code = code});
    return code;
  }

 private:
  /// The logs of a run, continued from where the checkpoint left them.
  struct Records {
    Records(const RunFolder& folder, const Position& position)
        : log(folder.metrics(), position.log_lines),
          board(folder.tensorboard(), position.step),
          clock(log.last_time()) {}
    MetricsLog log;
    TensorBoard board;
    Stopwatch clock;
  };

  int lead() {
    if (finished() && std::filesystem::exists(folder_.result())) return say_finished();
    if (!options_.changed.empty()) durable_write(folder_.resolved(), options_.changed);
    progress_.message(fmt::format("{} of {} of {} {} on {}; writing to {}", several(plan_.epochs, "epoch"),
                                  several(plan_.steps_per_epoch, "step"), count_text(plan_.units_per_step()),
                                  plan_.unit, workers_text(), folder_.path().string()));
    if (position_.step == 0) expect_space(folder_.path(), recipe_.state_bytes());
    records_.emplace(folder_, position_);
    loader_ = recipe_.load(plan_.data_at(position_.step));
    while (!finished()) {
      if (asked_.stop != 0) return stop(asked_.stop);
      if (asked_.checkpoint) save_as_asked();
      const bool evaluates = evaluation_due();
      from_lead(Command{.order = evaluates ? Order::wait : Order::step});
      if (evaluates)
        evaluate();
      else
        step();
      asked_ = requests_of_all();
    }
    write_result();
    say_done();
    return 0;
  }

  /// "2 threads", or "4 ranks of 2 threads".
  static std::string workers_text() {
    const std::string threads = several(num_threads(), "thread");
    return comm().size() == 1 ? threads : several(comm().size(), "rank") + " of " + threads;
  }

  int64_t epoch() const { return position_.step / plan_.steps_per_epoch; }

  /// An epoch has just ended, or the first begins, and its evaluation is still to be done.
  bool evaluation_due() const {
    const int64_t done = position_.step;
    if (done % plan_.steps_per_epoch != 0 || position_.evaluated == done) return false;
    return done == 0 || done == steps_ || epoch() % plan_.eval_every == 0;
  }

  /// The last evaluation was train.patience epochs behind the best one.
  bool out_of_patience() const {
    return plan_.patience > 0 && position_.has_best() && position_.evaluated == position_.step &&
           epoch() - position_.best_epoch >= plan_.patience;
  }

  bool finished() const { return !evaluation_due() && (position_.step >= steps_ || out_of_patience()); }

  int say_finished() {
    if (out_of_patience() && position_.step < steps_)
      progress_.message(fmt::format("finished at epoch {}: no better {} in {} epochs; train.patience={} goes on",
                                    epoch(), recipe_.score_name(), plan_.patience, 2 * plan_.patience));
    else
      progress_.message(
          fmt::format("finished at epoch {}; train.epochs={} goes on", epoch(), epoch() + (epoch() + 1) / 2));
    return 0;
  }

  void say_done() {
    const std::string run = folder_.path().string();
    const bool early = position_.step < steps_;
    std::string text = fmt::format("done: {} in {}", several(epoch(), "epoch"), clock_text(records_->clock.seconds()));
    if (early) text += fmt::format(", as the last {} brought no better {}", plan_.patience, recipe_.score_name());
    if (position_.has_best())
      text += fmt::format(
          "; best {} {}: {}",
          stat_text(recipe_.score_name(), stat(position_.best, recipe_.score_name(), position_.best_score)),
          position_.best_epoch > 0 ? fmt::format("in epoch {}", position_.best_epoch) : "before the first step",
          folder_.best().string());
    else
      text += ": " + (std::filesystem::exists(folder_.best()) ? folder_.best() : folder_.last()).string();
    progress_.message(text);
    for (const std::string& command : recipe_.next_commands(run)) progress_.message("next: " + command);
  }

  Position restore() {
    remove_stale_temporaries(folder_.checkpoints());
    for (const std::string& line : recipe_.headline()) progress_.message(line);
    if (!folder_.has_checkpoint()) {
      for (const std::string& message : options_.begun ? *options_.begun : recipe_.begin()) progress_.message(message);
      tell();
      Position position;
      if (!plan_.not_below_start.empty()) position.evaluated = -1;
      return position;
    }
    const auto [checkpoint, path, problems] = load_newest_checkpoint({folder_.last(), folder_.best()});
    for (const std::string& problem : problems) progress_.message(problem);
    expect_classes(checkpoint, path.string());
    recipe_.load_state(sub_map(checkpoint.tensors, "recipe"));
    Position position = to_position(sub_map(checkpoint.tensors, "loop"), plan_);
    const int64_t per_epoch = plan_.steps_per_epoch;
    check<ConfigError>(position.step <= steps_, "train.epochs",
                       "{} is fewer than the run has done: {} steps, in epochs of {}; train.epochs={} or more goes on",
                       plan_.epochs, position.step, per_epoch, (position.step + per_epoch - 1) / per_epoch);
    progress_.message(fmt::format("resuming after step {} of {} ({})", position.step, steps_, path.string()));
    if (position.was_unsharded)
      progress_.message(
          fmt::format("the run began without shards: from here on the sums of its {} shards are added in another order",
                      plan_.shards));
    tell();
    if (position.step < steps_) say_jump(position);
    return position;
  }

  /// A schedule of another length or form continues at another rate than the run left off with.
  void say_jump(const Position& at) {
    const double rate = plan_.lr(double(at.step));
    const auto differs = [rate](double other, double share) {
      return std::abs(rate - other) > share * std::max(rate, other);
    };
    constexpr double kSame = 1e-9, kNoJump = 0.01;
    if (!differs(at.next_lr, kSame) || !differs(at.lr, kNoJump)) return;
    progress_.message(fmt::format(
        "the learning rate jumps from {:.3g} to {:.3g}, because the schedule has changed (it is now one of {} epochs); "
        "schedule.name=constant with optim.lr={:.3g} keeps it low, schedule.min_lr is its end",
        at.lr, rate, plan_.epochs, at.lr));
  }

  /// Shows the notes of the recipe and of the data.
  void tell() {
    for (const std::string& message : recipe_.take_messages()) progress_.message(message);
    if (const auto note = data::take_transparency_note()) progress_.message(*note);
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
    const std::vector<data::Batch> shards = next_step(*loader_, shards_);
    check(!shards.empty(), "train", "the loader ended at step {} of {}", position_.step, steps_);
    const double waited = watch.seconds();
    const At at{.epoch = epoch(),
                .step = position_.step,
                .lr = plan_.lr(double(position_.step)),
                .weight_decay = plan_.weight_decay(double(position_.step)),
                .shards = shards_};
    const Stats stats =
        guarded_step(recipe_, shards, at, [this](const std::string& message) { progress_.message(message); });
    speed_.add(watch.seconds(), waited);
    epoch_seconds_ += watch.seconds();
    epoch_waited_ += waited;
    if (position_.step == 0) position_.first_loss = stat(stats, "loss", Position::kUnknown);
    if (position_.step % plan_.steps_per_epoch == 0) position_.sums.clear();
    for (const char* name : kMeans)
      if (const double value = stat(stats, name, Position::kUnknown); !std::isnan(value))
        entry(position_.sums, name) += value;
    entry(position_.sums, "steps") += 1;
    position_.lr = at.lr;
    ++position_.step;
    tell();
    report(stats, at);
    const bool epoch_done = position_.step % plan_.steps_per_epoch == 0;
    if (epoch_done) end_epoch();
    const bool due = epoch_done ? !evaluation_due()  // an evaluation saves by itself
                                : plan_.checkpoint_every > 0 && position_.step % plan_.checkpoint_every == 0;
    if (due) save();
  }

  void save_as_asked() {
    save();
    progress_.message(fmt::format("saved {} after step {}", folder_.last().string(), position_.step));
  }

  /// The means of kMeans over the steps of the epoch.
  Stats means() const {
    Stats result;
    const double steps = stat(position_.sums, "steps", 1);
    for (const char* name : kMeans)
      if (const double sum = stat(position_.sums, name, Position::kUnknown); !std::isnan(sum))
        result.emplace_back(name, sum / steps);
    return result;
  }

  /// Logs the means of the epoch. An evaluation shows them beside its own numbers.
  void end_epoch() {
    const Stats epoch_means = means();
    Stats row = {{"step", double(position_.step)}, {"epoch", double(epoch())}, {"time", records_->clock.seconds()}};
    row.insert(row.end(), epoch_means.begin(), epoch_means.end());
    log("epoch", row);
    if (!evaluation_due()) progress_.message(epoch_text());
    if (const auto hint = waiting_hint(epoch_seconds_, epoch_waited_); hint && !std::exchange(hinted_, true))
      progress_.message(*hint);
    epoch_seconds_ = epoch_waited_ = 0;
    const double loss = stat(epoch_means, "loss", Position::kUnknown), first = position_.first_loss;
    if (warned_ || !(loss > 10 * std::max(std::abs(first), 1.0))) return;
    warned_ = true;
    progress_.message(
        fmt::format("the training loss has grown from {:.4g} to {:.4g}: a lower optim.lr than {:.3g}, "
                    "optim.clip_grad=1 or a longer warm-up keeps it stable",
                    first, loss, position_.lr));
  }

  /// "epoch 2/8  train loss 2.1034 acc 24.10%"
  std::string epoch_text() const {
    if (position_.step == 0) return "before the first step";
    const Stats epoch_means = means();
    std::string text = fmt::format("epoch {}/{}", epoch(), plan_.epochs);
    if (!epoch_means.empty()) text += "  train " + stats_text(epoch_means);
    return text;
  }

  void report(const Stats& stats, const At& at) {
    const int64_t done = position_.step;
    const double units_per_s = double(plan_.units_per_step()) / speed_.seconds_per_step();
    if (done % plan_.log_every == 0 || done % plan_.steps_per_epoch == 0) {
      Stats row = {{"step", double(done)}, {"epoch", double(at.epoch + 1)}, {"time", records_->clock.seconds()}};
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
    records_->log.log(type, row);
    Stats scalars;
    for (const auto& entry : row)
      if (entry.first != "step") scalars.push_back(entry);
    records_->board.log(type, scalars, position_.step);
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
    tell();
    if (position_.step == 0)
      for (const std::string& name : plan_.not_below_start)
        if (const double value = stat(result.stats, name, Position::kUnknown); !std::isnan(value))
          position_.start.emplace_back(name + kStartSuffix, value);
    const std::vector<std::string> fallen = fallen_names(result.stats);
    if (position_.step > 0)
      for (const std::string& name : plan_.not_below_start)
        if (const double value = stat(position_.start, name + kStartSuffix, Position::kUnknown); !std::isnan(value))
          result.stats.emplace_back(name + kStartSuffix, value);
    Stats row = {
        {"step", double(position_.step)}, {"epoch", double(last_epoch + 1)}, {"time", records_->clock.seconds()}};
    row.insert(row.end(), result.stats.begin(), result.stats.end());
    log("val", row);
    const std::string text = stats_text(result.stats);
    progress_.message(epoch_text() + (text.empty() ? "" : "  val " + text));
    if (const std::string baselines = stats_text(result.stats, true); position_.metrics.empty() && !baselines.empty())
      progress_.message("to compare with: " + baselines);
    for (const std::string& name : fallen)
      progress_.message(
          fmt::format("{} is below the {} from before the first step; a lower optim.lr changes less",
                      stat_text(name, stat(result.stats, name)),
                      stat_text(name, stat(position_.start, name + kStartSuffix)).substr(name.size() + 1)));
    if (!result.score && plan_.patience > 0)
      progress_.message("train.patience has no effect: this run has no score to judge epochs by");

    position_.evaluated = position_.step;
    position_.metrics = result.stats;
    if (result.score && *result.score > position_.best_score) {
      position_.best_score = *result.score;
      position_.best_epoch = last_epoch + 1;
      position_.best = result.stats;
      save(folder_.best());
    }
    save();
  }

  /// Those of plan_.not_below_start that are lower than before the first step.
  std::vector<std::string> fallen_names(const Stats& now) const {
    std::vector<std::string> names;
    for (const std::string& name : plan_.not_below_start)
      if (stat(now, name, Position::kUnknown) < stat(position_.start, name + kStartSuffix, Position::kUnknown))
        names.push_back(name);
    return names;
  }

  void save() {
    save(folder_.last());
    saved_ = position_.step;
    write_bad_files();
  }

  void save(const std::filesystem::path& path) {
    records_->log.sync();
    position_.log_lines = records_->log.lines();
    Checkpoint checkpoint;
    add_map(checkpoint.tensors, "recipe", recipe_.state());
    add_map(checkpoint.tensors, "loop", to_map(position_, plan_));
    checkpoint.recipe = options_.config;
    checkpoint.classes = recipe_.classes();
    save_checkpoint(path, checkpoint);
  }

  int stop(int signal) {
    if (saved_ != position_.step || position_.step == 0) save();
    progress_.message(fmt::format("stopped after step {} of {}; resume with: train --resume {}", position_.step, steps_,
                                  folder_.path().string()));
    return 128 + signal;
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
    const auto json = [](const Stats& stats) {
      Json object = Json::object();  // in the same order whether the run was resumed or not
      for (const auto& [name, value] : std::map<std::string, double>(stats.begin(), stats.end())) object[name] = value;
      return object;
    };
    Json best;
    if (position_.has_best())
      best = Json::object({{"epoch", position_.best_epoch},
                           {"score", recipe_.score_name()},
                           {"metrics", json(position_.best)},
                           {"checkpoint", "checkpoints/best.h5"}});
    Json result = Json::object({{"recipe", plan_.name},
                                {"metrics", json(position_.metrics)},
                                {"best", best},
                                {"classes", recipe_.classes()},
                                {"epochs", epoch()},
                                {"steps", position_.step},
                                {"seconds", records_->clock.seconds()},
                                {"peak_rss_mb", peak_rss_mb()},
                                {"commit", commit()},
                                {"command", options_.command}});
    if (!plan_.not_below_start.empty()) result["below_start"] = fallen_names(position_.metrics);
    durable_write(folder_.result(), result.text(2) + "\n");
  }

  Recipe& recipe_;
  const Plan plan_;
  const int64_t steps_;
  const Shards shards_;
  const RunFolder& folder_;
  const LoopOptions options_;
  Progress progress_;
  Position position_;
  int64_t saved_;  // step of last.h5
  Requests asked_;
  std::optional<Records> records_;
  std::unique_ptr<data::Loader> loader_;
  Speed speed_;
  double evaluation_seconds_ = 0;
  double epoch_seconds_ = 0, epoch_waited_ = 0;  // of this epoch's steps in this process
  bool warned_ = false;                          // of a growing loss
  bool hinted_ = false;                          // at waiting for images
};

}  // namespace

int run_training(Recipe& recipe, const RunFolder& folder, const LoopOptions& options) {
  const Signals signals;
  return Loop(recipe, folder, options).run();
}

void dry_run(Recipe& recipe, std::FILE* out) {
  const Plan& plan = recipe.plan();
  for (const std::string& line : recipe.headline()) fmt::print(out, "{}\n", line);
  for (const std::string& message : recipe.take_messages()) fmt::print(out, "{}\n", message);
  for (const ModelCard& card : recipe.cards()) fmt::print(out, "{}", to_text(card));
  std::fflush(out);

  constexpr int64_t kSteps = 5;  // the first warms up and is not counted
  const Shards shards = shards_of_plan(plan);
  const auto loader = recipe.load({});
  std::vector<double> seconds;
  for (int64_t i = 0; i < std::min(kSteps, plan.epochs * plan.steps_per_epoch); ++i) {
    const Stopwatch watch;
    const std::vector<data::Batch> batches = next_step(*loader, shards);
    const ag::RandomScope random(plan.seed, uint64_t(i));
    const ag::Autocast precision(plan.compute);
    recipe.step_shards(batches, {.epoch = 0,
                                 .step = i,
                                 .lr = plan.lr(double(i)),
                                 .weight_decay = plan.weight_decay(double(i)),
                                 .shards = shards});
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
