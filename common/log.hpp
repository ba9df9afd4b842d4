// Log lines for people, with levels. The only owner of spdlog. Library code logs through here; whether and where the
// lines appear is the program's choice: an embedding program sees warnings and errors on its stderr by default.
#pragma once

#include <functional>
#include <string_view>

#include <fmt/format.h>

namespace tutti::log {

enum class Level { debug, info, warning, error, off };

/// Lines below `level` are dropped. Any thread.
void set_level(Level level);
bool enabled(Level level);

/// Sends the lines to a function instead of stderr; an empty function brings stderr back. The function is called by
/// one thread at a time.
void set_output(std::function<void(Level, std::string_view)> output);

/// `frame` is called for each line that goes to stderr, on the thread that writes them, and calls its argument to have
/// the line written: a progress line on the terminal can make room first. An empty function removes the frame; once
/// this returns, the previous one is no longer being called.
void set_frame(std::function<void(const std::function<void()>& write_line)> frame);

/// Writes one line. Any thread. Never waits for stderr: a separate thread writes there; if it cannot keep up, lines are
/// dropped and counted. A function given to set_output() is called at once, and should not block either.
void write(Level level, std::string_view line);

/// Waits until the lines so far are on stderr, at most for a second. Runs automatically at exit.
void flush();

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tutti::log
