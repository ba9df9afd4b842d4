// The progress of reading checkpoints: one line that is redrawn on a terminal, or a line after every tenth.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "program/progress.hpp"

namespace tutti::program {

/// "merge  40 %  1.2 GB of 2.9 GB  5.1 GB/s". Pure.
std::string merge_progress_text(std::uint64_t done, std::uint64_t total, double seconds);

/// "5.1 GB/s"; "0 B/s" if no time has passed. Pure.
std::string rate_text(std::uint64_t bytes, double seconds);

/// Writes to stderr. One call at a time, on any thread.
class MergeProgressLine {
 public:
  explicit MergeProgressLine(ProgressStyle style) : style_(style) {}
  ~MergeProgressLine();
  MergeProgressLine(const MergeProgressLine&) = delete;
  MergeProgressLine& operator=(const MergeProgressLine&) = delete;

  void show(std::uint64_t done, std::uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;

  const ProgressStyle style_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point drawn_ = begin_;
  std::uint64_t tenths_ = 0;
  bool is_there_ = false;
};

}  // namespace tutti::program
