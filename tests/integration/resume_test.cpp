// Runs that end early and are continued later, with the same bytes as an undisturbed run.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "images/npy.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// Five segments, the last one short; writes everything that a run can write.
std::string resumable() {
  std::string yaml = kTwoFakes;
  yaml.replace(yaml.find("count: 50"), 9, "count: 90");
  return yaml + "save_members: true\ndrain_deadline_s: 60\n";
}

using Words = std::vector<std::string>;

/// A place where the run was done undisturbed, into `right`.
struct Disturbed : Workplace {
  Disturbed() : Workplace(resumable()) { REQUIRE(Finished(*this, {"run", "e.yaml", "output=right"}).code == 0); }

  /// Resumes the run in `here`, with what `more` says, and compares.
  void check_resumed(const Words& more = {}) const {
    Words words{"run", "e.yaml", "output=here", "--resume"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished resumed(*this, words);
    CAPTURE(resumed.err());
    CHECK(resumed.code == 0);
    check_same();
  }
  void check_same() const {
    CHECK(different_results(*this, "here", "right") == Words{});
    CHECK_FALSE(has("here/journal"));
    for (const char* array : {"predictions", "predicted", "members/a", "members/b"})
      CHECK_FALSE(has(fmt::format("here/{}.npy.unfinished", array)));
    const json::value done = report("here");
    const json::value right = report("right");
    CHECK(done.at("completed") == true);
    CHECK(done.at("interrupted_by").is_null());
    CHECK(done.at_pointer("/finished/segments") == 5);
    for (const char* score : {"accuracy", "loss", "confusion_matrix", "per_class_accuracy", "images"})
      CHECK(done.at("ensemble").at(score) == right.at("ensemble").at(score));
    for (std::size_t rank = 0; rank < 2; ++rank)
      for (const char* score : {"accuracy", "loss"})
        CHECK(done.at("members").at(rank).at(score) == right.at("members").at(rank).at(score));
  }
  /// A run of which two segments are finished, and which was killed then.
  void kill_after_two() const {
    Words words{"run", "e.yaml", "output=here", "members.1.model.delay_ms=60", "slots=1"};
    Program program(Workplace::command(words), options());
    REQUIRE_FALSE(program.wait_for_line("predict   44 %").empty());
    program.signal(SIGKILL);
    REQUIRE(program.code() == 128 + SIGKILL);
    REQUIRE(has("here/journal"));
  }
};

TEST_CASE("a run that is killed at any of its own steps continues to the same bytes") {
  if (!has_kill_points()) {
    std::puts("SKIPPED: this build has no scripted faults");
    return;
  }
  const Disturbed place;
  struct Kill {
    const char* point;
    unsigned visit;
    int known;  ///< segments in the journal afterwards; -1: there is none
  };
  for (const Kill& kill : {Kill{"coordinator.journal_written", 1, 1}, Kill{"coordinator.journal_written", 2, 2},
                           Kill{"coordinator.journal_written", 5, 5}, Kill{"coordinator.results_begun", 1, 5},
                           Kill{"coordinator.results_in_place", 1, 5}, Kill{"coordinator.report_written", 1, 5},
                           Kill{"coordinator.journal_removed", 1, -1}}) {
    CAPTURE(kill.point);
    CAPTURE(kill.visit);
    ProgramOptions options = place.options();
    options.environment = killed_at(place, kill.point, kill.visit);
    CHECK(Finished({"run", "e.yaml", "output=here"}, options).code == 128 + SIGKILL);
    REQUIRE(was_killed(place));
    if (kill.known < 0) {
      const Finished resumed(place, {"run", "e.yaml", "output=here", "--resume"});
      CHECK(resumed.code == 2);
      CHECK(contains(resumed.err(), "tutti: there is nothing to resume in here\n"));
      place.check_same();
    } else {
      place.check_resumed();
      CHECK(place.report("here").at_pointer("/finished/resumed") == kill.known);
      CHECK(place.report("here").at_pointer("/counts/segments_handed_out") == 2 * (5 - kill.known));
    }
    std::filesystem::remove_all(place / "here");
  }
}

TEST_CASE("a run that was killed from outside continues to the same bytes") {
  const Disturbed place;
  place.kill_after_two();
  place.check_resumed();
  CHECK(place.report("here").at_pointer("/finished/resumed").as_int64() >= 2);
}

TEST_CASE("a run that is killed again and again continues to the same bytes") {
  if (!has_kill_points()) {
    std::puts("SKIPPED: this build has no scripted faults");
    return;
  }
  const Disturbed place;
  for (int kill = 0; kill < 4; ++kill) {
    ProgramOptions options = place.options();
    options.environment = killed_at(place, "coordinator.journal_written");
    Words words{"run", "e.yaml", "output=here"};
    if (kill > 0) words.emplace_back("--resume");
    CHECK(Finished(words, options).code == 128 + SIGKILL);
  }
  place.check_resumed();
  CHECK(place.report("here").at_pointer("/finished/resumed") == 4);
}

/// Rows of an array that a run wrote.
std::uint64_t rows_of(const std::filesystem::path& file) {
  return images::read_npy_header(images::InputFile(file)).shape.at(0);
}

TEST_CASE("Ctrl-C lets what is in flight finish and writes it and the run continues to the same bytes") {
  const Workplace place(resumable());
  const Words words{"run", "e.yaml", "output=here", "input.count=190", "members.1.model.delay_ms=60"};
  Program program(Workplace::command(words), place.options());
  // By the time that the first of ten segments is done, the three behind it are in flight.
  REQUIRE_FALSE(program.wait_for_line("predict   11 %").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  const json::value report = place.report("here");
  CHECK(report.at("completed") == false);
  CHECK(report.at("interrupted_by") == "SIGINT");
  const std::int64_t segments = report.at_pointer("/finished/segments").as_int64();
  const std::int64_t images = report.at_pointer("/finished/images").as_int64();
  CHECK(segments >= 4);
  CHECK(segments < 10);
  CHECK(images == segments * 20);
  CHECK(report.at_pointer("/finished/of") == 10);
  CHECK(report.at_pointer("/finished/of_images") == 190);
  CHECK(report.at_pointer("/finished/ranges/0/count") == images);
  CHECK(report.at_pointer("/ensemble/images") == images);
  for (const char* file : {"predictions", "predicted", "members/a", "members/b"}) {
    CHECK(rows_of(place / fmt::format("here/{}.partial.npy", file)) == static_cast<std::uint64_t>(images));
    CHECK_FALSE(place.has(fmt::format("here/{}.npy", file)));
  }
  CHECK(contains(program.err(), fmt::format("tutti: interrupted\n  hint: finished {} of 10 segments; continue with: "
                                            "tutti run e.yaml output=here input.count=190 members.1.model.delay_ms=60 "
                                            "--resume\n",
                                            segments)));
  CHECK(Finished(place, {"run", "e.yaml", "output=here", "input.count=190", "--resume"}).code == 0);
  CHECK(place.report("here").at_pointer("/finished/resumed") == segments);
  CHECK(place.report("here").at_pointer("/counts/images") == 190);
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right", "input.count=190"}).code == 0);
  CHECK(different_results(place, "here", "right") == Words{});
}

TEST_CASE("a run that is interrupted when it is resumed keeps what was finished before") {
  const Disturbed place;
  place.kill_after_two();
  Program program(Workplace::command({"run", "e.yaml", "output=here", "--resume", "--verbose",
                                      "members.1.model.faults=[{kind: hang, phase: predict, at_batch: 0}]",
                                      "progress_deadline_s=off", "drain_deadline_s=0.05"}),
                  place.options());
  REQUIRE_FALSE(program.wait_for_line("2 workers ready").empty());
  // The files of the results are opened once a signal is waited for.
  REQUIRE(happens([&] {
    const auto open = descriptors_of(program.pid());
    return std::any_of(open.begin(), open.end(),
                       [](const auto& name) { return contains(name, "/here/") && !contains(name, "/journal"); });
  }));
  program.signal(SIGTERM);
  CHECK(program.code() == 143);
  CHECK(place.report("here").at("interrupted_by") == "SIGTERM");
  const std::int64_t segments = place.report("here").at_pointer("/finished/segments").as_int64();
  CHECK(segments >= 2);
  CHECK(place.report("here").at_pointer("/finished/resumed") == segments);
  CHECK(rows_of(place / "here/predictions.partial.npy") == static_cast<std::uint64_t>(segments) * 20);
  place.check_resumed();
  CHECK_FALSE(place.has("here/predictions.partial.npy"));
}

TEST_CASE("a second Ctrl-C ends a run at once and what is finished stays") {
  const Disturbed place;
  Program program(
      Workplace::command({"run", "e.yaml", "output=here", "slots=1", "progress_deadline_s=off", "drain_deadline_s=3000",
                          "members.1.model.faults=[{kind: hang, phase: predict, at_batch: 4}]"}),
      place.options());
  REQUIRE_FALSE(program.wait_for_line("predict   22 %").empty());
  program.signal(SIGINT);
  // The second counts only once the first has been handled.
  REQUIRE(happens([&] {
    program.signal(SIGINT);
    return ends(program.pid(), std::chrono::milliseconds(10));
  }));
  // Without the second it would drain for ever; if nothing was in flight at that moment, the first was enough.
  CHECK(program.code() == 130);
  place.check_resumed();
}

TEST_CASE("a run that fails keeps what is finished and says how to continue") {
  const Disturbed place;
  const Finished failed(place, {"run", "e.yaml", "output=here", "on_worker_failure=fail", "slots=1",
                                "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"});
  CHECK(failed.code == 1);
  CHECK(contains(failed.err(), "finished 1 of 5 segments; continue with: tutti run e.yaml output=here "));
  CHECK(contains(failed.err(), " --resume\n"));
  CHECK(place.report("here").at("completed") == false);
  CHECK(place.report("here").at("interrupted_by").is_null());
  CHECK(place.report("here").at_pointer("/finished/segments") == 1);
  CHECK_FALSE(place.has("here/predictions.partial.npy"));
  place.check_resumed();
}

TEST_CASE("a run that fails before anything is finished leaves no journal") {
  const Disturbed place;
  const Finished failed(place, {"run", "e.yaml", "output=here", "on_worker_failure=fail",
                                "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 0}]"});
  CHECK(failed.code == 1);
  CHECK_FALSE(contains(failed.err(), "--resume"));
  CHECK_FALSE(place.has("here/journal"));
  CHECK(Finished(place, {"run", "e.yaml", "output=here"}).code == 0);
}

TEST_CASE("an output that is left out makes the run incomplete and is computed again") {
  const Disturbed place;
  const Words words{"run",         "e.yaml",
                    "output=here", "on_nan=degrade",
                    "slots=1",     "members.1.model.faults=[{kind: nan, phase: predict, at_batch: 4}]"};
  const Finished run(place, words);
  CHECK(run.code == 3);
  CHECK(contains(run.out(),
                 "b is missing from images 20-39, the first is segment 1\n"
                 "to compute these segments again: tutti run e.yaml output=here "));
  json::value report = place.report("here");
  CHECK(report.at("completed") == true);
  CHECK(report.at_pointer("/finished/segments") == 4);
  CHECK(report.at_pointer("/finished/ranges/1/first") == 40);
  CHECK(report.at_pointer("/ensemble/incomplete/0/absent") == json::array{"b"});
  CHECK(different_results(place, "here", "right").size() == 4);
  Words quiet = words;
  quiet[2] = "output=quiet";
  quiet.emplace_back("--quiet");
  const Finished whispered(place, quiet);
  CHECK(whispered.code == 3);
  CHECK(whispered.out().empty());
  CHECK(contains(whispered.err(), "b is missing from images 20-39"));
  Words again = words;  // the fault is at a batch that is not reached now
  again.emplace_back("--resume");
  CHECK(Finished(place, again).code == 0);
  place.check_same();
  CHECK(place.report("here").at_pointer("/counts/segments_handed_out") == 2);
}

TEST_CASE("a member that is lost for good makes the run incomplete and its segments are done again") {
  const Disturbed place;
  const Finished run(place,
                     {"run", "e.yaml", "output=here", "slots=1", "on_worker_failure=degrade", "restarts={limit: 1}",
                      "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]", "poison_limit=off"});
  CHECK(run.code == 3);
  CAPTURE(run.out());
  CHECK(contains(run.out(), "b is missing from images "));
  CHECK(contains(run.out(), "; it is absent: "));
  CHECK(place.report("here").at_pointer("/members/1/state") == "absent");
  CHECK(place.report("here").at_pointer("/members/1/absent_reason").is_string());
  place.check_resumed();
}

TEST_CASE("segments that were set aside make the run incomplete and are done again") {
  const Disturbed place;
  // Two segments: after a third the member would be to blame.
  const Finished run(
      place, {"run", "e.yaml", "output=here", "poison_limit=1", "restarts={back_off_s: 0.001}", "segment_images=50",
              "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 0}]"});
  CHECK(run.code == 3);
  CHECK(contains(run.out(),
                 "2 segments were set aside for killing workers: images 0-89; NaN in the results\n"
                 "to compute these segments again: tutti run e.yaml output=here "));
  CHECK(place.report("here").at_pointer("/finished/segments") == 0);
  CHECK(place.report("here").at_pointer("/finished/ranges").as_array().empty());
  CHECK(Finished(place, {"run", "e.yaml", "output=here", "segment_images=50", "--resume"}).code == 0);
  CHECK(different_results(place, "here", "right") == Words{});
}

TEST_CASE("an unfinished run is not started again by accident") {
  const Disturbed place;
  place.kill_after_two();
  const Finished again(place, {"run", "e.yaml", "output=here"});
  CHECK(again.code == 2);
  CHECK(contains(again.err(), "tutti: here holds an unfinished run ("));
  CHECK(contains(again.err(),
                 " of 5 segments)\n  hint: continue it with --resume, or remove here/journal to start again\n"));
  std::filesystem::remove(place / "here/journal");
  CHECK(Finished(place, {"run", "e.yaml", "output=here"}).code == 0);
  CHECK(different_results(place, "here", "right") == Words{});
}

TEST_CASE("a run other than the one that was started is refused with every difference before a worker starts") {
  const Disturbed place;
  place.kill_after_two();
  const Finished other(place, {"run", "e.yaml", "output=here", "--resume", "--verbose", "segment_images=10",
                               "combine={rule: max}", "threads=3"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(),
                 "tutti: the run in here is a different one and cannot be resumed\n  detail: combine.rule: was "
                 "mean, now max\n          segment_images: was 20, now 10\n"));
  CHECK(contains(other.err(), "threads of a: was "));
  CHECK(contains(other.err(), "  hint: run it as it was started, or remove here/journal to start again\n"));
  CHECK_FALSE(contains(other.err(), "starting 2 workers"));
  place.check_resumed({"slots=2"});  // this changes no byte
}

TEST_CASE("changed weights do not lead to mixed results") {
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, classes: 4, weights: a.safetensors}}]
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
segment_images: 20
)");
  REQUIRE(Finished(place, {"train", "e.yaml"}).code == 0);
  const Finished failed(place, {"run", "e.yaml", "output=here", "on_worker_failure=fail", "slots=1",
                                "members.0.model.faults=[{kind: kill, phase: predict, at_batch: 1}]"});
  REQUIRE(failed.code == 1);
  REQUIRE(Finished(place, {"train", "e.yaml", "seed=9"}).code == 0);
  const Finished resumed(place, {"run", "e.yaml", "output=here", "--resume"});
  CHECK(resumed.code == 2);
  CHECK(contains(resumed.err(), "  detail: weights of a: was "));
}

TEST_CASE("without a folder the newest unfinished run is resumed and named") {
  const Workplace place(resumable());
  const Finished nothing(place, {"run", "e.yaml", "--resume"});
  CHECK(nothing.code == 2);
  CHECK(contains(nothing.err(), "tutti: there is nothing to resume below runs\n"));
  CHECK_FALSE(place.has("runs"));
  const std::string fault = "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]";
  REQUIRE(Finished(place, {"run", "e.yaml", "slots=1", "on_worker_failure=fail", fault}).code == 1);
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  const Finished resumed(place, {"run", "e.yaml", "--resume"});
  CHECK(resumed.code == 0);
  CHECK(contains(resumed.err(), "info resuming runs/0001: finished 1 of 5 segments\n"));
  CHECK(contains(resumed.out(), "report: runs/0001/report.json\n"));
  CHECK(different_results(place, "runs/0001", "runs/0002") == Words{});
  CHECK_FALSE(place.has("runs/0003"));
}

TEST_CASE("two runs do not write into one folder at the same time") {
  const Disturbed place;
  Program first(Workplace::command({"run", "e.yaml", "output=here", "slots=1", "progress_deadline_s=off",
                                    "members.1.model.faults=[{kind: hang, phase: predict, at_batch: 4}]"}),
                place.options());
  REQUIRE_FALSE(first.wait_for_line("predict   22 %").empty());
  for (const Words& words :
       {Words{"run", "e.yaml", "output=here"}, Words{"run", "e.yaml", "output=here", "--resume"}}) {
    const Finished second(place, words);
    CHECK(second.code == 2);
    CHECK(contains(second.err(), "tutti: another tutti is writing into here\n"));
  }
  first.signal(SIGKILL);
  CHECK(first.code() == 128 + SIGKILL);
  place.check_resumed();
}

TEST_CASE("results that cannot grow fail the run and nothing in them is lost") {
  const Workplace place(resumable());
  const Words large{"run", "e.yaml", "output=here", "input.count=80000", "slots=1", "segment_images=1000"};
  ProgramOptions options = place.options();
  options.file_limit = 1 << 20;  // enough for the arena
  const Finished run(large, options);
  CHECK(run.code == 1);
  CHECK(contains(run.err(),
                 "tutti: could not write here/predictions.csv\n  detail: File too large\n  hint: the limit on the "
                 "size of a file is too low: raise 'ulimit -f'\n        finished "));
  CHECK(contains(run.err(), " of 80 segments; continue with: tutti run e.yaml "));
  Words again = large;
  again.emplace_back("--resume");
  CHECK(Finished(place, again).code == 0);
  CHECK(place.report("here").at_pointer("/finished/resumed").as_int64() > 0);
  again = {"run", "e.yaml", "output=right", "input.count=80000", "segment_images=1000"};
  REQUIRE(Finished(place, again).code == 0);
  CHECK(different_results(place, "here", "right") == Words{});
}

TEST_CASE("a plan cannot be resumed") {
  const Workplace place;
  CHECK(Finished(place, {"run", "e.yaml", "--resume", "--dry-run"}).code == 2);
  CHECK(Finished(place, {"train", "e.yaml", "--resume"}).code == 2);
}

}  // namespace
}  // namespace tutti::test
