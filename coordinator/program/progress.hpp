// What the user sees while images run through: a bar on a terminal, lines when piped, nothing when quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace tutti::program {

enum class ProgressStyle { bar, lines, none };

/// The style for a stream: `bar` on a terminal, else `lines`.
ProgressStyle style_for(std::FILE* stream, bool quiet);

/// "predict  [#####.....]  50 %  3000/6000 images  1234 images/s  2 s left  4/4 members". Pure.
std::string progress_text(const std::string& what, std::uint64_t done, std::uint64_t total, double seconds,
                          std::size_t alive, std::size_t members, bool with_bar);

/// Writes to stderr. One thread. Removes its bar when destroyed, so that the next line stands alone.
class Progress {
 public:
  Progress(ProgressStyle style, std::string what, std::uint64_t total, std::size_t members);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` images of the total. Cheap: draws a few times a second, or at every tenth of the way when piped.
  void show(std::uint64_t done, std::size_t alive);
  /// True where show() would draw; to ask before something costly is looked up for it.
  bool due(std::uint64_t done) const;

 private:
  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;
  std::string what_;
  std::uint64_t total_;
  std::size_t members_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point drawn_ = begin_;
  std::uint64_t tenths_ = 0;
  bool bar_is_there_ = false;
};

}  // namespace tutti::program
