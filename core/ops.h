// Every kernel. Each family has a header in core/ops/; include that one to compile less.
//
// Inputs are strided tensors of one floating type unless a line says otherwise; outputs are new dense tensors.
// f32 and bf16 run fast kernels: oneDNN or vectorised loops, with statistics and sums in f32. f64 runs plain loops.
// core/reference/ defines each operation, and the tests compare all three types with it.
// All throw ShapeError. The message names the op, its arguments and the requirement.
#pragma once

#include "vitrail/core/ops/activation.h"
#include "vitrail/core/ops/attention.h"
#include "vitrail/core/ops/elementwise.h"
#include "vitrail/core/ops/image.h"
#include "vitrail/core/ops/indexing.h"
#include "vitrail/core/ops/losses.h"
#include "vitrail/core/ops/matmul.h"
#include "vitrail/core/ops/norm.h"
#include "vitrail/core/ops/reduce.h"
#include "vitrail/core/ops/rope.h"
#include "vitrail/core/ops/shape.h"
#include "vitrail/core/ops/window_attention.h"
