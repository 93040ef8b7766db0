// The instruction set that the kernels were chosen for.
#pragma once

namespace vitrail {

/// "x86-64-v4-amx", "x86-64-v4-bf16", "x86-64-v4" or "x86-64-v3": the best that this processor has, or $VITRAIL_ISA.
/// Throws ConfigError if $VITRAIL_ISA is none of them or one that this processor lacks.
const char* isa();

}  // namespace vitrail
