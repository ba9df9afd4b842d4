// The program tutti when its workers die: what it prints, and what the report says.
#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>

#include "tests/common/error_of.hpp"
#include "tests/common/sanitized.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// The second member dies in segment 1, and is not replaced.
const std::string kMemberDies = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4, faults: [{kind: kill, phase: predict, at_batch: 4}]}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
segment_images: 20
batch_images: 8
on_worker_failure: fail
)";

TEST_CASE("a member that dies fails the run and the report says that it is not complete") {
  const Workplace place(kMemberDies);
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "tutti: b on cpu died on segment 1: it was killed by SIGKILL\n"));
  CHECK(place.report().at("completed") == false);
  CHECK_FALSE(place.has("runs/0001/predictions.npy"));
}

TEST_CASE("a member that dies on every segment ends the run or is left out of it") {
  const Workplace place;
  std::vector<std::string> words{"run",
                                 "e.yaml",
                                 "output=here",
                                 "input.count=200",
                                 "poison_limit=1",
                                 "restarts={back_off_s: 0.001}",
                                 "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 0}]"};
  const Finished ended(place, words);
  CHECK(ended.code == 1);
  CHECK(contains(ended.err(), "tutti: b on cpu died on segment 2: it was killed by SIGKILL\n"));
  CHECK(contains(ended.err(),
                 "hint: it died on each of the last 3 segments that it was given; look at what the worker "
                 "printed"));
  words.emplace_back("on_worker_failure=degrade");
  const Finished left(place, words);
  CHECK(left.code == 3);
  CHECK(contains(left.out(), "b is missing from images 40-199, the first is segment 2; it is absent"));
  CHECK(contains(left.out(), "2 segments were set aside for killing workers: images 0-39; NaN in the results\n"));
}

TEST_CASE("the report of a run whose member died counts the finished work and its path is printed") {
  const Workplace place(kMemberDies);
  const Finished run(place, {"run", "e.yaml", "input.count=40"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "report: runs/0001/report.json\n"));
  const json::value report = place.report();
  CHECK(report.at("completed") == false);
  CHECK(report.at("ensemble").is_null());
  CHECK(report.at("counts").at("segments_handed_out") == 4);
  CHECK(report.at("counts").at("input_bytes_copied") == 40 * 16 * 4);
  CHECK(report.at("members").at(1).at("segments_handed_out") == 2);
  CHECK(report.at("members").at(1).at("segments_answered") == 1);
  CHECK(report.at("counts").at("segments_answered").as_int64() ==
        report.at("members").at(0).at("segments_answered").as_int64() + 1);
  CHECK(report.at("memory").at("arena_bytes").as_int64() >= 4 * 20 * 16 * 4);
  CHECK(report.at("phases").at("start_up").as_double() > 0);
  CHECK(report.at("phases").at("total").as_double() > 0);
}

TEST_CASE("a member that dies is replaced and the run reports it and gives the same bytes") {
  const Workplace place;
  const Finished run(place, {"run", "e.yaml", "output=here", "slots=1",
                             "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 7}]"});
  CHECK(run.code == 0);
  CHECK(contains(run.out(), "\n1 worker died and was replaced; 1 segment was handed out again\nreport: "));
  CHECK(contains(run.err(), "2/2 members alive, 1 restart\n"));
  const json::value report = place.report("here");
  CHECK(report.at("faults").at("deaths") == 1);
  CHECK(report.at("faults").at("restarts") == 1);
  CHECK(report.at("members").at(1).at("generation") == 1);
  CHECK(report.at("members").at(1).at("deaths") == 1);
  CHECK(report.at("members").at(0).at("deaths") == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  CHECK(different_results(place, "here", "right") == std::vector<std::string>{});
}

// Under a container's seccomp profile, or at a limit, no further attempt could succeed.
TEST_CASE("a run that the system does not let start ends at once and says what to allow or to raise") {
  struct Case {
    long call;
    int code;
    const char* problem;
    const char* hint;
  };
  const char* const forbidden = "allow it in the container's seccomp profile";
  const char* const files = "raise 'ulimit -n'";
  const char* const processes = "raise 'ulimit -u' or the cgroup's pids.max";
  const char* const watch = "could not watch a worker through a pidfd";
  for (const Case& one : {Case{SYS_pidfd_open, EPERM, watch, forbidden}, Case{SYS_pidfd_open, ENOSYS, watch, forbidden},
                          Case{SYS_pidfd_open, EMFILE, watch, files}, Case{SYS_pidfd_open, EAGAIN, watch, processes},
                          Case{SYS_memfd_create, EPERM, "could not create shared memory", forbidden},
                          Case{SYS_socketpair, EMFILE, "could not create a control socket", files},
                          Case{SYS_eventfd2, EPERM, "could not create an eventfd", forbidden},
                          Case{SYS_epoll_create1, EMFILE, "could not create the coordinator's event loop", files}}) {
    CAPTURE(one.problem);
    CAPTURE(one.code);
    const Workplace place;
    ProgramOptions options = place.options();
    options.refused_call = one.call;
    options.refused_with = one.code;
    const Finished run({"run", "e.yaml", "restarts.limit=off", "restarts.back_off_s=1000"}, options);
    if (run.code == kNoSuchPlace) {
      std::puts("SKIPPED: no seccomp here");
      return;
    }
    CHECK(run.code == 1);
    CHECK(contains(run.err(), one.problem));
    CHECK(contains(run.err(), one.hint));
    CHECK_FALSE(contains(run.err(), "replacement"));
  }
}

TEST_CASE("without /proc a run says that it needs it") {
  if (kSanitized) {
    std::puts("SKIPPED: a sanitizer needs /proc to know the stack, and finds faults where there are none");
    return;
  }
  const Workplace place;
  ProgramOptions options = place.options();
  options.no_proc = true;
  const Finished run({"run", "e.yaml"}, options);
  if (run.code == kNoSuchPlace) {
    std::puts("SKIPPED: /proc cannot be hidden here");
    return;
  }
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "tutti: could not find out which program this is\n"));
  CHECK(contains(run.err(), "cannot read /proc/self/exe"));
  CHECK(contains(run.err(), "mount -t proc proc /proc"));
}

}  // namespace
}  // namespace tutti::test
