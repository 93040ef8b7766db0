// What every augmentation looks like, and how they are put in a row.
//
// An augmentation is a plain class with two functions: sample() draws Params from an Rng, apply() is a pure function of
// an image and Params, so that its result can be tested, shown and repeated. The files beside this one hold one each.
#pragma once

#include "../../core/rng.h"
#include "../image.h"

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

namespace vitrail::data {

template <class A>
concept Augmentation = requires(const A a, Rng& rng, const Image& image, const typename A::Params& params) {
  { a.sample(rng, image.size()) } -> std::same_as<typename A::Params>;
  { a.apply(image, params) } -> std::same_as<Image>;
};

/// Augmentations one after another. Each image is 8 bits between them, as in Pillow.
///
/// Thread: one pipeline serves several threads, each with its own Rng.
class Pipeline final {
 public:
  template <Augmentation A>
  Pipeline& add(A augmentation) {
    steps_.push_back([a = std::move(augmentation)](const Image& image, Rng& rng) {
      return a.apply(image, a.sample(rng, image.size()));
    });
    return *this;
  }

  Image operator()(Image image, Rng& rng) const {
    for (const auto& step : steps_) image = step(image, rng);
    return image;
  }

 private:
  std::vector<std::function<Image(const Image&, Rng&)>> steps_;
};

}  // namespace vitrail::data
