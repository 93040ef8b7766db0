// gradcheck for modules. See autograd/gradcheck.h.
#pragma once

#include "vitrail/autograd/gradcheck.h"
#include "vitrail/nn/module.h"

namespace vitrail::nn {

using ag::gradcheck;

}  // namespace vitrail::nn
