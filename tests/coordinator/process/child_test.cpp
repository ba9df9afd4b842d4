// Starting, signalling and reaping a child, and how its end is described.
#include "coordinator/process/child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include <tutti/error.hpp>

#include "coordinator/process/exit_status.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/limited_files.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

ExitStatus end_of(const Child& child) {
  pollfd end{child.pidfd(), POLLIN, 0};
  REQUIRE(::poll(&end, 1, 60'000) == 1);
  const auto status = reap(child.pidfd());
  REQUIRE(status);
  return *status;
}

Child shell(const std::string& script, std::vector<int> descriptors = {-1, 1, 2}) {
  return Child::spawn({"/bin/sh", {"-c", script}, {{"TUTTI_TEST", "a b"}}, std::move(descriptors)});
}

/// What a script writes to its descriptor `number`.
std::string written(const std::string& script, std::size_t number) {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const UniqueFd reader(pipe[0]);
  UniqueFd writer(pipe[1]);
  std::vector<int> descriptors(std::max<std::size_t>(number + 1, 3), -1);
  descriptors[number] = writer.get();
  const Child child = shell(script, descriptors);
  writer.reset();
  std::string text;
  std::array<char, 512> buffer;
  for (ssize_t length = 0; (length = ::read(reader.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(length));
  end_of(child);
  return text;
}

TEST_CASE("a child that exits reports its code") {
  CHECK(std::get<Exited>(end_of(shell("exit 7"))).code == 7);
  CHECK(std::get<Exited>(end_of(shell("exit 0"))).code == 0);
}

TEST_CASE("a child that is killed reports the signal") {
  const Child child = shell("kill -SEGV $$");
  CHECK(std::get<Signaled>(end_of(child)).signal == SIGSEGV);
}

TEST_CASE("a child that runs is not reaped and ends when told to") {
  const Child child = shell("read line", {-1, 1, 2});
  const Child sleeper = Child::spawn({"/bin/sleep", {"1000"}, {}, {-1, 1, 2}});
  CHECK_FALSE(reap(sleeper.pidfd()).has_value());
  send_signal(sleeper.pidfd(), SIGTERM);
  CHECK(std::get<Signaled>(end_of(sleeper)).signal == SIGTERM);
  send_signal(sleeper.pidfd(), SIGTERM);  // gone: no error
  end_of(child);
}

TEST_CASE("a child that was stopped is told from one that runs and from one that is gone") {
  // A difficult name: the state follows the last parenthesis.
  const TemporaryFolder folder;
  const auto program = folder / "a ) T (";
  std::filesystem::copy_file("/bin/sleep", program);
  const Child child = Child::spawn({program, {"1000"}, {}, {-1, 1, 2}});
  CHECK_FALSE(is_stopped(child.pid()));
  ::kill(child.pid(), SIGSTOP);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WSTOPPED | WNOWAIT) == 0);
  CHECK(is_stopped(child.pid()));
  ::kill(child.pid(), SIGCONT);
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WCONTINUED) == 0);
  CHECK_FALSE(is_stopped(child.pid()));
  send_signal(child.pidfd(), SIGKILL);
  pollfd end{child.pidfd(), POLLIN, 0};
  REQUIRE(::poll(&end, 1, 60'000) == 1);
  CHECK_FALSE(is_stopped(child.pid()));  // it waits to be reaped
  REQUIRE(reap(child.pidfd()));
  CHECK_FALSE(is_stopped(child.pid()));
}

TEST_CASE("a child that other code reaped is gone unseen") {
  const Child child = shell("exit 3");
  ::waitpid(child.pid(), nullptr, 0);
  const auto status = reap(child.pidfd());
  REQUIRE(status);
  CHECK(std::holds_alternative<GoneUnseen>(*status));
}

TEST_CASE("a child that another process made on our behalf is adopted and a stranger is not") {
  const Child child = shell("exit 7");
  CHECK(std::get<Exited>(end_of(Child::adopt(child.pid()))).code == 7);
  const auto error = error_of([] { Child::adopt(1); });
  REQUIRE(error);
  CHECK(error->message() == "process 1 is not a child of this one");
}

TEST_CASE("a child gets the descriptors at their places and the environment that was added") {
  CHECK(written("echo \"$TUTTI_TEST\" >&5", 5) == "a b\n");
  CHECK(written("cat; echo end", 1) == "end\n");  // its input is empty
}

TEST_CASE("a child starts with default signals even if its parent ignores or blocks them") {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const auto handler = ::signal(SIGTERM, SIG_IGN);
  const std::string masks = written("sed -n 's/^Sig[BI][lg][kn]://p' /proc/self/status >&4", 4);
  ::signal(SIGTERM, handler);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::uint64_t blocked = 1;
  std::uint64_t ignored = 1;
  REQUIRE(std::sscanf(masks.c_str(), "%lx %lx", &blocked, &ignored) == 2);
  CHECK(blocked == 0);
  CHECK((ignored & 0x7FFFFFFF) == 0);  // the C library uses 32 and 33
}

TEST_CASE("a program that cannot be started is named with the reason") {
  const auto missing = error_of([] { Child::spawn({"/nonexistent/worker", {}, {}, {-1, 1, 2}}); });
  REQUIRE(missing);
  CHECK(missing->kind() == ErrorKind::failed);
  CHECK(missing->message() == "could not start /nonexistent/worker");
  CHECK(missing->detail() == "No such file or directory");
  const auto folder = error_of([] { Child::spawn({"/usr", {}, {}, {-1, 1, 2}}); });
  REQUIRE(folder);
  CHECK(folder->detail() == "Permission denied");
}

TEST_CASE("without a free descriptor a child is refused with a hint") {
  const UniqueFd above_the_places(::fcntl(0, F_DUPFD_CLOEXEC, 20));  // so that the limit is not below them
  std::vector<UniqueFd> all_below;
  while (all_below.empty() || all_below.back().get() < 20) all_below.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 3));
  std::optional<Error> error;
  {
    const NoMoreFiles limit;
    error = error_of([] { shell("exit 0", {0, 1, 2}); });
  }
  REQUIRE(error);
  CHECK(error->message() == "could not prepare a worker's descriptors");
  CHECK(contains(error->hint(), "ulimit -n"));
}

TEST_CASE("the way a process ended is described") {
  CHECK(to_text(Exited{7}) == "exited with code 7");
  CHECK(to_text(Signaled{SIGKILL}) == "was killed by SIGKILL");
  CHECK(to_text(Signaled{SIGSEGV}) == "was killed by SIGSEGV");
  CHECK(to_text(Signaled{SIGRTMAX}) == "was killed by signal " + std::to_string(SIGRTMAX));
  CHECK(to_text(GoneUnseen{}) == "is gone, status unknown (this program ignores SIGCHLD, or waited for it elsewhere)");
}

}  // namespace
}  // namespace tutti::test
