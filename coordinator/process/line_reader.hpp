// Turns what a worker prints into whole lines. Pure: bytes in, lines out.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tutti {

/// Lines longer than this are cut into several: a worker must not make the coordinator's memory grow.
constexpr std::size_t kMaxLineBytes = 8192;

class LineReader {
 public:
  explicit LineReader(std::function<void(std::string_view)> on_line) : on_line_(std::move(on_line)) {}

  void add(std::string_view bytes);
  /// The text after the last newline is also a line.
  void finish();

 private:
  std::function<void(std::string_view)> on_line_;
  std::string rest_;
};

}  // namespace tutti
