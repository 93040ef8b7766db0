// check_reference: computes the cases of reference files and compares each with the expected values in the file.
#include "tools/command_line.h"
#include "tools/reference/reference_case.h"
#include "vitrail/recipes/run/exit_code.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

using namespace vitrail;

namespace {

using nlohmann::ordered_json;

/// The result of one case. "pass" is true, false, or "unknown" if the case is of an unknown kind.
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
  tools::Program program(
      "check_reference",
      "Compares with reference files of the official implementations. The exit code is 1 if a case fails.");
  std::vector<std::string> files;
  std::string dtype = "f32";
  bool json = false;
  program.option("file", files, "HDF5 files in the layout of tests/reference/README.md").required();
  program.option("--dtype", dtype, "type to compute in").choices({"f32", "f64"});
  program.flag("--json", json, "print one line of JSON for each case");
  program.example("check_reference tests/reference/optim.h5 --dtype f64 --json");
  if (const auto code = program.parse(argc, argv)) return *code;
  bool ok = true;
  for (const std::string& file : files) ok = check_file(file, parse_dtype(dtype), json) && ok;
  return ok ? recipes::kDone : recipes::kFailed;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(check_reference, argc, argv); }
