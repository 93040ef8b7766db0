// ResNet: a convolutional network to compare ViT with, and DeiT's teacher.
#pragma once

#include "vitrail/nn/backbone.h"
#include "vitrail/nn/conv.h"
#include "vitrail/nn/linear.h"
#include "vitrail/nn/norm.h"

namespace vitrail::nn {

struct ResNetConfig {
  std::vector<int64_t> layers{2, 2, 2, 2};  // blocks a stage; each stage after the first halves the resolution
  int64_t width = 64;                       // channels of the first stage; each later stage doubles them
  bool bottleneck = false;                  // 1x1, 3x3, 1x1 blocks with expansion 4 (ResNet-50)
  bool small_images = false;                // 3x3 stem without pooling, for 32x32 pixels
  int64_t in_chans = 3;
  int64_t num_classes = 1000;  // 0: no head
};

/// resnet18, resnet34, resnet50, and resnet8, resnet20, resnet32, resnet56 for 32x32 pixels (width 16, three stages).
/// Throws ConfigError listing the names for another one.
ResNetConfig resnet_variant(std::string_view name);
/// The names that resnet_variant() accepts.
std::vector<std::string> resnet_variants();

/// conv-bn-relu-conv-bn (or the bottleneck), plus the input, projected where the shape changes, then relu.
/// Shape: x [B, in, H, W] -> [B, out, H / stride, W / stride].
struct ResidualBlock final : Module<ResidualBlock> {
  ResidualBlock(const Scope& scope, int64_t in, int64_t width, int64_t stride, bool bottleneck);

  Var forward(const Var& x);

  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  std::optional<Conv2d> conv3;
  std::optional<BatchNorm2d> bn3;

  /// 1x1 convolution and norm, called downsample.0 and downsample.1.
  struct Downsample final : Module<Downsample> {
    Downsample(const Scope& scope, int64_t in, int64_t out, int64_t stride);
    Var forward(const Var& x) { return bn(conv(x)); }
    Conv2d conv;
    BatchNorm2d bn;
  };
  std::optional<Downsample> downsample;
};

/// Shape:  images [B, in_chans, H, W] -> logits [B, num_classes].
/// Source: He et al. 2016 (arXiv:1512.03385); parameter names as in torchvision and timm; stride in the 3x3
/// convolution.
struct ResNet final : Module<ResNet, Backbone> {
  ResNet(const Scope& scope, const ResNetConfig& config);

  Var forward(const Var& images) { return logits(images); }

  Var features(const Var& images, Compute compute = Compute::needed) override;
  Var classify(const Var& features) override { return fc ? (*fc)(features, DType::f32) : features; }
  int64_t feature_dim() const override { return feature_dim_; }
  int64_t num_classes() const override { return config.num_classes; }

  ResNetConfig config;
  Conv2d conv1;
  BatchNorm2d bn1;
  std::deque<ModuleList<ResidualBlock>> layers;  // called layer1, layer2, ...
  std::optional<Linear> fc;

 private:
  int64_t feature_dim_;
};

}  // namespace vitrail::nn
