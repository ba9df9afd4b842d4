// Prints the seed of a simulation if a check ends the process: doctest then prints only the name of the test. For tests
// only.
#pragma once

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace tutti::test {

/// While it lives, of the seed that it was given last.
class SeedOfCrash {
 public:
  explicit SeedOfCrash(std::uint64_t seed) : before_(::signal(SIGABRT, say)) {
    *fmt::format_to_n(line_.begin(), line_.size() - 1, "seed {}\n", seed).out = '\0';
  }
  ~SeedOfCrash() { ::signal(SIGABRT, before_); }
  SeedOfCrash(const SeedOfCrash&) = delete;
  SeedOfCrash& operator=(const SeedOfCrash&) = delete;

 private:
  static void say(int /*signal*/) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line_.data(), std::strlen(line_.data()));
  }

  static inline std::array<char, 40> line_{};
  void (*before_)(int);
};

}  // namespace tutti::test
