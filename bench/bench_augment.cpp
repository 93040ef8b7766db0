// bench_augment: images per second, decoded and augmented into DINO's views, and the time of each operation.
// bench/peer_torchvision.py prints the same for torchvision and Pillow. Of a large photograph the time of a crop says
// more: bench/peer_pillow.py has the same crops.
#include "tools/command_line.h"
#include "vitrail/core/error.h"
#include "vitrail/core/io/file.h"
#include "vitrail/data/augment/blur.h"
#include "vitrail/data/augment/color.h"
#include "vitrail/data/augment/flip.h"
#include "vitrail/data/augment/multi_crop.h"
#include "vitrail/data/augment/random_resized_crop.h"
#include "vitrail/data/augment/tones.h"
#include "vitrail/data/image/codec.h"
#include "vitrail/data/image/jpeg_turbo.h"
#include "vitrail/recipes/run/exit_code.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace vitrail;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The median time of a call in milliseconds, over as many calls as fit in `seconds`, at least 5.
double median_ms(double seconds, const std::function<void()>& fn) {
  fn();
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 5 || seconds_since(start) < seconds) {
    const auto call = Clock::now();
    fn();
    times.push_back(1e3 * seconds_since(call));
  }
  std::nth_element(times.begin(), times.begin() + std::ptrdiff_t(times.size() / 2), times.end());
  return times[times.size() / 2];
}

/// Buffers for the views of one image.
struct ViewBuffers {
  explicit ViewBuffers(const data::MultiCrop& crop) {
    for (const data::Views& same : crop.views())
      for (int64_t i = 0; i < same.count; ++i) buffers.emplace_back(size_t(same.shape.numel()));
    for (auto& buffer : buffers) views.emplace_back(buffer);
  }
  std::vector<std::vector<float>> buffers;
  std::vector<std::span<float>> views;
};

/// Images per second that fn(sample, buffers) handles on several threads.
double images_per_second(int threads, double seconds, const data::MultiCrop& crop,
                         const std::function<void(uint64_t, ViewBuffers&)>& fn) {
  std::atomic<uint64_t> next = 0;
  const auto start = Clock::now();
  {
    std::vector<std::jthread> workers;
    workers.reserve(size_t(threads));
    for (int i = 0; i < threads; ++i)
      workers.emplace_back([&] {
        ViewBuffers buffers(crop);
        while (seconds_since(start) < seconds) fn(next++, buffers);
      });
  }
  return double(next) / seconds_since(start);
}

nlohmann::ordered_json operations(std::span<const std::byte> file, const data::Image& image, double seconds) {
  using namespace data;
  const int64_t height = image.height(), width = image.width();
  const Box box{height / 10, width / 10, height * 8 / 10, width * 8 / 10};
  const Box small{height / 10, width / 10, height / 2, width * 4 / 10};
  Image view = resized_crop(image, box, {224, 224}, Filter::bicubic);
  const Normalize normalize(kImageNetMean, kImageNetStd);
  std::vector<float> floats(view.pixels().size());

  nlohmann::ordered_json ms;
  const auto time = [&](const char* name, const std::function<void()>& fn) { ms[name] = median_ms(seconds, fn); };
  const auto on_view = [&](const char* name, const std::function<Image(Image)>& op) {
    time(name, [&] { view = op(std::move(view)); });
  };
  time("decode", [&] { decode_image(file); });
  time("resized_crop_224", [&] { resized_crop(image, box, {224, 224}, Filter::bicubic); });
  time("resized_crop_96", [&] { resized_crop(image, small, {96, 96}, Filter::bicubic); });
  on_view("flip", flip_horizontal);
  on_view("brightness", [](Image i) { return adjust_brightness(std::move(i), 1.01); });
  on_view("contrast", [](Image i) { return adjust_contrast(std::move(i), 0.99); });
  on_view("saturation", [](Image i) { return adjust_saturation(std::move(i), 1.01); });
  on_view("hue", [](Image i) { return adjust_hue(std::move(i), 0.05); });
  on_view("solarize", [](Image i) { return solarize(std::move(i)); });
  on_view("blur", [](Image i) { return gaussian_blur(std::move(i), 1.2); });
  time("normalize", [&] { normalize(view, floats); });
  on_view("grayscale", grayscale);
  return ms;
}

/// From the file to a random crop of 224 x 224: milliseconds by the way of decoding, and the boxes, [top, left, height,
/// width] each.
void crops(std::span<const std::byte> file, int count, nlohmann::ordered_json& out) {
  using namespace data;
  const RandomResizedCrop crop({});
  const ImageSize size = image_size(file);
  std::vector<Box> boxes;
  for (int i = 0; i < count; ++i) {
    Rng rng(0, "augment", uint64_t(i));
    boxes.push_back(crop.sample(rng, size));
    out["boxes"].push_back({boxes.back().top, boxes.back().left, boxes.back().height, boxes.back().width});
  }
  const auto time = [&](const char* name, const std::function<PartRequest(const Box&)>& request) {
    const auto start = Clock::now();
    for (const Box& box : boxes) crop.apply(decode_part(file, [&](ImageSize) { return request(box); }), box);
    out["crop_ms"][name] = 1e3 * seconds_since(start) / count;
  };
  const auto whole = [&](const Box&) { return whole_image(size); };
  const auto scaled = [&](const Box& box) {
    const Demand demand = crop.demand(box, size);
    return request_for({&demand, 1});
  };
  data::testing::jpeg_decoder = JpegDecoder::stb;
  time("stb_image", whole);
  data::testing::jpeg_decoder = built_jpeg_decoder();
  time("whole", whole);
  time("skipped", [&](const Box& box) { return PartRequest{box, 1}; });
  time("scaled", [&](const Box& box) { return PartRequest{whole_image(size).box, scaled(box).shrink}; });
  time("scaled_skipped", scaled);
}

struct Options {
  std::string file;
  int threads = 1, crops = 32;
  double seconds = 2;
};

int bench_augment(int argc, char** argv) {
  tools::Program program("bench_augment",
                         "Measures images per second, decoded and augmented into 2 views of 224 and 8 of 96 pixels, "
                         "and milliseconds per operation.");
  Options o;
  program.option("file", o.file, "JPEG or PNG").required();
  program.option("--threads", o.threads, "threads that augment").range(1, 256);
  program.option("--crops", o.crops, "crops from the file to time, each with its decoding").range(1, 1000);
  program.option("--seconds", o.seconds, "approximate time of the measurement");
  program.example("bench_augment photo.jpg --threads 2");
  if (const auto code = program.parse(argc, argv)) return *code;

  const std::string bytes = read_file(o.file, int64_t{64} << 20);
  const auto file = std::as_bytes(std::span(bytes));
  const data::Image image = data::decode_image(file);
  const data::MultiCrop crop({});
  nlohmann::ordered_json out = {{"file", o.file},         {"height", image.height()},
                                {"width", image.width()}, {"bytes", bytes.size()},
                                {"threads", o.threads},   {"jpeg_decoder", data::jpeg_decoder_name()}};
  crops(file, o.crops, out);
  out["ms"] = operations(file, image, o.seconds / 20);
  out["augmented_per_s"] =
      images_per_second(o.threads, o.seconds / 2, crop, [&](uint64_t sample, ViewBuffers& buffers) {
        Rng rng(0, "augment", sample);
        crop(image, rng, buffers.views);
      });
  out["images_per_s"] = images_per_second(o.threads, o.seconds / 2, crop, [&](uint64_t sample, ViewBuffers& buffers) {
    Rng rng(0, "augment", sample);
    crop(data::decode_image(file), rng, buffers.views);
  });
  std::printf("%s\n", out.dump(2).c_str());
  return recipes::kDone;
}

}  // namespace

int main(int argc, char** argv) { return recipes::run_program(bench_augment, argc, argv); }
