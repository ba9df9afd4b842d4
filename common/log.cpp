#include "common/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/mutex.hpp"
#include "common/thread.hpp"

namespace tutti::log {
namespace {

// https://no-color.org: any non-empty value switches colour off, wherever the lines go.
spdlog::color_mode colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour != nullptr && *no_colour != '\0' ? spdlog::color_mode::never : spdlog::color_mode::automatic;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      break;
  }
  return spdlog::level::off;
}

/// What is printed around the lines on stderr.
struct Frame {
  Mutex mutex;
  std::function<void(const std::function<void()>&)> around TUTTI_GUARDED_BY(mutex);
};

// Never destroyed, like the writer that uses it.
Frame& frame() {
  static Frame* const instance = new Frame;
  return *instance;
}

void write_framed(const std::function<void()>& write_line) {
  const MutexLock lock(frame().mutex);
  if (frame().around)
    frame().around(write_line);
  else
    write_line();
}

/// Lines on their way to stderr. It may be a pipe that no process reads, and the loop must not wait for it.
class StderrWriter {
 public:
  StderrWriter() : logger_("tutti", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colour())) {
    logger_.set_pattern("%H:%M:%S.%e %^%l%$ %v");
    logger_.set_level(spdlog::level::trace);
    logger_.flush_on(spdlog::level::trace);
    start_thread("tutti-log", [this] { run(); }).detach();
  }

  void add(Level level, std::string_view line) {
    const MutexLock lock(mutex_);
    if (lines_.size() < kMaxLines)
      lines_.emplace_back(level, line);
    else
      ++dropped_;
    changed_.notify_all();
  }

  void flush() {
    const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    MutexLock lock(mutex_);
    while (!lines_.empty() || writing_)
      if (!changed_.wait_until(lock, last)) return;
  }

 private:
  static constexpr std::size_t kMaxLines = 4096;

  [[noreturn]] void run() {
    for (MutexLock lock(mutex_);;) {
      while (lines_.empty()) changed_.wait(lock);
      const auto first = std::move(lines_.front());
      lines_.pop_front();
      const std::size_t dropped = std::exchange(dropped_, 0);
      writing_ = true;
      lock.unlock();
      write_framed([&] {
        logger_.log(to_spdlog(first.first), first.second);
        if (dropped > 0) logger_.warn("{} dropped: stderr is too slow", counted(dropped, "line"));
      });
      lock.lock();
      writing_ = false;
      changed_.notify_all();
    }
  }

  spdlog::logger logger_;  // constant after construction; its sink has a lock of its own
  Mutex mutex_;
  Condition changed_;
  std::deque<std::pair<Level, std::string>> lines_ TUTTI_GUARDED_BY(mutex_);
  std::size_t dropped_ TUTTI_GUARDED_BY(mutex_) = 0;
  bool writing_ TUTTI_GUARDED_BY(mutex_) = false;
};

// Made with the first line and never destroyed: its thread and others may log while the process exits.
StderrWriter& stderr_writer() {
  static StderrWriter* const instance = [] {
    std::atexit([] { flush(); });
    return new StderrWriter;
  }();
  return *instance;
}

struct State {
  std::atomic<Level> level = Level::warning;
  std::atomic<bool> writes_stderr = false;  // a first line was written there
  Mutex mutex;
  std::function<void(Level, std::string_view)> output TUTTI_GUARDED_BY(mutex);
};

// Never destroyed: threads may log while the process exits.
State& state() {
  static State* const instance = new State;
  return *instance;
}

}  // namespace

void set_level(Level level) { state().level = level; }

bool enabled(Level level) { return level >= state().level.load(std::memory_order_relaxed); }

void set_output(std::function<void(Level, std::string_view)> output) {
  const MutexLock lock(state().mutex);
  state().output = std::move(output);
}

void set_frame(std::function<void(const std::function<void()>& write_line)> around) {
  const MutexLock lock(frame().mutex);
  frame().around = std::move(around);
}

void write(Level level, std::string_view line) {
  if (!enabled(level)) return;
  const MutexLock lock(state().mutex);
  if (state().output) return state().output(level, line);
  try {
    stderr_writer().add(level, line);
    state().writes_stderr = true;
  } catch (const Error&) {
    // No thread could be started. Losing a line is better than giving the caller an error of the log.
  }
}

void flush() {
  if (state().writes_stderr) stderr_writer().flush();
}

}  // namespace tutti::log
