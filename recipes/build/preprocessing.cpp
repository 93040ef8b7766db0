#include "vitrail/recipes/build/preprocessing.h"

#include "vitrail/core/error.h"
#include "vitrail/core/rng.h"
#include "vitrail/data/augment/center_crop.h"
#include "vitrail/data/augment/pad_square.h"
#include "vitrail/recipes/config/foreign_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace vitrail::recipes {
namespace {

using data::Filter;

constexpr int64_t kLargestSide = 1 << 14;
constexpr data::Normalize::Channels kClipMean = {0.48145466, 0.4578275, 0.40821073},
                                    kClipStd = {0.26862954, 0.26130258, 0.27577711};

/// PIL.Image's names for the filters, in the order of its numbers.
constexpr Named<Filter> kPillowFilters[] = {{"nearest", Filter::nearest},   {"lanczos", Filter::lanczos},
                                            {"bilinear", Filter::bilinear}, {"bicubic", Filter::bicubic},
                                            {"box", Filter::box},           {"hamming", Filter::hamming}};

/// The beginnings of the names of Hugging Face's image processors that prepare images by the keys read here. One that
/// keeps proportions applies a single size to the shorter side, the others apply it to both sides. LLaVA's is CLIP's
/// and may pad images. A key that is missing has the value that is usual for the layout.
struct Processor {
  std::string_view beginning;
  bool keeps_proportions;
  std::string_view layout;
};
constexpr std::string_view kPadding = "Llava";
constexpr Processor kProcessors[] = {{"CLIP", true, "hf_clip"},   {"Bit", true, "hf_clip"},
                                     {"ViT", false, "hf_vit"},    {"DeiT", false, "hf_deit"},
                                     {"Siglip", false, "hf_vit"}, {kPadding, true, "hf_clip"}};

/// The image processor of the file. If it names none: the one that Hugging Face has for models of the layout.
Processor find_processor(const JsonObject& c, const nn::Layout& layout) {
  c.pass_over({"image_processor_type", "feature_extractor_type"});  // older files have either, or both
  const char* const key = c.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  if (!c.has(key)) {
    if (layout.name == "hf_siglip_vision") return {"Siglip", false, "hf_vit"};
    const bool bit = layout.name == "hf_dinov2";
    return {"", bit || layout.name.starts_with("hf_clip"), bit ? "hf_clip" : layout.name};
  }
  const std::string name = c.text(key);
  const auto* const found = std::find_if(std::begin(kProcessors), std::end(kProcessors), [&](const Processor& p) {
    const std::string_view rest = std::string_view(name).substr(std::min(p.beginning.size(), name.size()));
    return name.starts_with(p.beginning) && (rest.starts_with("Image") || rest.starts_with("Feature"));
  });
  check<IoError>(found != std::end(kProcessors), "json",
                 "{}: '{}' is \"{}\", which may prepare images by other rules; known are those of {}; to go by the "
                 "other keys: --accept-key {}",
                 c.file(), c.path(key), name, joined(kProcessors, [](const Processor& p) { return p.beginning; }), key);
  return *found;
}

/// The side of a square given as a number, as a list of two, or as {"height", "width"}.
int64_t square_side(const JsonObject& c, const char* key) {
  if (const Json* value = c.find(key); value && (value->is_number() || value->is_array()))
    return c.side(key, kLargestSide);
  const JsonObject size = c.object(key);
  const int64_t height = size.integer("height", 1, kLargestSide), width = size.integer("width", 1, kLargestSide);
  check<IoError>(height == width, "json", "{}: '{}' is {} x {}; images must be square here", c.file(), c.path(key),
                 height, width);
  return height;
}

}  // namespace

data::ImageTransform Preprocessing::transform() const {
  check<ConfigError>(resize != Resize::shorter || crop > 0, "preprocessing",
                     "images keep their proportions and are not cropped; models take squares: set crop");
  data::Pipeline steps;
  if (pad) steps.add(data::PadSquare(data::PadSquare::mean_color(mean)));
  if (resize == Resize::shorter) {
    steps.add(data::ResizeCenterCrop(size, crop, filter, crop_offset));
  } else {
    if (resize == Resize::exact) steps.add(data::ResizeExact({size, size}, filter));
    if (crop > 0) steps.add(data::CenterCrop(crop, crop_offset));
  }
  return {std::move(steps), data::Normalize(mean, std), {}, background};
}

Tensor Preprocessing::batch(std::span<const data::Image> images) const {
  const int64_t side = img_size();
  const data::ImageTransform as_input = transform();
  Tensor result = Tensor::empty({int64_t(images.size()), 3, side, side});
  Rng unused(0, "preprocessing");  // the transform draws no random numbers
  for (size_t i = 0; i < images.size(); ++i) as_input(images[i], unused, result.select(0, int64_t(i)).span<float>());
  return result;
}

std::string Preprocessing::text() const {
  std::string steps;
  if (background.named()) steps = fmt::format("transparent pixels: {}, ", background.text());
  if (pad) steps += "on a square of the mean colour, ";
  if (resize == Resize::shorter) steps += fmt::format("shorter side to {} ({}), ", size, data::to_string(filter));
  if (resize == Resize::exact) steps += fmt::format("to {}x{} ({}), ", size, size, data::to_string(filter));
  if (crop > 0) steps += fmt::format("the central {}x{}, ", crop, crop);
  return steps + fmt::format("mean {} {} {}, std {} {} {}", mean[0], mean[1], mean[2], std[0], std[1], std[2]);
}

Preprocessing published_preprocessing(const nn::Layout& layout, int64_t img_size) {
  constexpr int64_t kDinov2Trained = 518, kUsual = 224;
  if (layout.name.ends_with("dinov2") && img_size == kDinov2Trained) img_size = kUsual;
  Preprocessing p;
  p.crop = img_size;
  p.size = img_size * 256 / kUsual;
  if (layout.name.starts_with("hf_")) p.crop_offset = data::CropOffset::floor;
  if (layout.family == nn::Family::clip || layout.name == "hf_clip_vision") {
    p.size = img_size;
    p.mean = kClipMean;
    p.std = kClipStd;
  } else if (layout.name == "torchvision") {
    p.filter = Filter::bilinear;
  } else if (layout.name == "hf_vit") {
    p = {.resize = Preprocessing::Resize::exact, .size = img_size, .filter = Filter::bilinear, .crop = 0};
    p.crop_offset = data::CropOffset::floor;
    p.mean = data::kHalfMean;
    p.std = data::kHalfStd;
  } else if (layout.name.starts_with("hf_deit")) {
    p.resize = Preprocessing::Resize::exact;
  }
  return p;
}

data::Filter parse_filter(const JsonObject& c, const char* key, data::Filter otherwise) {
  const Json* const value = c.find(key);
  if (!value) return otherwise;
  if (!value->is_string()) return kPillowFilters[c.integer(key, 0, std::ssize(kPillowFilters) - 1)].value;
  std::string name = value->as_string();
  name.erase(0, name.rfind('.') + 1);  // "PIL.Image.BICUBIC"
  for (char& letter : name) letter = letter >= 'A' && letter <= 'Z' ? char(letter - 'A' + 'a') : letter;
  for (const Named<Filter>& filter : kPillowFilters)
    if (filter.name == name) return filter.value;
  fail<IoError>("json", "{}: '{}' is {}; known are {}", c.file(), c.path(key), value->excerpt(),
                joined(kPillowFilters, [](const Named<Filter>& f) { return f.name; }));
}

Preprocessing parse_preprocessor(std::string_view text, const std::string& name, const nn::Layout& layout,
                                 const std::vector<std::string>& accepted) {
  return parse_preprocessor(JsonObject::parse(text, name, accepted), layout);
}

Preprocessing parse_preprocessor(const JsonObject& c, const nn::Layout& layout) {
  constexpr int64_t kUsual = 224;
  const Processor processor = find_processor(c, layout);
  Preprocessing p = published_preprocessing(nn::layout_named(processor.layout), kUsual);
  if (processor.beginning == "Siglip") p.filter = Filter::bicubic;
  if (processor.layout.starts_with("hf_deit"))
    p.mean = data::kHalfMean, p.std = data::kHalfStd;  // the default of its class; published files set other values

  if (processor.beginning == kPadding) p.pad = c.flag("do_pad", false);
  const bool square = c.flag("default_to_square", !processor.keeps_proportions);
  if (c.has("size")) {
    const Json& size = *c.find("size");
    const bool shorter = size.is_object() ? size.find("shortest_edge") != nullptr : size.is_number() && !square;
    p.resize = shorter ? Preprocessing::Resize::shorter : Preprocessing::Resize::exact;
    p.size = shorter && size.is_object() ? c.object("size").integer("shortest_edge", 1, kLargestSide)
                                         : square_side(c, "size");
  }
  p.filter = parse_filter(c, "resample", p.filter);
  if (!c.flag("do_resize", true)) p.resize = Preprocessing::Resize::none;
  const bool crops = c.flag("do_center_crop", p.crop > 0);
  if (c.has("crop_size")) p.crop = square_side(c, "crop_size");
  check<IoError>(!crops || p.crop > 0, "json", "{}: '{}' is true, but there is no '{}'", c.file(),
                 c.path("do_center_crop"), c.path("crop_size"));
  if (!crops) p.crop = 0;
  check<IoError>(p.crop > 0 || p.resize == Preprocessing::Resize::exact, "json",
                 "{}: images keep their proportions and are not cropped; models here take squares: it needs "
                 "'do_center_crop' or a 'size' with height and width",
                 c.file());

  constexpr double kOf255 = 1 / 255.0;
  const double factor = c.number("rescale_factor", 0, 1, kOf255);
  check<IoError>(c.flag("do_rescale", true) && std::abs(factor - kOf255) < 1e-9, "json",
                 "{}: pixels must be divided by 255: 'do_rescale' true, 'rescale_factor' 1/255", c.file());
  p.mean = c.triple("image_mean", -256, p.mean);
  p.std = c.triple("image_std", 0, p.std);
  if (!c.flag("do_normalize", true)) p.mean = {0, 0, 0}, p.std = {1, 1, 1};
  expect_all_read(p.pad ? c.updated(JsonObject::parse(R"({"do_pad": false})", c.file())) : c);
  return p;
}

std::string to_preprocessor_json(const Preprocessing& p, const nn::Layout& layout) {
  const auto* const filter = std::find_if(std::begin(kPillowFilters), std::end(kPillowFilters),
                                          [&](const Named<Filter>& f) { return f.value == p.filter; });
  const bool shorter = p.resize == Preprocessing::Resize::shorter;
  std::string processor = shorter ? "BitImageProcessor" : p.crop > 0 ? "DeiTImageProcessor" : "ViTImageProcessor";
  if (layout.name.starts_with("hf_clip") && shorter) processor = "CLIPImageProcessor";
  Json c = Json::object({{"image_processor_type", processor},
                         {"do_convert_rgb", true},
                         {"do_resize", p.resize != Preprocessing::Resize::none}});
  if (shorter)
    c["size"] = Json::object({{"shortest_edge", p.size}});
  else
    c["size"] = Json::object({{"height", p.size}, {"width", p.size}});
  c["resample"] = int64_t(filter - std::begin(kPillowFilters));
  if (p.crop > 0) {
    c["do_center_crop"] = true;
    c["crop_size"] = Json::object({{"height", p.crop}, {"width", p.crop}});
  } else {
    c["do_center_crop"] = false;
  }
  c["do_rescale"] = true;
  c["rescale_factor"] = 1 / 255.0;
  c["do_normalize"] = true;
  c["image_mean"] = p.mean;
  c["image_std"] = p.std;
  return c.text(2) + "\n";
}

}  // namespace vitrail::recipes
