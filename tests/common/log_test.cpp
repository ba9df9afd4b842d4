// Log lines: levels and where they go.
#include "common/log.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tutti::test {
namespace {

/// Collects the lines of a test and brings the defaults back.
class Lines {
 public:
  Lines() {
    log::set_output([this](log::Level level, std::string_view line) { lines_.emplace_back(level, line); });
  }
  ~Lines() {
    log::set_output({});
    log::set_level(log::Level::warning);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  const std::vector<std::pair<log::Level, std::string>>& all() const { return lines_; }

 private:
  std::vector<std::pair<log::Level, std::string>> lines_;
};

void write_one_of_each() {
  log::debug("debug {}", 1);
  log::info("info {}", 2);
  log::warning("warning {}", 3);
  log::error("error {}", 4);
}

TEST_CASE("warnings and errors are logged by default") {
  const Lines lines;
  write_one_of_each();
  REQUIRE(lines.all().size() == 2);
  CHECK(lines.all()[0] == std::pair{log::Level::warning, std::string("warning 3")});
  CHECK(lines.all()[1] == std::pair{log::Level::error, std::string("error 4")});
}

TEST_CASE("each level lets itself and what is graver through") {
  using log::Level;
  const std::vector<Level> levels{Level::debug, Level::info, Level::warning, Level::error, Level::off};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Lines lines;
    log::set_level(levels[i]);
    write_one_of_each();
    CHECK(lines.all().size() == 4 - i);
    CHECK(log::enabled(levels[i]));
    if (i > 0) CHECK_FALSE(log::enabled(levels[i - 1]));
  }
}

TEST_CASE("lines of several threads arrive one at a time and whole") {
  const Lines lines;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) log::warning("{}", std::string(50, static_cast<char>('a' + t)));
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(lines.all().size() == 800);
  for (const auto& [level, line] : lines.all()) CHECK(line == std::string(50, line.front()));
}

}  // namespace
}  // namespace tutti::test
