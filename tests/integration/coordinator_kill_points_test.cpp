// The kill-point matrix of the coordinator: SIGKILL of the program at every step of a run and of a training. Its
// workers end with it, nothing is left behind, and the next command gives the bytes of an undisturbed one.
// Needs a build with scripted faults.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "common/kill_point.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

/// Three members: what is done once per worker is done three times. Five segments, of three batches each. The third
/// predicts only what the others are not sure of.
const std::string kThreeFakes = R"(
members:
  - {name: a, model: {kind: fake, classes: 4, weights: a.safetensors}}
  - {name: b, model: {kind: fake, classes: 4, weights: b.safetensors}}
  - {name: c, model: {kind: fake, classes: 4, weights: c.safetensors}}
assignment: cpu
input: {dataset: random, count: 90, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
save_members: true
cascade: {when: {confidence_below: 0.4}, then: [c]}
train: {epochs: 2, checkpoint_segments: 1}
restarts: {back_off_s: 0.001}
)";

/// A member of two stages, and one without.
const std::string kStages = R"(
members:
  - {name: a, stages: [{model: {kind: fake, classes: 7}}, {model: {kind: fake, classes: 4}}]}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
input: {dataset: random, count: 90, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
save_members: true
restarts: {back_off_s: 0.001}
)";

/// Processes that were started with the folder of `place` in their environment: the program, its workers, and theirs.
std::vector<int> processes_of(const Workplace& place) {
  std::vector<int> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    std::ifstream file(entry.path() / "environ");
    const std::string environment{std::istreambuf_iterator<char>(file), {}};
    if (contains(environment, (place / "token").string())) pids.push_back(std::stoi(name));
  }
  return pids;
}

/// Call it when the program is dead: its workers are then children of this process.
void check_that_workers_follow(const Workplace& place) {
  // They end at once; how long that takes on a busy machine is not what is tested.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (const int worker : children_of(::getpid())) {
    const auto left = patience - std::chrono::steady_clock::now();
    CHECK(ends(worker, std::max(std::chrono::milliseconds(0), std::chrono::floor<std::chrono::milliseconds>(left))));
    ::kill(worker, SIGKILL);  // they have ended already, unless the test has failed
    CHECK(::waitpid(worker, nullptr, 0) == worker);
  }
  CHECK(children_of(::getpid()).empty());
  // Memory without a name exists only while a process has it open or mapped.
  CHECK(processes_of(place) == std::vector<int>{});
}

/// Runs a command that is killed at the point, if it gets there. True if it did.
bool dies_at(const Workplace& place, std::string_view point, unsigned visit, const Words& words) {
  adopt_orphans();
  ProgramOptions options = place.options();
  options.environment = killed_at(place, point, visit);
  const Finished run(words, options);
  const bool died = was_killed(place);
  CAPTURE(run.err());
  CHECK(run.code == (died ? 128 + SIGKILL : 0));
  check_that_workers_follow(place);
  std::filesystem::remove(place / "token");
  return died;
}

/// The same, but a worker also dies, as often as needed for the point that a death reaches.
Words with_deaths(Words words, std::string_view point, const std::string& phase) {
  if (point == "coordinator.death_seen")
    words.push_back(fmt::format("members.2.model.faults=[{{kind: kill, phase: {}, at_batch: 4}}]", phase));
  return words;
}

/// What is left in the folder of a run besides whole results, the journal, and the arrays that it continues.
Words strange_files(const Workplace& place) {
  Words names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place / "here")) {
    const std::string name = std::filesystem::relative(entry.path(), place / "here").string();
    if (entry.is_directory() || name == "journal" || name == "report.json" || place.has("right/" + name)) continue;
    if (name.ends_with(".npy.unfinished") && place.has("here/journal")) continue;
    names.push_back(name);
  }
  return names;
}

/// The command after a killed run: continues it, or starts it if it had not started.
void check_goes_on(const Workplace& place) {
  if (place.has("here")) CHECK(strange_files(place) == Words{});
  const bool over =
      !place.has("here/journal") && place.has("here/report.json") && place.report("here").at("completed") == true;
  if (!over) {
    Words words{"run", "e.yaml", "output=here"};
    if (place.has("here/journal")) words.emplace_back("--resume");
    const Finished resumed(place, words);
    CAPTURE(resumed.err());
    CHECK(resumed.code == 0);
  }
  CHECK(different_results(place, "here", "right") == Words{});
  CHECK(strange_files(place) == Words{});
  CHECK(place.report("here").at("completed") == true);
  CHECK_FALSE(place.has("here/journal"));
}

bool is_in(const std::set<std::string_view>& points, std::string_view point) { return points.count(point) > 0; }

// A prediction gives no commands.
const std::set<std::string_view> kOnlyInTraining{"coordinator.command_sent", "coordinator.command_answered"};
// Only a stage is told where the one before it has its outputs.
const std::set<std::string_view> kOnlyOfStages{"coordinator.feed_sent"};
// Steps of the run as a whole, not of a worker or a segment.
const std::set<std::string_view> kOnce{"coordinator.arena_made",     "coordinator.all_ready",
                                       "coordinator.results_begun",  "coordinator.results_in_place",
                                       "coordinator.report_written", "coordinator.journal_removed"};
// A training has no results but its weights.
const std::set<std::string_view> kOnlyInRuns{"coordinator.segment_judged", "coordinator.journal_written",
                                             "coordinator.results_begun",  "coordinator.results_in_place",
                                             "coordinator.report_written", "coordinator.journal_removed"};

// Steps before which segments were journaled: they are not computed again.
const std::set<std::string_view> kJournaled{"coordinator.journal_written", "coordinator.segment_delivered",
                                            "coordinator.results_begun", "coordinator.results_in_place",
                                            "coordinator.report_written"};

TEST_CASE("a run whose program is killed at any step takes its workers along and continues to the same bytes") {
  const Workplace place(kThreeFakes);
  REQUIRE(Finished(place, {"train", "e.yaml"}).code == 0);
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  for (const std::string_view point : kCoordinatorKillPoints)
    for (const unsigned visit : {1, 3}) {
      CAPTURE(point);
      CAPTURE(visit);
      const bool died = dies_at(place, point, visit, with_deaths({"run", "e.yaml", "output=here"}, point, "predict"));
      CHECK(died ==
            !(is_in(kOnlyInTraining, point) || is_in(kOnlyOfStages, point) || (visit > 1 && is_in(kOnce, point))));
      check_goes_on(place);
      if (died && is_in(kJournaled, point))
        CHECK(place.report("here").at_pointer("/finished/resumed").as_int64() >= visit);
      std::filesystem::remove_all(place / "here");
    }
}

TEST_CASE("a run with stages whose program is killed as it passes outputs on continues to the same bytes") {
  const Workplace place(kStages);
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  for (const std::string_view point :
       {"coordinator.feed_sent", "coordinator.task_pushed", "coordinator.completion_accepted"}) {
    CAPTURE(point);
    CHECK(dies_at(place, point, 1, {"run", "e.yaml", "output=here"}));
    check_goes_on(place);
    std::filesystem::remove_all(place / "here");
  }
}

/// Files of weights in the folder of the program, by name.
std::map<std::string, std::string> weights_in(const Workplace& place) {
  std::map<std::string, std::string> weights;
  for (const char* name : {"a.safetensors", "b.safetensors", "c.safetensors"})
    if (place.has(name)) weights[name] = place.read(name);
  return weights;
}

TEST_CASE("a training whose program is killed at any step takes its workers along and leaves whole weights or none") {
  const Workplace place(kThreeFakes);
  REQUIRE(Finished(place, {"train", "e.yaml"}).code == 0);
  const auto expected = weights_in(place);
  REQUIRE(expected.size() == 3);
  for (const std::string_view point : kCoordinatorKillPoints)
    for (const unsigned visit : {1, 3, 5}) {
      // Three commands begin the training, the next three save.
      if (visit == 5 && !is_in(kOnlyInTraining, point)) continue;
      CAPTURE(point);
      CAPTURE(visit);
      for (const auto& [name, bytes] : expected) std::filesystem::remove(place / name);
      const bool died = dies_at(place, point, visit, with_deaths({"train", "e.yaml"}, point, "train"));
      CHECK(died == !(is_in(kOnlyInRuns, point) || is_in(kOnlyOfStages, point) || (visit > 1 && is_in(kOnce, point))));
      for (const auto& [name, bytes] : weights_in(place)) CHECK(bytes == expected.at(name));
      for (const auto& entry : std::filesystem::directory_iterator(place / ".")) {
        const std::string name = entry.path().filename();
        CHECK((name == "runs" || name == "e.yaml" || expected.count(name) == 1));
      }
      CHECK(Finished(place, {"train", "e.yaml"}).code == 0);
      CHECK(weights_in(place) == expected);
    }
}

}  // namespace
}  // namespace tutti::test
