#include "vitrail/recipes/run/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace vitrail::recipes {
namespace {

constexpr int kPlainWidth = 1000;

std::string number_text(double v) {
  if (v == 0 || (std::abs(v) >= 1e-3 && std::abs(v) < 1e6)) return fmt::format("{:#.4g}", v);
  std::string text = fmt::format("{:.1e}", v);  // 3.1e-04
  const size_t e = text.find('e');
  if (e != std::string::npos && text.size() == e + 4 && text[e + 2] == '0') text.erase(e + 2, 1);
  return text;
}

/// Whether a number of this name is a share of images or texts, by the names that methods give to accuracies.
bool is_share(std::string_view name) {
  constexpr std::string_view kParts[] = {"top1", "top5", "top10", "_r1", "_r5", "_r10", "_map"};
  return name == "acc" || std::any_of(std::begin(kParts), std::end(kParts),
                                      [&](std::string_view part) { return name.find(part) != name.npos; });
}

std::string bytes_text(int64_t bytes) {
  const double mega = double(bytes) / (1 << 20);
  return mega < 1000 ? fmt::format("{:.0f}M", mega) : fmt::format("{:.1f}G", mega / 1024);
}

struct ProgressField {
  std::string text;
  int weight;  // the lightest goes first when the line is too long
};

std::vector<ProgressField> fields_of(const ProgressView& v) {
  std::vector<ProgressField> fields = {
      {fmt::format("epoch {}/{}", v.epoch, v.epochs), 9},
      {fmt::format("{} {}/{}", v.phase != nullptr ? v.phase : "step", v.step, v.steps), 8}};
  if (v.phase != nullptr) return fields;
  for (const auto& [name, value] : v.stats) {
    const int weight = name == "loss" ? 7 : name == "acc" ? 5 : name == "lr" ? 3 : 1;
    const char* const shown = name == "grad_norm" ? "gnorm" : name.c_str();
    fields.push_back(
        {is_share(name) ? stat_text(name, value) : fmt::format("{} {}", shown, number_text(value)), weight});
  }
  fields.push_back({fmt::format("{:.0f} {}/s", v.units_per_s, v.unit == "images" ? "img" : v.unit), 4});
  fields.push_back({fmt::format("data {:.0f}%", 100 * v.data_share), 2});
  fields.push_back({"mem " + bytes_text(v.memory), 0});
  fields.push_back({"eta " + clock_text(v.seconds_left), 6});
  return fields;
}

bool is_live(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

int terminal_width(std::FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string clock_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "--:--";
  const int64_t s = std::llround(seconds), m = s / 60, h = m / 60;
  if (h >= 24) return fmt::format("{}d {:02}:{:02}", h / 24, h % 24, m % 60);
  if (h > 0) return fmt::format("{}:{:02}:{:02}", h, m % 60, s % 60);
  return fmt::format("{:02}:{:02}", m, s % 60);
}

std::string count_text(int64_t count) {
  std::string text = std::to_string(count);
  for (size_t end = text.size(); end > 3 && text[end - 4] != '-'; end -= 3) text.insert(end - 3, ",");
  return text;
}

std::string several(int64_t count, std::string_view thing) {
  return count_text(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

std::string stat_text(std::string_view name, double value) {
  if (name.ends_with("images")) return fmt::format("{} {:.0f}", name, value);
  return is_share(name) ? fmt::format("{} {:.2f}%", name, 100 * value) : fmt::format("{} {:.4f}", name, value);
}

std::optional<std::string> waiting_hint(double seconds, double waited) {
  constexpr double kFew = 10;
  if (waited < kFew || waited < 0.5 * seconds) return std::nullopt;
  return fmt::format(
      "{:.0f}% of the epoch was spent waiting for images: more data.workers use more cores, and vitrail pack --side N "
      "makes images smaller once that are much larger than data.img_size",
      100 * waited / seconds);
}

void Speed::add(double seconds, double data_seconds) {
  // A plain mean at first, later one that forgets with a half-life of about 35 steps.
  const double rate = std::max(1.0 / double(++steps_), 0.02);
  seconds_ += rate * (seconds - seconds_);
  data_seconds_ += rate * (data_seconds - data_seconds_);
}

std::string progress_line(const ProgressView& view, int width) {
  std::vector<ProgressField> fields = fields_of(view);
  const auto length = [&] {
    size_t n = fields.size() - 1;
    for (const ProgressField& f : fields) n += f.text.size();
    return n;
  };
  while (fields.size() > 1 && length() > size_t(std::max(width, 0)))
    fields.erase(std::min_element(fields.begin(), fields.end(),
                                  [](const ProgressField& a, const ProgressField& b) { return a.weight < b.weight; }));
  std::string line;
  for (const ProgressField& f : fields) line += (line.empty() ? "" : " ") + f.text;
  return line.substr(0, size_t(std::max(width, 0)));
}

Progress::Progress(std::FILE* out, bool plain, double plain_seconds)
    : out_(out), live_(!plain && is_live(out)), interval_(live_ ? 0.1 : plain_seconds) {}

Progress::~Progress() {
  if (shown_) std::fputc('\n', out_);
  std::fflush(out_);
}

bool Progress::due() const { return Clock::now() >= next_; }

void Progress::update(const ProgressView& view) {
  if (!due()) return;
  next_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(interval_));
  const std::string line = progress_line(view, live_ ? terminal_width(out_) - 1 : kPlainWidth);
  write((live_ ? "\r" : "") + line + (live_ ? "\x1b[K" : "\n"));
  shown_ = live_;
}

void Progress::message(const std::string& text) {
  write((shown_ ? "\r\x1b[K" : "") + text + "\n");
  shown_ = false;
}

void Progress::write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace vitrail::recipes
