// vitrail plot: draws a metric of one or several runs as a curve.
#include "vitrail/data/draw/plot.h"

#include "tools/commands/commands.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
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

/// The key of the x axis.
const char* x_key(const Options& o) { return o.of == "train" ? "step" : "epoch"; }

/// The metric over epochs or steps, from metrics.jsonl in a run's folder. Skips a last line that a crash cut off.
data::Series series_of(const std::string& run, const Options& o) {
  const fs::path file = fs::path(run) / "metrics.jsonl";
  expect_file("plot", file);
  std::ifstream in(file);
  check<ConfigError>(in.good(), "plot", "{}: no such file; give the folder of a run", file.string());
  data::Series series{.name = fs::path(run + "/").parent_path().filename().string(), .x = {}, .y = {}};
  std::set<std::string> known;
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object() || row.value("t", "") != o.of || !row.contains(x_key(o))) continue;
    for (const auto& [name, value] : row.items())
      if (value.is_number()) known.insert(name);
    if (!row.contains(o.metric) || !row[o.metric].is_number()) continue;
    series.x.push_back(row[x_key(o)].get<double>());
    series.y.push_back(row[o.metric].get<double>());
  }
  check<ConfigError>(!series.x.empty(), "plot", "{} has no '{}' of '{}'{}", file.string(), o.metric, o.of,
                     recipes::did_you_mean(o.metric, {known.begin(), known.end()}));
  return series;
}

void plot(const Options& o) {
  std::vector<data::Series> series;
  for (const std::string& run : o.runs) series.push_back(series_of(run, o));
  data::write_png(o.out, data::plot({.title = o.metric + " (" + o.of + ")", .x_label = x_key(o)}, series));
  for (const data::Series& s : series)
    std::printf("%s: %s %.4g after %s %.0f\n", s.name.c_str(), o.metric.c_str(), s.y.back(), x_key(o), s.x.back());
}

}  // namespace

void add_plot(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("plot", "Draws a metric of one or several runs over epochs or steps.");
  command.option("runs", o->runs, "folders of runs").required();
  command.option("-m,--metric", o->metric, "top1, loss, lr, ...");
  command.option("--of", o->of, "val: evaluations; train: training steps").choices({"val", "train"});
  command.option("-o,--out", o->out, "PNG file to write");
  command.example("vitrail plot runs/vit_cifar10 runs/resnet_cifar10 --metric loss -o loss.png");
  command.action([o] { plot(*o); });
}

}  // namespace vitrail::tools
