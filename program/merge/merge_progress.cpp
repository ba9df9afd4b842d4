#include "program/merge/merge_progress.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "common/bytes_text.hpp"
#include "program/say.hpp"

namespace tutti::program {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};

}  // namespace

std::string merge_progress_text(std::uint64_t done, std::uint64_t total, double seconds) {
  const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  return fmt::format("merge  {:3.0f} %  {} of {}  {}", share * 100, bytes_text(done), bytes_text(total),
                     rate_text(done, seconds));
}

std::string rate_text(std::uint64_t bytes, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
  return fmt::format("{}/s", bytes_text(static_cast<std::uint64_t>(rate)));
}

MergeProgressLine::~MergeProgressLine() {
  if (is_there_) say(stderr, "\r\033[K");
}

void MergeProgressLine::show(std::uint64_t done, std::uint64_t total) {
  if (style_ == ProgressStyle::none) return;
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const std::uint64_t tenths = total == 0 ? 10 : done * 10 / total;
  if (style_ == ProgressStyle::bar && now - drawn_ >= kRedraw) {
    say(stderr, fmt::format("\r{}\033[K", merge_progress_text(done, total, seconds)));
    is_there_ = true;
    drawn_ = now;
  } else if (style_ == ProgressStyle::lines && tenths > tenths_) {
    say(stderr, merge_progress_text(done, total, seconds) + "\n");
    tenths_ = tenths;
  }
}

}  // namespace tutti::program
