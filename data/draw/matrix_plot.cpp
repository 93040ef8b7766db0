#include "vitrail/data/draw/matrix_plot.h"

#include "vitrail/core/error.h"
#include "vitrail/data/draw/colormap.h"
#include "vitrail/data/draw/draw.h"

#include <algorithm>
#include <numeric>

namespace vitrail::data {
namespace {

constexpr int64_t kGap = 4;
constexpr int64_t kLargestCell = 64;
constexpr Color kInk{16, 68, 132};

void draw_centred(Image& image, const std::string& text, int64_t top, int64_t left, int64_t cell, Color color) {
  draw_text(image, text, top + (cell - text_height()) / 2, left + (cell - text_width(text)) / 2, color);
}

/// The text on white, reading upwards.
Image turned(const std::string& text) {
  Image flat(text_height(), std::max<int64_t>(text_width(text), 1)), up(flat.width(), flat.height());
  fill_rectangle(flat, 0, 0, flat.height(), flat.width(), kWhite);
  draw_text(flat, text, 0, 0, kBlack);
  for (int64_t y = 0; y < flat.height(); ++y)
    for (int64_t x = 0; x < flat.width(); ++x)
      for (size_t c = 0; c < 3; ++c) up.at(flat.width() - 1 - x, y)[c] = flat.at(y, x)[c];
  return up;
}

}  // namespace

Image matrix_plot(const MatrixPlot& layout, std::span<const int64_t> counts, std::span<const std::string> names) {
  const auto n = int64_t(names.size());
  check<ShapeError>(n > 0 && int64_t(counts.size()) == n * n, "matrix_plot", "{} counts for {} names", counts.size(),
                    n);
  const int64_t cell = std::clamp<int64_t>(layout.side / n, 1, kLargestCell);
  const bool has_names = cell >= text_height() + kGap;
  int64_t name_width = 0;
  for (int64_t i = 0; has_names && i < n; ++i) name_width = std::max(name_width, text_width(names[size_t(i)]));

  const int64_t line = text_height(kFigureScale) + kFigureMargin / 2, head = has_names ? name_width + kGap : 0;
  const int64_t top = kFigureMargin + 2 * line + head, left = kFigureMargin + name_width + kGap;
  const int64_t wide = std::max({left + n * cell, left + text_width(layout.column_label, kFigureScale),
                                 kFigureMargin + text_width(layout.title, kFigureScale)});
  Image image(top + n * cell + kFigureMargin + line, wide + kFigureMargin);
  fill_rectangle(image, 0, 0, image.height(), image.width(), kWhite);
  draw_text(image, layout.title, kFigureMargin, kFigureMargin, kBlack, kFigureScale);
  draw_text(image, layout.column_label, kFigureMargin + line, left, kBlack, kFigureScale);
  draw_text(image, layout.row_label, top + n * cell + kFigureMargin / 2, kFigureMargin, kBlack, kFigureScale);
  fill_rectangle(image, top - 1, left - 1, n * cell + 2, n * cell + 2, kLightGrey);

  for (int64_t i = 0; i < n; ++i) {
    const auto row = counts.subspan(size_t(i * n), size_t(n));
    const double sum = double(std::max<int64_t>(std::accumulate(row.begin(), row.end(), int64_t{0}), 1));
    const int64_t y = top + i * cell;
    if (has_names) {
      draw_text(image, names[size_t(i)], y + (cell - text_height()) / 2, kFigureMargin, kBlack);
      const Image name = turned(names[size_t(i)]);
      draw_image(image, name, top - kGap - name.height(), left + i * cell + (cell - name.width()) / 2);
    }
    for (int64_t j = 0; j < n; ++j) {
      const double share = double(row[size_t(j)]) / sum;
      fill_rectangle(image, y, left + j * cell, cell, cell, mix(kWhite, kInk, share));
      const std::string text = std::to_string(row[size_t(j)]);
      if (has_names && row[size_t(j)] != 0 && text_width(text) + kGap <= cell)
        draw_centred(image, text, y, left + j * cell, cell, share > 0.5 ? kWhite : kBlack);
    }
  }
  return image;
}

}  // namespace vitrail::data
