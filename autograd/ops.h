// Differentiable twins of core/ops.h: same names, same meaning. Each family has a header in autograd/ops/.
// A Var argument finds them by argument-dependent lookup, so modules need no prefix. The kernels in core/ops/ document
// shapes, sources and errors.
#pragma once

#include "vitrail/autograd/ops/activation.h"
#include "vitrail/autograd/ops/attention.h"
#include "vitrail/autograd/ops/elementwise.h"
#include "vitrail/autograd/ops/image.h"
#include "vitrail/autograd/ops/indexing.h"
#include "vitrail/autograd/ops/losses.h"
#include "vitrail/autograd/ops/matmul.h"
#include "vitrail/autograd/ops/norm.h"
#include "vitrail/autograd/ops/reduce.h"
#include "vitrail/autograd/ops/shape.h"
