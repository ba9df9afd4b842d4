// What the user sees while images run through: a bar on a terminal, lines when piped, nothing when quiet.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

#include <tutti/status.hpp>

#include "common/mutex.hpp"

namespace tutti::program {

enum class ProgressStyle { bar, lines, none };

/// The style for a stream: `bar` on a terminal, else `lines`.
ProgressStyle style_for(std::FILE* stream, bool quiet);

/// "4/4 members alive", "3/4 members, cnn-2 restarting, 2 restarts". Pure.
std::string members_text(const Status& status);

/// Images on their way. `known` of those that are done needed no computing: they stood in a journal.
struct Way {
  std::uint64_t done = 0;
  std::uint64_t known = 0;
  std::uint64_t total = 0;
};

/// "predict  [#####.....]  50 %  3000/6000 images  1234 images/s  2 s left  4/4 members alive". Pure.
std::string progress_text(const std::string& what, const Way& way, double seconds, const std::string& members,
                          bool with_bar);

/// Where these images stand among others: part `number`, counted from 0, of `of`.
struct Part {
  std::size_t number = 0;
  std::size_t of = 1;
};

/// "tasks    [####....]  50 %  2/4 done, now mnist": the line above the images' own. Pure.
std::string parts_text(const std::string& what, const Part& part, const Way& way);

/// Writes to stderr. A bar is drawn by a thread of its own, so that it also shows what happens while no image is done,
/// and makes room for the lines of the log; it is removed in the end, so that the next line stands alone. Lines are
/// written by the caller of show(), at every tenth of the way.
class Progress {
 public:
  /// `look` is called on the drawing thread, and by show().
  /// With more parts than one a bar of the parts stands above that of the images.
  Progress(ProgressStyle style, std::string what, std::uint64_t total, std::uint64_t known,
           std::function<Status()> look, Part part = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` images of the total. Cheap. One thread.
  void show(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::string text(bool with_bar) const;
  void keep_drawing();
  void draw() TUTTI_REQUIRES(mutex_);
  void wipe() TUTTI_REQUIRES(mutex_);

  const ProgressStyle style_;
  const std::string what_;
  const std::uint64_t total_;
  const std::uint64_t known_;
  const std::function<Status()> look_;
  const Part part_;
  const Clock::time_point begin_ = Clock::now();
  std::uint64_t tenths_;  ///< of the way that lines have been written for; show()'s thread
  std::atomic<std::uint64_t> done_ = 0;
  Mutex mutex_;  ///< also of the line that the bar stands on
  Condition changed_;
  bool bar_is_there_ TUTTI_GUARDED_BY(mutex_) = false;
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_;  ///< its construction and its end
};

}  // namespace tutti::program
