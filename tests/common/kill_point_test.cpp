// Scripted faults: one process of all that inherit the variable dies, once, at the visit that was named. In builds
// without them the variable does nothing.
#include "common/kill_point.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>

#include "common/atomic_file.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// Visits made by a child with this setting before it died at a scripted fault; all of them if it did not.
int visits_of(const std::string& setting, int visits, std::string_view point = "worker.hello") {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("TUTTI_KILL_POINT", setting.c_str(), 1);
    for (int i = 0; i < visits; ++i) {
      kill_point(point);
      if (i + 1 < visits) kill_point("worker.started");  // counts apart
    }
    ::_exit(visits);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  CHECK(WTERMSIG(status) == SIGKILL);
  return -1;
}

#ifdef TUTTI_KILL_POINTS
constexpr int kDied = -1;
#else
constexpr int kDied = 3;  // without scripted faults no process dies
#endif

TEST_CASE("of several processes one dies at the visit that was named") {
  const TemporaryFolder folder;
  const auto token = folder / "token:with:colons";
  for (const int visit : {1, 3}) {
    AtomicFile(token).commit();
    const std::string setting = "worker.hello:" + std::to_string(visit) + ":" + token.string();
    CHECK(visits_of(setting, visit - 1) == visit - 1);
    CHECK(visits_of(setting, 3, "worker.tied") == 3);
    CHECK(std::filesystem::exists(token));
    CHECK(visits_of(setting, 3) == kDied);
    CHECK(std::filesystem::exists(token) == (kDied == 3));
    CHECK(visits_of(setting, 3) == 3);
  }
}

TEST_CASE("a setting that makes no sense arms nothing") {
  const TemporaryFolder folder;
  const auto token = (folder / "token").string();
  AtomicFile(token).commit();
  for (const std::string& setting : {std::string(), std::string("worker.hello"), std::string("worker.hello:1"),
                                     "worker.hello:x:" + token, "worker.hello:0:" + token, "hello:1:" + token})
    CHECK(visits_of(setting, 3) == 3);
  CHECK(std::filesystem::exists(token));
}

TEST_CASE("every scripted fault has a unique name that says where it is") {
  std::set<std::string_view> names;
  for (const std::string_view name : kWorkerKillPoints) {
    CHECK(name.starts_with("worker."));
    names.insert(name);
  }
  for (const std::string_view name : kCoordinatorKillPoints) {
    CHECK(name.starts_with("coordinator."));
    names.insert(name);
  }
  CHECK(names.size() == kWorkerKillPoints.size() + kCoordinatorKillPoints.size());
}

}  // namespace
}  // namespace tutti::test
