#include "vitrail/core/isa.h"

#include "vitrail/core/error.h"
#include "vitrail/core/kernels/few_rows.h"
#include "vitrail/core/kernels/gemm.h"
#include "vitrail/core/kernels/table.h"
#include "vitrail/core/text.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace vitrail::kernels {

#define VITRAIL_DECLARE(isa)     \
  namespace isa {                \
  const Table<float>& table();   \
  const FewRows& few_rows();     \
  const Gemm<float>* gemm_f32(); \
  const Gemm<bf16>* gemm_bf16(); \
  }
VITRAIL_DECLARE(x86_64_v3)
VITRAIL_DECLARE(x86_64_v4)
VITRAIL_DECLARE(x86_64_v4_bf16)
#undef VITRAIL_DECLARE
namespace x86_64_v4_amx {
const Gemm<bf16>* gemm_bf16();
}

namespace {

bool has_v4() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}
bool has_v3() { return true; }  // the rest of the library is compiled for it
bool has_v4_bf16() { return has_v4() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni"); }
/// Asks the kernel for permission to use the tiles: it grows the state that it saves for each thread.
bool has_v4_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_v4_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBf16) && (d & kTiles) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

/// The kernels compiled for one instruction set.
struct Isa {
  const char* name;
  bool (*supported)();
  const Table<float>& (*table)();
  const FewRows& (*few_rows)();
  const Gemm<float>* (*gemm_f32)();
  const Gemm<bf16>* (*gemm_bf16)();
};
constexpr Isa kIsas[] = {
    // best first
    {"x86-64-v4-amx", has_v4_amx, x86_64_v4_bf16::table, x86_64_v4_bf16::few_rows, x86_64_v4_bf16::gemm_f32,
     x86_64_v4_amx::gemm_bf16},
    {"x86-64-v4-bf16", has_v4_bf16, x86_64_v4_bf16::table, x86_64_v4_bf16::few_rows, x86_64_v4_bf16::gemm_f32,
     x86_64_v4_bf16::gemm_bf16},
    {"x86-64-v4", has_v4, x86_64_v4::table, x86_64_v4::few_rows, x86_64_v4::gemm_f32, x86_64_v4::gemm_bf16},
    {"x86-64-v3", has_v3, x86_64_v3::table, x86_64_v3::few_rows, x86_64_v3::gemm_f32, x86_64_v3::gemm_bf16},
};

const Isa& choose() {
  const char* asked = std::getenv("VITRAIL_ISA");
  for (const Isa& isa : kIsas)
    if (asked ? asked == std::string_view(isa.name) : isa.supported()) {
      check<ConfigError>(isa.supported(), "isa", "this machine cannot run VITRAIL_ISA={}", isa.name);
      return isa;
    }
  fail<ConfigError>("isa", "VITRAIL_ISA is \"{}\", it can be {}", asked,
                    joined(kIsas, [](const Isa& isa) { return isa.name; }));
}

const Isa& chosen() {
  static const Isa& isa = choose();
  return isa;
}

}  // namespace

template <>
const Table<float>& table<float>() {
  static const Table<float>& best = chosen().table();
  return best;
}
const FewRows& few_rows() {
  static const FewRows& best = chosen().few_rows();
  return best;
}
template <>
const Gemm<float>* gemm<float>() {
  static const Gemm<float>* const best = chosen().gemm_f32();
  return best;
}
template <>
const Gemm<bf16>* gemm<bf16>() {
  static const Gemm<bf16>* const best = chosen().gemm_bf16();
  return best;
}

}  // namespace vitrail::kernels

const char* vitrail::isa() { return kernels::chosen().name; }
