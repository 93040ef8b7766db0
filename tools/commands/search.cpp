// vitrail search: finds the images of an index that are nearest to images or texts.
#include "tools/commands/commands.h"
#include "tools/commands/feature_arguments.h"
#include "tools/commands/model_notes.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/autograd/scope.h"
#include "vitrail/core/error.h"
#include "vitrail/core/ops.h"
#include "vitrail/data/draw/contact_sheet.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/recipes/eval/feature_file.h"
#include "vitrail/recipes/eval/image_retrieval.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

constexpr int64_t kCell = 128;

struct Options {
  FeatureArguments arguments;
  std::string index, out;
  std::vector<std::string> texts;
  int64_t count = 5;
  bool json = false;
};

struct Queries {
  std::vector<std::string> names;  // images, then texts
  size_t images = 0;
  Tensor features;  // with unit norm
};

Queries queries_of(const Options& o, const OpenModel& model, TerminalProgress& progress) {
  Queries result;
  std::vector<Tensor> parts;
  if (o.texts.empty() || !o.arguments.images.empty() || !o.arguments.list.empty()) {
    const NamedImages asked = o.arguments.named_images();
    ImageFeatures found = features_of(model, asked, o.arguments, true, progress);
    parts.push_back(found.features);
    result.names = std::move(found.names);
  }
  result.images = result.names.size();
  if (!o.texts.empty()) {
    expect_texts(model, "search");
    note_cut_texts(model, o.texts);
    const ag::Autocast precision(parse_dtype(o.arguments.precision));
    parts.push_back(core::l2_normalize(model.text_features(o.texts)).y);
    result.names.insert(result.names.end(), o.texts.begin(), o.texts.end());
  }
  result.features = core::concat(parts, 0);
  return result;
}

data::Image white() {
  data::Image image(kCell, kCell);
  std::fill(image.data(), image.data() + image.pixels().size(), uint8_t{255});
  return image;
}

/// The image; if it cannot be read and may be skipped, a white one.
data::Image cell_of(const std::string& name, const SkipOption& skip, TerminalProgress& progress) {
  try {
    return data::read_image(name);
  } catch (const IoError& error) {
    check<DataError>(skip.skips(), "search", "{}; --on-error skip draws a white cell", error.what());
    progress.message("skipped " + std::string(error.what()));
    return white();
  }
}

/// One row per query: its image (a white one for a text), then the images found with their cosines.
data::Image sheet(const Queries& queries, const NamedFeatures& index, const core::MaxOut& found, const SkipOption& skip,
                  TerminalProgress& progress) {
  const int64_t k = found.indices.size(1);
  const auto places = found.indices.span<int64_t>();
  const auto cosines = found.values.span<float>();
  std::vector<data::Image> cells;
  std::vector<std::string> captions;
  for (size_t q = 0; q < queries.names.size(); ++q) {
    const bool image = q < queries.images;
    cells.push_back(image ? cell_of(queries.names[q], skip, progress) : white());
    const std::string asked = image ? std::filesystem::path(queries.names[q]).filename().string() : queries.names[q];
    captions.push_back("asked: " + asked);
    for (size_t i = q * size_t(k); i < (q + 1) * size_t(k); ++i) {
      const std::string& name = index.names[size_t(places[i])];
      cells.push_back(cell_of(name, skip, progress));
      captions.push_back(fmt::format("{:.2f} {}", cosines[i], std::filesystem::path(name).filename().string()));
    }
  }
  return data::contact_sheet(cells, captions, {.columns = 1 + k, .cell = kCell});
}

void print(const Options& o, const Queries& queries, const NamedFeatures& index, const core::MaxOut& best) {
  const auto values = best.values.span<float>();
  const auto places = best.indices.span<int64_t>();
  const size_t k = size_t(best.indices.size(1));
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (size_t q = 0; q < queries.names.size(); ++q) {
    std::vector<Row> rows;
    auto found = nlohmann::ordered_json::array();
    for (size_t i = q * k; i < (q + 1) * k; ++i) {
      const std::string& name = index.names[size_t(places[i])];
      rows.push_back({"  " + name, fmt::format("{:.3f}", values[i])});
      found.push_back({{"picture", name}, {"cosine", values[i]}});
    }
    if (o.json)
      result.push_back({{"query", queries.names[q]}, {"found", std::move(found)}});
    else
      fmt::print("{}\n{}", on_one_line(queries.names[q]), to_table(rows));
  }
  if (o.json) fmt::print("{}\n", json_text(result));
}

void search(Options o) {
  NamedFeatures index = read_features(o.index);
  if (o.arguments.model.empty()) o.arguments.model = index.model;
  const OpenModel model = o.arguments.open();
  TerminalProgress progress;
  const Queries queries = queries_of(o, model, progress);
  check<ConfigError>(queries.features.size(1) == index.features.size(1), "search",
                     "{} has {} numbers per feature, but {} makes {}; the index was made with {}", o.index,
                     index.features.size(1), o.arguments.model, queries.features.size(1), index.model);
  const Tensor known = core::l2_normalize(index.features).y;
  const int64_t k = std::min(o.count, known.size(0));
  const auto best = core::topk(core::matmul(queries.features, known, core::Trans::no, core::Trans::yes), k);
  print(o, queries, index, best);
  if (o.out.empty()) return;
  data::write_png(o.out, sheet(queries, index, best, o.arguments.skip, progress));
  if (!o.json) fmt::print("{}: the queries and the images found\n", o.out);
}

}  // namespace

void add_search(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command =
      program.command("search", "Finds the images of an index that are nearest to images or, with a CLIP, to texts.");
  command.option("index", o->index, "HDF5 file from vitrail features").required().existing_file();
  command.option("-m,--model", o->arguments.model, "model for the queries, if not the one that made the index");
  add_network_option(command, o->arguments.network);
  o->arguments.add_images_to(command);
  command.option("-t,--text", o->texts, "texts to search for");
  command.option("-k,--count", o->count, "images to find per query").range(1, 1000);
  command.option("-o,--out", o->out, "PNG file for a drawing of the results");
  command.flag("--json", o->json, "print JSON");
  command.example("vitrail search photos.h5 --text \"a dog on the beach\" -o found.png");
  command.action([o] { search(*o); });
}

}  // namespace vitrail::tools
