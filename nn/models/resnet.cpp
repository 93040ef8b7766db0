#include "vitrail/nn/models/resnet.h"

#include "vitrail/core/text.h"

#include <cmath>

namespace vitrail::nn {
namespace {

struct ResNetVariant {
  const char* name;
  std::vector<int64_t> layers;
  int64_t width;
  bool bottleneck, small_images;
};

const std::vector<ResNetVariant>& variants() {
  static const std::vector<ResNetVariant> all{
      {"resnet18", {2, 2, 2, 2}, 64, false, false}, {"resnet34", {3, 4, 6, 3}, 64, false, false},
      {"resnet50", {3, 4, 6, 3}, 64, true, false},  {"resnet8", {1, 1, 1}, 16, false, true},
      {"resnet20", {3, 3, 3}, 16, false, true},     {"resnet32", {5, 5, 5}, 16, false, true},
      {"resnet56", {9, 9, 9}, 16, false, true},
  };
  return all;
}

constexpr int64_t kExpansion = 4;

Conv2dConfig conv_config(int64_t kernel, int64_t stride) {
  return {.kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .bias = false,
          .weight_init = init::kaiming_normal_fan_out()};
}

}  // namespace

std::vector<std::string> resnet_variants() {
  std::vector<std::string> names;
  for (const ResNetVariant& v : variants()) names.emplace_back(v.name);
  return names;
}

ResNetConfig resnet_variant(std::string_view name) {
  for (const ResNetVariant& v : variants())
    if (v.name == name)
      return {.layers = v.layers, .width = v.width, .bottleneck = v.bottleneck, .small_images = v.small_images};
  fail<ConfigError>("resnet", "unknown variant '{}'; known are {}", name,
                    joined(variants(), [](const ResNetVariant& v) { return v.name; }));
}

ResidualBlock::Downsample::Downsample(const Scope& scope, int64_t in, int64_t out, int64_t stride)
    : Module(scope), conv(sub("0"), in, out, conv_config(1, stride)), bn(sub("1"), out) {}

ResidualBlock::ResidualBlock(const Scope& scope, int64_t in, int64_t width, int64_t stride, bool bottleneck)
    : Module(scope),
      conv1(sub("conv1"), in, width, bottleneck ? conv_config(1, 1) : conv_config(3, stride)),
      bn1(sub("bn1"), width),
      conv2(sub("conv2"), width, width, conv_config(3, bottleneck ? stride : 1)),
      bn2(sub("bn2"), width) {
  const int64_t out = bottleneck ? kExpansion * width : width;
  if (bottleneck) {
    conv3.emplace(sub("conv3"), width, out, conv_config(1, 1));
    bn3.emplace(sub("bn3"), out);
  }
  if (stride != 1 || in != out) downsample.emplace(sub("downsample"), in, out, stride);
}

Var ResidualBlock::forward(const Var& x) {
  Var y = bn2(conv2(relu(bn1(conv1(x)))));
  if (conv3) y = (*bn3)((*conv3)(relu(y)));
  return relu(y + (downsample ? (*downsample)(x) : x));
}

ResNet::ResNet(const Scope& scope, const ResNetConfig& c)
    : Module(scope),
      config(c),
      conv1(sub("conv1"), c.in_chans, c.width, c.small_images ? conv_config(3, 1) : conv_config(7, 2)),
      bn1(sub("bn1"), c.width) {
  int64_t channels = c.width;
  for (size_t stage = 0; stage < c.layers.size(); ++stage) {
    const int64_t width = c.width << stage;
    auto& blocks = layers.emplace_back(sub("layer" + std::to_string(stage + 1)));
    for (int64_t i = 0; i < c.layers[stage]; ++i) {
      blocks.add(channels, width, stage > 0 && i == 0 ? 2 : 1, c.bottleneck);
      channels = c.bottleneck ? kExpansion * width : width;
    }
  }
  feature_dim_ = channels;
  if (c.num_classes > 0)
    fc.emplace(sub("fc"), channels, c.num_classes,
               LinearConfig{.weight_init = init::kaiming_uniform(), .bias_init = init::kaiming_uniform(channels)});
}

Var ResNet::features(const Var& images, Compute) {
  Var x = relu(bn1(conv1(images)));  // [B, width, H, W], half the size on large images
  if (!config.small_images) x = max_pool2d(x, 3, 2, 1);
  for (auto& stage : layers)
    for (ResidualBlock& block : stage) x = block(x);
  return mean(x, {2, 3});  // [B, feature_dim]
}

}  // namespace vitrail::nn
