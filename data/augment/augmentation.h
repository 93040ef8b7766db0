// The interface of an augmentation, and Pipeline, which applies several in order.
//
// An augmentation is a plain class with two functions. sample() draws Params from an Rng. apply() is a pure function of
// an image and Params, so its result can be tested, shown and repeated. An augmentation that changes pixels in place
// takes its image by value: the image is moved in and out, never copied. Each file beside this one holds one family.
#pragma once

#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

namespace vitrail::data {

template <class A>
concept Augmentation = requires(const A a, Rng& rng, const Image& image, const typename A::Params& params) {
  { a.sample(rng, image.size()) } -> std::same_as<typename A::Params>;
  { a.apply(image, params) } -> std::same_as<Image>;
};

/// Applies augmentations one after another. Pixels are 8 bits between them, as in Pillow.
///
/// Thread: one pipeline serves several threads, each with its own Rng.
class Pipeline final {
 public:
  /// Appends a step. Returns the pipeline, so that calls can be chained.
  template <Augmentation A>
  Pipeline& add(A augmentation) {
    steps_.push_back(std::make_shared<StepOf<A>>(std::move(augmentation)));
    return *this;
  }

  Image operator()(const Image& image, Rng& rng) const {
    if (steps_.empty()) return image;
    Image changed = steps_.front()->of_copy(image, rng);
    for (size_t i = 1; i < steps_.size(); ++i) changed = steps_[i]->of(std::move(changed), rng);
    return changed;
  }

 private:
  /// The first step reads the caller's image, so that a crop copies nothing else.
  struct Step {
    virtual ~Step() = default;
    virtual Image of_copy(const Image& image, Rng& rng) const = 0;
    virtual Image of(Image image, Rng& rng) const = 0;
  };
  template <Augmentation A>
  struct StepOf final : Step {
    explicit StepOf(A a) : augmentation(std::move(a)) {}
    Image of_copy(const Image& image, Rng& rng) const override {
      return augmentation.apply(image, augmentation.sample(rng, image.size()));
    }
    Image of(Image image, Rng& rng) const override {
      const auto params = augmentation.sample(rng, image.size());
      return augmentation.apply(std::move(image), params);
    }
    A augmentation;
  };

  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace vitrail::data
