// The kernel's count of processes that it killed because there was not enough memory, with a file instead of the
// kernel's.
#include "coordinator/process/oom.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

/// A file like /proc/vmstat, and a watch over it.
struct Watched {
  explicit Watched(const std::string& text) { say(text); }
  void say(const std::string& text) const { std::ofstream(file) << text; }
  void count(int kills) const { say("pgfault 12345\noom_kill " + std::to_string(kills) + "\nnuma_hit 99\n"); }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "vmstat";
};

TEST_CASE("an out-of-memory kill is seen once") {
  const Watched kernel("pgfault 12345\noom_kill 3\nnuma_hit 99\n");
  OutOfMemoryWatch watch(kernel.file);
  CHECK_FALSE(watch.look());  // those before the watch started do not count
  kernel.count(4);
  CHECK(watch.look());
  CHECK_FALSE(watch.look());
  kernel.count(7);
  CHECK(watch.look());
  CHECK_FALSE(watch.look());
}

TEST_CASE("a count that did not grow is not a kill") {
  const Watched kernel("oom_kill 3\n");
  OutOfMemoryWatch watch(kernel.file);
  kernel.say("oom_kill 3\npgfault 99999\n");
  CHECK_FALSE(watch.look());
  kernel.count(2);  // nor is one that fell
  CHECK_FALSE(watch.look());
}

TEST_CASE("a kernel that does not count says nothing of memory") {
  const Watched kernel("pgfault 12345\noom_kill_disable 0\n");
  OutOfMemoryWatch watch(kernel.file);
  kernel.say("pgfault 12346\noom_kill_disable 1\n");
  CHECK_FALSE(watch.look());
  kernel.count(5);  // the count before is unknown
  CHECK_FALSE(watch.look());
  OutOfMemoryWatch nothing(kernel.folder / "missing");
  CHECK_FALSE(nothing.look());
}

TEST_CASE("a count that once cannot be read is not forgotten") {
  const Watched kernel("oom_kill 3\n");
  OutOfMemoryWatch watch(kernel.file);
  kernel.say("");
  CHECK_FALSE(watch.look());
  kernel.count(4);
  CHECK(watch.look());
}

}  // namespace
}  // namespace tutti::test
