// Shows progress while images are processed: a bar on a terminal, lines when piped, nothing when quiet.
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
#include "evaluation/watcher.hpp"

namespace tutti::program {

enum class ProgressStyle { bar, lines, none };

/// The style for a stream: `bar` on a terminal, else `lines`.
ProgressStyle style_for(std::FILE* stream, bool quiet);

/// "4/4 members alive", "3/4 members, cnn-2 restarting, 2 restarts". Pure.
std::string members_text(const Status& status);

/// Images in progress. `known` of the finished ones needed no computing: they were in a journal.
struct Way {
  std::uint64_t done = 0;
  std::uint64_t known = 0;
  std::uint64_t total = 0;
};

/// "predict  [#####.....]  50 %  3000/6000 images  1234 images/s  2 s left  4/4 members alive". Pure.
std::string progress_text(const std::string& what, const Way& way, double seconds, const std::string& members,
                          bool with_bar);

/// "tasks    [####....]  50 %  2/4 done, now mnist": the line above that of the images. Pure.
std::string parts_text(const std::string& what, const Part& part, const Way& way);

/// Writes to stderr. A separate thread draws a bar, so that it also shows what happens while no image is finished, and
/// makes room for log lines. The bar is removed at the end, before the next line. Lines are written by the caller of
/// show(), after every tenth of the images.
class Progress {
 public:
  /// `look` is called on the drawing thread, and by show().
  /// With several parts, a bar of the parts is above that of the images.
  Progress(ProgressStyle style, std::string what, std::uint64_t total, std::uint64_t known,
           std::function<Status()> look, Part part = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of all images are finished. Cheap. Call it on one thread.
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
  std::uint64_t tenths_;  ///< how many tenths have a line already; show()'s thread
  std::atomic<std::uint64_t> done_ = 0;
  Mutex mutex_;  ///< also for the line of the bar
  Condition changed_;
  bool bar_is_there_ TUTTI_GUARDED_BY(mutex_) = false;
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_;  ///< only its constructor and its destructor use it
};

}  // namespace tutti::program
