// The interface of an augmentation, and Pipeline, which applies several in order.
//
// An augmentation is a plain class with two functions. sample() draws Params from an Rng. apply() is a pure function of
// an image and Params, so its result can be tested, shown and repeated. An augmentation that changes pixels in place
// takes its image by value: the image is moved in and out, never copied. Each file beside this one holds one family.
#pragma once

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/image/image.h"
#include "vitrail/data/image/image_part.h"

#include <concepts>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace vitrail::data {

template <class A>
concept Augmentation = requires(const A a, Rng& rng, const Image& image, const typename A::Params& params) {
  { a.sample(rng, image.size()) } -> std::same_as<typename A::Params>;
  { a.apply(image, params) } -> std::same_as<Image>;
};

/// An augmentation that can be given the part of an image that it reads. demand() says which, before there are pixels.
template <class A>
concept ReadsPart = requires(const A a, const ImagePart& part, const typename A::Params& params) {
  { a.demand(params, part.whole) } -> std::same_as<Demand>;
  { a.apply(part, params) } -> std::same_as<Image>;
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
    return steps_.empty() ? image : rest(steps_.front()->of_copy(image, rng), rng);
  }
  /// The same for a part that holds what demand() asks for, with the same draws.
  Image operator()(const ImagePart& part, Rng& rng) const {
    return steps_.empty() ? part.pixels : rest(steps_.front()->of_part(part, rng), rng);
  }
  /// What the pipeline will read of an image of that size if it is called with the same rng; nothing: all of it. Draws
  /// what a call draws, so that the next pipeline's demand can follow. Steps after the first keep the size.
  std::optional<Demand> demand(ImageSize size, Rng& rng) const {
    const std::optional<Demand> first = steps_.empty() ? std::nullopt : steps_.front()->demand(size, rng);
    for (size_t i = 1; first && i < steps_.size(); ++i) steps_[i]->demand(first->target, rng);
    return first;
  }

 private:
  /// The first step reads the caller's image, so that a crop copies nothing else.
  struct Step {
    virtual ~Step() = default;
    virtual Image of_copy(const Image& image, Rng& rng) const = 0;
    virtual Image of_part(const ImagePart& part, Rng& rng) const = 0;
    virtual std::optional<Demand> demand(ImageSize size, Rng& rng) const = 0;
    virtual Image of(Image image, Rng& rng) const = 0;
  };
  template <Augmentation A>
  struct StepOf final : Step {
    explicit StepOf(A a) : augmentation(std::move(a)) {}
    Image of_copy(const Image& image, Rng& rng) const override {
      return augmentation.apply(image, augmentation.sample(rng, image.size()));
    }
    Image of_part(const ImagePart& part, Rng& rng) const override {
      const auto params = augmentation.sample(rng, part.whole);
      if constexpr (ReadsPart<A>) {
        return augmentation.apply(part, params);
      } else {
        check<ShapeError>(part.is_whole(), "pipeline", "the first step needs all of an image of {}", part.whole);
        return augmentation.apply(part.pixels, params);
      }
    }
    std::optional<Demand> demand(ImageSize size, Rng& rng) const override {
      const auto params = augmentation.sample(rng, size);
      if constexpr (ReadsPart<A>) return augmentation.demand(params, size);
      return std::nullopt;
    }
    Image of(Image image, Rng& rng) const override {
      const auto params = augmentation.sample(rng, image.size());
      return augmentation.apply(std::move(image), params);
    }
    A augmentation;
  };

  /// All steps but the first.
  Image rest(Image changed, Rng& rng) const {
    for (size_t i = 1; i < steps_.size(); ++i) changed = steps_[i]->of(std::move(changed), rng);
    return changed;
  }

  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace vitrail::data
