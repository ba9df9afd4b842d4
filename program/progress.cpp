#include "program/progress.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/counted.hpp"
#include "common/log.hpp"
#include "common/thread.hpp"
#include "program/say.hpp"

namespace tutti::program {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::size_t kBarWidth = 24;
constexpr std::size_t kNamed = 2;  // the number of members that a line of progress can name

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

std::uint64_t tenths_of(std::uint64_t done, std::uint64_t total) { return total == 0 ? 10 : done * 10 / total; }

std::string bar_text(double share) {
  const auto filled = static_cast<std::size_t>(share * kBarWidth);
  return fmt::format("[{}{}]", std::string(filled, '#'), std::string(kBarWidth - filled, '.'));
}

double share_of(const Way& way) {
  return way.total == 0 ? 1.0 : static_cast<double>(way.done) / static_cast<double>(way.total);
}

/// "cnn-1, cnn-2 restarting", "cnn-1, cnn-2 and 3 more restarting"; empty if there are none.
std::string who_is(const std::vector<std::string>& names, const char* what) {
  if (names.empty()) return {};
  const auto named = static_cast<std::ptrdiff_t>(std::min(names.size(), kNamed));
  std::string text = fmt::format(", {}", fmt::join(names.begin(), names.begin() + named, ", "));
  if (names.size() > kNamed) text += fmt::format(" and {} more", names.size() - kNamed);
  return fmt::format("{} {}", text, what);
}

}  // namespace

ProgressStyle style_for(std::FILE* stream, bool quiet) {
  if (quiet) return ProgressStyle::none;
  return ::isatty(::fileno(stream)) != 0 ? ProgressStyle::bar : ProgressStyle::lines;
}

std::string members_text(const Status& status) {
  std::vector<std::string> absent;
  std::vector<std::string> restarting;
  for (const MemberStatus& member : status.members) {
    const bool begins_again = member.state == WorkerState::starting && member.generation > 0;
    if (member.state == WorkerState::absent)
      absent.push_back(member.name);
    else if (!member.alive || begins_again)
      restarting.push_back(member.name);
  }
  const std::size_t there = status.members.size() - absent.size() - restarting.size();
  std::string text = fmt::format("{}/{}", there, counted(status.members.size(), "member"));
  if (there == status.members.size()) text += " alive";
  text += who_is(restarting, "restarting") + who_is(absent, "absent");
  const std::uint64_t restarts = status.faults.restarts;
  return restarts == 0 ? text : fmt::format("{}, {}", text, counted(restarts, "restart"));
}

std::string progress_text(const std::string& what, const Way& way, double seconds, const std::string& members,
                          bool with_bar) {
  const double share = share_of(way);
  const double rate = seconds > 0 ? static_cast<double>(way.done - std::min(way.known, way.done)) / seconds : 0;
  std::string text = what + "  ";
  if (with_bar) text += bar_text(share) + "  ";
  text += fmt::format("{:3.0f} %  {}/{}  {:.0f} images/s", share * 100, way.done, counted(way.total, "image"), rate);
  if (rate > 0 && way.done < way.total)
    text += fmt::format("  {:.0f} s left", static_cast<double>(way.total - way.done) / rate);
  return text + "  " + members;
}

std::string parts_text(const std::string& what, const Part& part, const Way& way) {
  const double share = (static_cast<double>(part.number) + share_of(way)) / static_cast<double>(part.of);
  return fmt::format("tasks  {}  {:3.0f} %  {}/{} done, now {}", bar_text(share), share * 100, part.number, part.of,
                     what);
}

Progress::Progress(ProgressStyle style, std::string what, std::uint64_t total, std::uint64_t known,
                   std::function<Status()> look, Part part)
    : style_(style),
      what_(std::move(what)),
      total_(total),
      known_(known),
      look_(std::move(look)),
      part_(part),
      tenths_(std::min<std::uint64_t>(tenths_of(known, total), 9)) {
  if (style_ != ProgressStyle::bar) return;
  thread_ = start_thread("tutti-progress", [this] { keep_drawing(); });
  log::set_frame([this](const std::function<void()>& write_line) {
    const MutexLock lock(mutex_);
    const bool was_there = bar_is_there_;
    wipe();
    write_line();
    if (was_there) draw();
  });
}

Progress::~Progress() {
  if (style_ != ProgressStyle::bar) return;
  {
    const MutexLock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
  log::set_frame({});
  const MutexLock lock(mutex_);
  if (done_ == total_) draw();  // so that what was saved from a terminal shows how it ended
  wipe();
}

void Progress::show(std::uint64_t done) {
  done_ = done;
  if (style_ != ProgressStyle::lines || tenths_of(done, total_) <= tenths_) return;
  tenths_ = tenths_of(done, total_);
  say(stderr, text(false) + "\n");
}

std::string Progress::text(bool with_bar) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  return progress_text(what_, {done_, known_, total_}, seconds, members_text(look_()), with_bar);
}

void Progress::keep_drawing() {
  MutexLock lock(mutex_);
  while (!closing_) {
    const auto next = Clock::now() + kRedraw;
    while (!closing_ && changed_.wait_until(lock, next)) continue;
    if (!closing_) draw();
  }
}

void Progress::draw() {
  // A line that wraps could not be drawn over.
  const auto fitting = [](std::string line) { return line.substr(0, terminal_columns() - 1) + "\033[K"; };
  std::string lines = "\r";
  if (part_.of > 1) {
    if (bar_is_there_) lines += "\033[A";
    lines += fitting(parts_text(what_, part_, {done_, known_, total_})) + "\n";
  }
  say(stderr, lines + fitting(text(true)));
  bar_is_there_ = true;
}

void Progress::wipe() {
  if (bar_is_there_) say(stderr, part_.of > 1 ? "\r\033[K\033[A\033[K" : "\r\033[K");
  bar_is_there_ = false;
}

}  // namespace tutti::program
