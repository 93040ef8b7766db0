// Reads any text as a recipe. The parser throws ConfigError or accepts it; an accepted recipe prints as a recipe with
// the same values.
#include "vitrail/core/error.h"
#include "vitrail/recipes/config/config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Everything {
  bool flag = false;
  int64_t count = 1;
  double rate = 0.5;
  std::string name = "a", kind = "x";
  std::vector<double> list;
  std::optional<int64_t> maybe;

  struct Section {
    Everything& all;
    void describe(vitrail::recipes::Fields& f) {
      f("rate", all.rate, "a number");
      f("list", all.list, "numbers");
    }
  };
  void describe(vitrail::recipes::Fields& f) {
    Section section{*this};
    f("flag", flag, "a switch");
    f("count", count, "an integer");
    f("name", name, "a string");
    f("kind", kind, "a choice", vitrail::recipes::one_of({"x", "y"}));
    f("maybe", maybe, "an optional");
    f("section", section);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Everything first, second;
  vitrail::recipes::Config config(first), again(second);
  try {
    config.read_text({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
  } catch (const vitrail::ConfigError&) {
    return 0;
  }
  const std::string text = config.yaml();
  if (int64_t(text.size()) > (64 << 10)) return 0;
  again.read_text(text, "fuzz.yaml");
  if (first.name != second.name || first.rate != second.rate || first.list != second.list) std::abort();
  return 0;
}
