#include "vitrail/data/draw/contact_sheet.h"

#include "vitrail/core/error.h"
#include "vitrail/data/draw/draw.h"
#include "vitrail/data/image/resize.h"

#include <algorithm>

namespace vitrail::data {
namespace {

// Enlarged by a whole factor so that the pixels can be seen, or shrunk.
Image fit(const Image& image, int64_t cell) {
  const int64_t longer = std::max(image.height(), image.width());
  if (longer <= cell) {
    const int64_t factor = cell / longer;
    return resize(image, {image.height() * factor, image.width() * factor}, Filter::nearest);
  }
  const auto shrunk = [&](int64_t side) { return std::max(side * cell / longer, int64_t{1}); };
  return resize(image, {shrunk(image.height()), shrunk(image.width())}, Filter::bicubic);
}

// The beginning of the caption that fits the cell.
std::string shortened(const std::string& caption, int64_t cell) {
  std::string text = caption;
  while (!text.empty() && text_width(text) > cell) text.pop_back();
  return text;
}

}  // namespace

Image contact_sheet(std::span<const Image> images, std::span<const std::string> captions, const ContactSheet& layout) {
  check<ShapeError>(!images.empty(), "contact_sheet", "there is no image");
  check<ShapeError>(captions.empty() || captions.size() == images.size(), "contact_sheet", "{} captions for {} images",
                    captions.size(), images.size());
  check<ShapeError>(layout.columns > 0 && layout.cell > 0 && layout.gap >= 0, "contact_sheet",
                    "{} columns of {} pixels with gaps of {}", layout.columns, layout.cell, layout.gap);
  const int64_t count = int64_t(images.size()), columns = std::min(layout.columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t caption_height = captions.empty() ? 0 : text_height() + 2 * layout.gap;
  const int64_t row_step = layout.cell + caption_height + layout.gap, column_step = layout.cell + layout.gap;

  Image sheet(rows * row_step + layout.gap, columns * column_step + layout.gap);
  fill_rectangle(sheet, 0, 0, sheet.height(), sheet.width(), kWhite);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = layout.gap + i / columns * row_step, left = layout.gap + i % columns * column_step;
    const Image image = fit(images[size_t(i)], layout.cell);
    draw_image(sheet, image, top + (layout.cell - image.height()) / 2, left + (layout.cell - image.width()) / 2);
    if (captions.empty()) continue;
    draw_text(sheet, shortened(captions[size_t(i)], layout.cell), top + layout.cell + layout.gap, left, kBlack);
  }
  return sheet;
}

}  // namespace vitrail::data
