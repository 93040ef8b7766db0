#include "vitrail/nn/projector.h"

namespace vitrail::nn {

Projector::Projector(const Scope& scope, int64_t in, int64_t out, const ProjectorConfig& config)
    : Module(scope), gelu_kind(config.gelu) {
  check<ConfigError>(config.depth > 0 || (config.depth == 0 && in == out), "projector",
                     "depth is {}; features of width {} for embeddings of width {} need at least one Linear",
                     config.depth, in, out);
  for (int64_t i = 1, width = in; i <= config.depth; ++i, width = out)
    linears.emplace_back(
        sub("linear_" + std::to_string(i)), width, out,
        LinearConfig{
            .bias = config.bias, .weight_init = init::kaiming_uniform(), .bias_init = init::kaiming_uniform(width)});
}

Var Projector::forward(const Var& x) {
  Var y = x;
  for (Linear& linear : linears) {
    if (&linear != &linears.front()) y = gelu(y, gelu_kind);
    y = &linear == &linears.back() ? linear(y, DType::f32) : linear(y);
  }
  return y;
}

}  // namespace vitrail::nn
