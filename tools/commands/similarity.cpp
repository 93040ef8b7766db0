// vitrail similarity: how similar images are.
#include "tools/commands/commands.h"
#include "tools/commands/feature_arguments.h"
#include "tools/commands/table.h"
#include "tools/json_text.h"
#include "vitrail/core/ops.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vitrail::tools {
namespace {

using namespace recipes;

struct Options {
  FeatureArguments arguments;
  bool json = false;
};

void similarity(const Options& o) {
  const NamedImages images = o.arguments.named_images();
  const OpenModel model = o.arguments.open();
  TerminalProgress progress;
  const ImageFeatures found = features_of(model, images, o.arguments, true, progress);
  const Tensor cosines = core::matmul(found.features, found.features, core::Trans::no, core::Trans::yes);
  const auto values = cosines.span<float>();
  const size_t n = found.names.size();
  if (o.json) {
    nlohmann::ordered_json result = {{"pictures", found.names}};
    auto& rows = result["cosines"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < n; ++i)
      rows.push_back(
          std::vector<float>(values.begin() + std::ptrdiff_t(i * n), values.begin() + std::ptrdiff_t((i + 1) * n)));
    fmt::print("{}\n", json_text(result));
    return;
  }
  std::vector<Row> rows{{""}};
  for (size_t i = 0; i < n; ++i) {
    rows[0].push_back(std::to_string(i + 1));
    Row& row = rows.emplace_back(Row{fmt::format("{} {}", i + 1, found.names[i])});
    for (size_t j = 0; j < n; ++j) row.push_back(fmt::format("{:.3f}", values[i * n + j]));
  }
  fmt::print("{}", to_table(rows));
}

}  // namespace

void add_similarity(Program& program) {
  const auto o = std::make_shared<Options>();
  const Command command = program.command("similarity", "Prints the cosine similarity of each pair of images.");
  o->arguments.add_to(command);
  command.flag("--json", o->json, "print one JSON object");
  command.example("vitrail similarity --model dinov2-base/ a.jpg b.jpg c.jpg");
  command.action([o] { similarity(*o); });
}

}  // namespace vitrail::tools
