#include "common/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace tutti::log {
namespace {

// https://no-color.org: any non-empty value switches colour off, wherever the lines go.
spdlog::color_mode colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour != nullptr && *no_colour != '\0' ? spdlog::color_mode::never : spdlog::color_mode::automatic;
}

struct State {
  State() : stderr_logger("tutti", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colour())) {
    stderr_logger.set_pattern("%H:%M:%S.%e %^%l%$ %v");
    stderr_logger.set_level(spdlog::level::trace);
    stderr_logger.flush_on(spdlog::level::trace);
  }
  std::atomic<Level> level = Level::warning;
  std::mutex mutex;  // guards output
  std::function<void(Level, std::string_view)> output;
  spdlog::logger stderr_logger;
};

// Never destroyed: threads may log while the process exits.
State& state() {
  static State* const instance = new State;
  return *instance;
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

}  // namespace

void set_level(Level level) { state().level = level; }

bool enabled(Level level) { return level >= state().level.load(std::memory_order_relaxed); }

void set_output(std::function<void(Level, std::string_view)> output) {
  const std::lock_guard lock(state().mutex);
  state().output = std::move(output);
}

void write(Level level, std::string_view line) {
  if (!enabled(level)) return;
  const std::lock_guard lock(state().mutex);
  if (state().output)
    state().output(level, line);
  else
    state().stderr_logger.log(to_spdlog(level), line);
}

}  // namespace tutti::log
