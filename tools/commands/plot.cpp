// vitrail plot: a number of one or several runs over their epochs, as an image.
#include "vitrail/data/draw/plot.h"

#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/config/suggest.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> runs;
  std::string metric = "top1", of = "val", out = "plot.png";
};

/// Of evaluations and of steps.
const char* x_of(const Options& o) { return o.of == "train" ? "step" : "epoch"; }

/// The metric over epochs or steps, from the metrics.jsonl of a run's folder. A last line that a crash cut off is left
/// out.
data::Series series_of(const std::string& run, const Options& o) {
  const fs::path file = fs::path(run) / "metrics.jsonl";
  std::ifstream in(file);
  check<ConfigError>(in.good(), "plot", "{}: no such file; a run's folder is needed", file.string());
  data::Series series{.name = fs::path(run + "/").parent_path().filename().string(), .x = {}, .y = {}};
  std::set<std::string> known;
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object() || row.value("t", "") != o.of || !row.contains(x_of(o))) continue;
    for (const auto& [name, value] : row.items())
      if (value.is_number()) known.insert(name);
    if (!row.contains(o.metric) || !row[o.metric].is_number()) continue;
    series.x.push_back(row[x_of(o)].get<double>());
    series.y.push_back(row[o.metric].get<double>());
  }
  check<ConfigError>(!series.x.empty(), "plot", "{} has no '{}' of '{}'{}", file.string(), o.metric, o.of,
                     recipes::did_you_mean(o.metric, {known.begin(), known.end()}));
  return series;
}

void plot(const Options& o) {
  std::vector<data::Series> series;
  for (const std::string& run : o.runs) series.push_back(series_of(run, o));
  data::write_png(o.out, data::plot({.title = o.metric + " (" + o.of + ")", .x_label = x_of(o)}, series));
  for (const data::Series& s : series)
    std::printf("%s: %s %.4g after %s %.0f\n", s.name.c_str(), o.metric.c_str(), s.y.back(), x_of(o), s.x.back());
}

}  // namespace

void add_plot(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plot", "Draws a number of one or several runs over their epochs or steps.");
  command->add_option("runs", o->runs, "folders of runs")->required();
  command->add_option("-m,--metric", o->metric, "top1, loss, lr, ...")->capture_default_str();
  command->add_option("--of", o->of, "val: the evaluations; train: the steps")
      ->check(CLI::IsMember({"val", "train"}))
      ->capture_default_str();
  command->add_option("-o,--out", o->out, "PNG file to write")->capture_default_str();
  command->footer("Example: vitrail plot runs/vit_cifar10 runs/resnet_cifar10 --metric loss -o loss.png");
  command->callback([o] { plot(*o); });
}

}  // namespace vitrail::tools
