// The lines below the results: deaths, and what the predictions lack.
#include "program/summary.hpp"

#include <doctest/doctest.h>

#include "evaluation/run/lacking.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

using namespace program;

TEST_CASE("deaths are reported in one line and nothing is reported without any") {
  FaultCounts faults;
  CHECK(faults_text(faults).empty());
  faults.deaths = faults.restarts = 2;
  faults.handed_out_again = 5;
  CHECK(faults_text(faults) == "2 workers died and were replaced; 5 segments were handed out again\n");
  faults.deaths = faults.restarts = faults.handed_out_again = 1;
  CHECK(faults_text(faults) == "1 worker died and was replaced; 1 segment was handed out again\n");
  faults.deaths = 4;
  faults.handed_out_again = 0;
  CHECK(faults_text(faults) == "4 workers died, 1 was replaced\n");
  faults.restarts = 3;
  faults.abandoned_pids = {17, 18};
  CHECK(faults_text(faults) == "4 workers died, 3 were replaced; left behind after SIGKILL: process 17, 18\n");
}

images::Report two_members() {
  images::Report report;
  report.members.resize(2);
  report.members[0].status.name = "a";
  report.members[1].status.name = "b";
  for (images::MemberReport& member : report.members) member.status.state = WorkerState::running;
  report.ensemble.emplace();
  return report;
}

TEST_CASE("missing images are reported member by member with the first segment") {
  images::Report report = two_members();
  CHECK(missing_text(report, 20).empty());
  CHECK_FALSE(is_incomplete(report));
  report.ensemble->incomplete = {{20, 40, 1, {1}, false}, {80, 20, 1, {1}, false}, {100, 20, 0, {0, 1}, false}};
  CHECK(is_incomplete(report));
  CHECK(missing_text(report, 20) ==
        "a is missing from images 100-119, the first is segment 5\n"
        "b is missing from images 20-59, 80-119, the first is segment 1\n");
  report.members[1].status.state = WorkerState::absent;
  report.members[1].status.absent_reason = "it died 6 times in 60 s";
  CHECK(contains(missing_text(report, 20),
                 "b is missing from images 20-59, 80-119, the first is segment 1; it is absent: it died 6 times in 60 "
                 "s\n"));
}

TEST_CASE("a member that is absent makes a run incomplete even if no image lacks it") {
  images::Report report = two_members();
  report.ensemble.reset();  // a training has none
  CHECK_FALSE(is_incomplete(report));
  report.members[0].status.state = WorkerState::absent;
  CHECK(is_incomplete(report));
  CHECK(missing_text(report, 20) == "a is absent\n");
  report.members[0].status.absent_reason = "it died 6 times in 60 s";
  CHECK(missing_text(report, 20) == "a is absent: it died 6 times in 60 s\n");
}

TEST_CASE("segments that were set aside are reported with their images") {
  images::Report report = two_members();
  report.ensemble->incomplete = {{40, 10, 0, {0, 1}, true}};
  CHECK(is_incomplete(report));
  CHECK(missing_text(report, 20) == "1 segment was set aside for killing workers: images 40-49; NaN in the results\n");
  report.ensemble->incomplete = {{7, 1, 0, {}, true}};
  CHECK(missing_text(report, 1) == "1 segment was set aside for killing workers: image 7; NaN in the results\n");
  report.ensemble->incomplete.clear();
  for (const std::uint64_t image : {0, 1, 3, 5, 7, 9, 11, 13})
    report.ensemble->incomplete.push_back({image, 1, 0, {}, true});
  CHECK(missing_text(report, 1) ==
        "8 segments were set aside for killing workers: images 0-1, 3, 5, 7, 9 and 2 more ranges; NaN in the "
        "results\n");
}

}  // namespace
}  // namespace tutti::test
