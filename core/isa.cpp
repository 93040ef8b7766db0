#include "core/error.h"
#include "core/simd/table.h"

#include <cstdlib>
#include <string_view>

namespace vitrail::simd {

namespace x86_64_v3 {
const Table<float>& table();
}
namespace x86_64_v4 {
const Table<float>& table();
}

namespace {

bool has_v4() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}

bool choose_v4() {
  const char* asked = std::getenv("VITRAIL_ISA");
  if (!asked) return has_v4();
  const std::string_view name = asked;
  check<ConfigError>(name == "x86-64-v3" || name == "x86-64-v4", "isa",
                     "VITRAIL_ISA is \"{}\", it can be x86-64-v3 or x86-64-v4", name);
  check<ConfigError>(name == "x86-64-v3" || has_v4(), "isa", "this machine has no AVX-512 for VITRAIL_ISA={}", name);
  return name == "x86-64-v4";
}

bool uses_v4() {
  static const bool chosen = choose_v4();
  return chosen;
}

}  // namespace

template <>
const Table<float>& table<float>() {
  return uses_v4() ? x86_64_v4::table() : x86_64_v3::table();
}

const char* isa() { return uses_v4() ? "x86-64-v4" : "x86-64-v3"; }

}  // namespace vitrail::simd
