// check_reference: computes the cases of reference files and says how far each is from what the file expects.
#include "tools/reference/reference_case.h"
#include "vitrail/recipes/run/exit_code.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace vitrail;

namespace {

using nlohmann::ordered_json;

/// A line about one case: pass is true, false, or "unknown" if nothing here can compute it.
ordered_json check_case(const hdf5::Reader& file, const reference::ReferenceCase& c, DType dtype) {
  if (!c.run) return {{"worst", nullptr}, {"tolerance", nullptr}, {"pass", "unknown"}};
  try {
    const reference::Outcome outcome = c.run(file, c.path, dtype);
    return {{"worst", outcome.worst()}, {"tolerance", outcome.tolerance()}, {"pass", outcome.pass()}};
  } catch (const std::exception& error) {
    return {{"worst", nullptr}, {"tolerance", nullptr}, {"pass", false}, {"error", error.what()}};
  }
}

void print(const ordered_json& line, bool json) {
  if (json) {
    fmt::print("{}\n", line.dump());
    return;
  }
  const ordered_json& pass = line["pass"];
  const char* verdict = !pass.is_boolean() ? "unknown" : pass.get<bool>() ? "pass" : "FAIL";
  fmt::print("{:8}{} {} {}", verdict, line["file"].get<std::string>(), line["case"].get<std::string>(),
             line["dtype"].get<std::string>());
  if (line["worst"].is_number())
    fmt::print(": {:.2g} of {:.2g}", line["worst"].get<double>(), line["tolerance"].get<double>());
  if (line.contains("error")) fmt::print(": {}", line["error"].get<std::string>());
  fmt::print("\n");
}

/// False if a case failed.
bool check_file(const std::string& path, DType dtype, bool json) {
  const hdf5::Reader file(path);
  bool ok = true;
  for (const reference::ReferenceCase& c : reference::reference_cases(file)) {
    ordered_json line = {{"file", path}, {"case", c.path}, {"dtype", to_string(dtype)}};
    line.update(check_case(file, c, dtype));
    ok = ok && line["pass"] != false;
    print(line, json);
  }
  return ok;
}

int check_reference(int argc, char** argv) {
  CLI::App app("Compare with reference files of the official implementations. Exits with 1 if a case fails.",
               "check_reference");
  std::vector<std::string> files;
  std::string dtype = "f32";
  bool json = false;
  app.add_option("file", files, "HDF5 files, laid out as tests/reference/README.md says")->required();
  app.add_option("--dtype", dtype, "type to compute in")->check(CLI::IsMember({"f32", "f64"}))->capture_default_str();
  app.add_flag("--json", json, "a line of JSON for each case");
  app.footer("Example: check_reference tests/reference/optim.h5 --dtype f64 --json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? recipes::kDone : recipes::kBadRecipe;
  }
  bool ok = true;
  for (const std::string& file : files) ok = check_file(file, parse_dtype(dtype), json) && ok;
  return ok ? recipes::kDone : recipes::kFailed;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(check_reference, argc, argv); }
