// Log lines: levels and where they go.
#include "common/log.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/unique_fd.hpp"

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

TEST_CASE("each level lets itself and graver ones through") {
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

/// A child process whose stderr is a pipe to this one.
class Child {
 public:
  /// `work` gets a descriptor to send a byte through, which wait_for_byte() receives.
  template <class Work>
  explicit Child(Work work) {
    std::array<int, 2> err{};
    std::array<int, 2> byte{};
    REQUIRE(::pipe(err.data()) == 0);
    REQUIRE(::pipe(byte.data()) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(err[1], STDERR_FILENO);
      ::close(err[0]);
      ::close(err[1]);
      work(byte[1]);
      ::_exit(0);
    }
    ::close(err[1]);
    ::close(byte[1]);
    err_ = UniqueFd(err[0]);
    byte_ = UniqueFd(byte[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  bool sends_byte() const {
    pollfd end{byte_.get(), POLLIN, 0};
    char byte = 0;
    return ::poll(&end, 1, 60'000) == 1 && ::read(byte_.get(), &byte, 1) == 1;
  }
  /// The next line of its stderr; empty at the end.
  std::string line() {
    std::string text;
    for (char letter = 0; ::read(err_.get(), &letter, 1) == 1 && letter != '\n';) text += letter;
    return text;
  }

 private:
  pid_t pid_ = 0;
  UniqueFd err_;
  UniqueFd byte_;
};

TEST_CASE("logging never waits for a stderr that no one reads and says how many lines were lost") {
  constexpr std::size_t kLines = 20'000;  // more than the pipe and the queue together hold
  Child child([](int byte) {
    for (std::size_t i = 0; i < kLines; ++i) log::warning("{:0>100}", i);
    (void)!::write(byte, "x", 1);
    for (;;) ::pause();
  });
  REQUIRE(child.sends_byte());
  std::size_t told = 0;
  std::size_t dropped = 0;
  std::size_t next = 0;
  bool in_order = true;
  while (told + dropped < kLines) {
    const std::string line = child.line();
    REQUIRE_FALSE(line.empty());
    const std::size_t end = line.find(" dropped: stderr is too slow");  // "3 lines dropped"
    if (end == line.npos) {
      const std::size_t number = std::stoull(line.substr(line.size() - 100));
      in_order = in_order && number >= next;  // some may be missing in between
      next = number + 1;
      ++told;
    } else {
      dropped += std::stoull(line.substr(line.rfind(' ', line.rfind(' ', end - 1) - 1) + 1));
    }
  }
  CHECK(told + dropped == kLines);
  CHECK(in_order);
  CHECK(told > 1000);
  CHECK(dropped > 1000);
}

TEST_CASE("a frame is called for each line that goes to stderr until it is taken back") {
  Child child([](int) {
    log::set_frame([&](const std::function<void()>& write_line) {
      (void)!::write(STDERR_FILENO, "before\n", 7);
      write_line();
      (void)!::write(STDERR_FILENO, "behind\n", 7);
    });
    log::warning("framed");
    log::flush();
    log::set_frame({});
    log::warning("bare");
    log::flush();
  });
  CHECK(child.line() == "before");
  CHECK(child.line().ends_with(" framed"));
  CHECK(child.line() == "behind");
  CHECK(child.line().ends_with(" bare"));
  CHECK(child.line().empty());
}

TEST_CASE("after a flush the lines are on stderr however the process ends") {
  Child child([](int) {
    for (int i = 0; i < 5; ++i) log::warning("line {}", i);
    log::flush();
    ::raise(SIGKILL);
  });
  for (int i = 0; i < 5; ++i) CHECK(child.line().ends_with(" line " + std::to_string(i)));
  CHECK(child.line().empty());
}

TEST_CASE("a process that exits in order has its lines on stderr") {
  Child child([](int) {
    log::warning("the last words");
    std::exit(0);
  });
  CHECK(child.line().ends_with(" the last words"));
}

}  // namespace
}  // namespace tutti::test
