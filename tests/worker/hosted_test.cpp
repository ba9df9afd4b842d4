// The real worker program in single steps: what it maps, and what it reports when it gets no memory.
#include "tests/worker/hosted.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <fstream>

#include "tests/common/sanitized.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

const ArenaLayout kHostedArena{2, 8, kShape};

/// The flags of the arena's mapping, as the kernel shows them; waits until it is mapped.
std::string flags_of_arena(int pid) {
  std::string flags;
  CHECK(happens([&] {
    std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
      if (line.find("-") < line.find(' ')) inside = line.find("memfd:tutti-arena") != line.npos;
      if (inside && line.starts_with("VmFlags:")) flags = line + " ";
    }
    return !flags.empty();
  }));
  return flags;
}

TEST_CASE("the arena is left out of a worker's core file") {
  const Checkpoints files;
  Hosted worker(test::kWorkerProgram, kHostedArena, 4, files, {"--core-files"});
  worker.receive<control::Hello>();
  worker.load(fake_request());
  worker.start();
  worker.fill(0, random_images(8), 0);
  worker.hand_out({0, 0, 0, 0, 8, TaskKind::predict, {}, 0, 3});
  worker.answer();
  const std::string flags = flags_of_arena(worker.pid());
  CHECK(flags.find(" dd ") != flags.npos);  // do not dump
  CHECK(flags.find(" wr ") == flags.npos);
}

TEST_CASE("a worker that gets no memory says so and what to lower") {
#ifdef TUTTI_SANITIZED
  std::puts("SKIPPED: a sanitizer's allocator does not throw");
#else
  const Checkpoints files;
  Hosted worker(test::kWorkerProgram, kHostedArena, 4, files);
  worker.receive<control::Hello>();
  rlimit limit{1 << 28, 1 << 28};
  REQUIRE(::prlimit(worker.pid(), RLIMIT_DATA, &limit, nullptr) == 0);
  worker.send(control::Load{fake_request({.classes = 1 << 28, .faults = {}})});
  std::string words;
  try {
    worker.receive<control::Ready>();
  } catch (const Died& died) {
    words = died.words;
  }
  CHECK(words == "out of memory");
  CHECK(std::get<Exited>(worker.end()).code == kFailed);
#endif
}

}  // namespace
}  // namespace tutti::test
