// vitrail predict: the classes that a trained classifier sees in images.
#include "tools/commands/commands.h"
#include "tools/commands/csv.h"
#include "tools/commands/feature_arguments.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/load/image_batch.h"
#include "vitrail/recipes/eval/top_classes.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr size_t kMostDrawn = 1024;  // images on a contact sheet

struct Options {
  FeatureArguments arguments;
  int64_t count = 5;
  std::string csv, out;
  bool json = false;
};

struct Prediction {
  std::string image;  // its path
  std::vector<ClassProbability> classes;
};

/// The images that can be read, in their order.
std::vector<Prediction> predictions(const Options& o, const OpenModel& model, const NamedImages& images) {
  const int64_t side = model.preprocessing.img_size();
  data::LoaderOptions options;
  options.batch_size = std::min(o.arguments.batch, images.dataset->size());
  options.workers = 2;
  data::BadFiles bad_files = o.arguments.skip.bad_files();
  data::Loader loader(data::ImageBatch(*images.dataset, model.preprocessing.transform(), {3, side, side}, bad_files,
                                       data::Broken::left_out),
                      options);
  const ag::Autocast precision(parse_dtype(o.arguments.precision));
  TerminalProgress progress;
  const Tick tick = progress.tick("predict");
  std::vector<Prediction> result;
  for (int64_t done = 0; const auto batch = loader.next();) {
    auto rows = top_classes(model.classify((*batch)["images"]), model.classes, o.count);
    for (size_t i = 0; i < rows.size(); ++i)
      result.push_back({images.names[size_t(batch->indices[i])], std::move(rows[i])});
    tick(++done, loader.batches_per_epoch());
  }
  progress.report(bad_files);
  check<DataError>(!result.empty(), "predict", "none of the {} images can be read", images.names.size());
  return result;
}

void print_json(const std::vector<Prediction>& predictions) {
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const Prediction& p : predictions) {
    auto classes = nlohmann::ordered_json::array();
    for (const ClassProbability& c : p.classes)
      classes.push_back({{"label", c.name}, {"output", c.output}, {"probability", c.probability}});
    result.push_back({{"picture", p.image}, {"labels", std::move(classes)}});
  }
  fmt::print("{}\n", json_text(result));
}

void print_tables(const std::vector<Prediction>& predictions) {
  for (const Prediction& p : predictions) {
    std::vector<Row> rows;
    for (const ClassProbability& c : p.classes)
      rows.push_back({"  " + c.name, fmt::format("{:.2f}%", 100 * c.probability)});
    fmt::print("{}\n{}", p.image, to_table(rows));
  }
}

/// A line for each image: its name, then class and probability of each place.
std::string csv_of(const std::vector<Prediction>& predictions) {
  std::string text = "image";
  for (size_t i = 1; i <= predictions.front().classes.size(); ++i) text += fmt::format(",class{0},probability{0}", i);
  text += "\n";
  for (const Prediction& p : predictions) {
    text += csv_field(p.image);
    for (const ClassProbability& c : p.classes) text += fmt::format(",{},{:.6g}", csv_field(c.name), c.probability);
    text += "\n";
  }
  return text;
}

data::Image sheet(const std::vector<Prediction>& predictions) {
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  for (const Prediction& p : predictions) {
    cells.push_back(data::read_image(p.image));
    captions.push_back(fmt::format("{:.0f}% {}", 100 * p.classes.front().probability, p.classes.front().name));
  }
  return data::contact_sheet(cells, captions, {.columns = 6, .cell = 160});
}

void predict(const Options& o) {
  const NamedImages images = o.arguments.named_images();
  const OpenModel model = o.arguments.open();
  expect_classes(model, "predict");
  check<ConfigError>(o.out.empty() || images.names.size() <= kMostDrawn, "predict",
                     "{} images are too many for a contact sheet; at most {} are drawn", images.names.size(),
                     kMostDrawn);
  if (model.classes.empty())
    fmt::print(stderr, "{} does not name its classes: their numbers are shown\n", model.source.string());
  const std::vector<Prediction> found = predictions(o, model, images);
  if (o.json)
    print_json(found);
  else
    print_tables(found);
  std::fflush(stdout);  // the result is seen even if a file cannot be written
  if (!o.csv.empty()) durable_write(o.csv, csv_of(found));
  if (!o.out.empty()) data::write_png(o.out, sheet(found));
}

}  // namespace

void add_predict(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("predict", "Classifies images with a trained classifier: names of classes and probabilities.");
  command
      .option("model", o->arguments.model,
              "folder of a run, a checkpoint, the folder of a published model, or a .safetensors file")
      .required();
  add_network_option(command, o->arguments.network);
  o->arguments.add_images_to(command);
  command.option("-k,--top", o->count, "classes to show per image").range(1, 1 << 20);
  command.option("--csv", o->csv, "also write a CSV file with a line for each image");
  command.option("-o,--out", o->out, "also write a PNG file of the images with their classes");
  command.flag("--json", o->json, "print JSON");
  command.example("vitrail predict runs/vit_clothing-2025-01-31-1 photos/ -k 3 --csv classes.csv -o classes.png");
  command.action([o] { predict(*o); });
}

}  // namespace vitrail::tools
