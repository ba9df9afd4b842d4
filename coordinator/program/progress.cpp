#include "coordinator/program/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "coordinator/program/say.hpp"

namespace tutti::program {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kBarWidth = 24;

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

std::uint64_t tenths_of(std::uint64_t done, std::uint64_t total) { return total == 0 ? 10 : done * 10 / total; }

}  // namespace

ProgressStyle style_for(std::FILE* stream, bool quiet) {
  if (quiet) return ProgressStyle::none;
  return ::isatty(::fileno(stream)) != 0 ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string progress_text(const std::string& what, std::uint64_t done, std::uint64_t total, double seconds,
                          std::size_t alive, std::size_t members, bool with_bar) {
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = what + "  ";
  if (with_bar) {
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    text += fmt::format("[{}{}]  ", std::string(filled, '#'), std::string(kBarWidth - filled, '.'));
  }
  text += fmt::format("{:3.0f} %  {}/{} images  {:.0f} images/s", share * 100, done, total, rate);
  if (rate > 0 && done < total) text += fmt::format("  {:.0f} s left", static_cast<double>(total - done) / rate);
  return text + fmt::format("  {}/{} members alive", alive, members);
}

Progress::Progress(ProgressStyle style, std::string what, std::uint64_t total, std::size_t members)
    : style_(style), what_(std::move(what)), total_(total), members_(members) {}

Progress::~Progress() {
  if (bar_is_there_) say(stderr, "\r\033[K");
}

bool Progress::due(std::uint64_t done) const {
  if (style_ == ProgressStyle::bar) return Clock::now() - drawn_ >= kRedraw || done == total_;
  return style_ == ProgressStyle::lines && tenths_of(done, total_) > tenths_;
}

void Progress::show(std::uint64_t done, std::size_t alive) {
  if (!due(done)) return;
  drawn_ = Clock::now();
  tenths_ = tenths_of(done, total_);
  const double seconds = std::chrono::duration<double>(drawn_ - begin_).count();
  const bool bar = style_ == ProgressStyle::bar;
  std::string text = progress_text(what_, done, total_, seconds, alive, members_, bar);
  // A line that wraps could not be drawn over.
  if (bar) text = "\r" + text.substr(0, terminal_columns() - 1) + "\033[K";
  say(stderr, bar ? text : text + "\n");
  bar_is_there_ = bar;
}

}  // namespace tutti::program
