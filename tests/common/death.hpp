// Runs a call that must end the process, in a child. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "common/unique_fd.hpp"

namespace tutti::test {

struct ChildEnd {
  int signal = 0;    ///< 0: it returned from the call
  std::string text;  ///< what it wrote to stderr
};

template <class Call>
ChildEnd end_of(Call&& call) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  UniqueFd reading(pipe[0]);
  UniqueFd writing(pipe[1]);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGABRT, SIG_DFL);  // doctest has a handler, which prints
    ::dup2(writing.get(), STDERR_FILENO);
    call();
    ::_exit(0);
  }
  writing.reset();
  ChildEnd end;
  std::array<char, 512> buffer;
  for (ssize_t got; (got = ::read(reading.get(), buffer.data(), buffer.size())) > 0;)
    end.text.append(buffer.data(), static_cast<std::size_t>(got));
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

/// The line with which a check of the call fails, from its text on: "holds > 0 (0 > 0)".
template <class Call>
std::string failed_check(Call&& call) {
  const ChildEnd end = end_of(call);
  CHECK(end.signal == SIGABRT);
  const std::string begin = ": check failed: ";
  const std::size_t found = end.text.find(begin);
  REQUIRE(found != std::string::npos);
  REQUIRE(end.text.back() == '\n');
  return end.text.substr(found + begin.size(), end.text.size() - found - begin.size() - 1);
}

}  // namespace tutti::test
