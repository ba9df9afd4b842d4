// tutti::run_to_folder(): the files of `tutti run`, and how a run that ended early is continued.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tutti/run.hpp>

#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/pools.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/trace_file.hpp"

namespace tutti::test {
namespace {

/// Two members and 12 segments. Other calls than the last one of a test are over before the next.
struct RunPlace : Workplace {
  RunPlace() {
    for (const std::string name : {"a", "b"}) {
      MemberSpec& member = value.members.emplace_back();
      member.name = name;
      member.model = {.kind = FakeModel{.classes = 3, .delay_us = 2000}};
      member.device = CpuDevice{};
      member.seed = value.members.size();
    }
    value.input.dataset = Dataset::random;
    value.input.count = 120;
    value.input.shape = {1, 2, 2};
    value.input.classes = 3;
    value.input.seed = 3;
    value.segment_images = 10;
    value.output = *this / "out";
    write("e.yaml", Spec(value).yaml());
  }
  RunOptions options() const { return {.worker = with_worker().worker}; }
  /// Ends a run after its first segments.
  std::optional<Error> interrupt(const std::string& rules = "") const {
    std::stop_source stop;
    RunOptions some = options();
    some.rules = rules;
    some.stop = stop.get_token();
    some.on_progress = [&](const RunState& state) {
      if (state.done >= 20) stop.request_stop();
    };
    return error_of([&] { run_to_folder(Spec(value), some); });
  }
  std::string right() const {
    REQUIRE(Finished(*this, {"run", "e.yaml", "-q", "output=right"}).code == 0);
    return read("right/predictions.npy");
  }
  EnsembleSpec value;
};

TEST_CASE("a run of the library writes the files of the program") {
  const NothingLeft check;
  RunPlace place;
  std::vector<RunState> states;
  RunOptions options = place.options();
  options.on_progress = [&](const RunState& state) { states.push_back(state); };
  const FolderRun run = run_to_folder(Spec(place.value), options);
  CHECK(run.folder == place / "out");
  CHECK(run.images == 120);
  CHECK(run.resumed == 0);
  CHECK(run.complete);
  CHECK(run.json == place.read("out/report.json"));
  REQUIRE(states.size() == 12);
  CHECK(states.front().done == 10);
  CHECK(states.back().done == 120);
  CHECK(states.back().total == 120);
  CHECK(place.read("out/predictions.npy") == place.right());
  CHECK(run.rows.empty());
  CHECK(run.table.empty());
  for (const char* file : {"predictions.csv", "predicted.npy"})
    CHECK(place.read(fmt::format("out/{}", file)) == place.read(fmt::format("right/{}", file)));
}

TEST_CASE("a run of the library has the columns of predictions.csv that were asked for") {
  const NothingLeft check;
  RunPlace place;
  RunOptions options = place.options();
  options.csv = "number,label";
  run_to_folder(Spec(place.value), options);
  CHECK(place.read("out/predictions.csv").starts_with("number,label\n0,"));
  place.value.output = place / "wrong";
  options.csv = "lable";
  CHECK(message_of([&] { run_to_folder(Spec(place.value), options); }) == "--csv: there is no column 'lable'");
  CHECK_FALSE(place.has("wrong"));
}

TEST_CASE("a run of the library evaluates several rules in the same pass and writes a trace") {
  const NothingLeft check;
  RunPlace place;
  RunOptions options = place.options();
  options.rules = "max,vote";
  options.trace = place / "trace.json";
  const FolderRun run = run_to_folder(Spec(place.value), options);
  const Finished program(place, {"run", "e.yaml", "output=theirs", "--rules", "max,vote"});
  REQUIRE(program.code == 0);
  CHECK(different_results(place, "out", "theirs").empty());
  CHECK(contains(program.out(), run.table));
  const json::value models = place.report("theirs").at("evaluation").at("models");
  CHECK(parse_json(run.json, "the report").at("evaluation").at("models") == models);
  REQUIRE(run.rows.size() == 4);
  for (std::size_t row = 0; row < 4; ++row) {
    CHECK(run.rows[row].name == models.at(row).at("name").as_string());
    CHECK(run.rows[row].figure("accuracy") == models.at(row).at("average").at("accuracy").as_double());
  }
  const TraceFile trace(place / "trace.json");
  CHECK(trace.events("infer", trace.pid_of("b")).size() == 12);
  options.rules = "mena";
  place.value.output = place / "wrong";
  CHECK(contains(message_of([&] { run_to_folder(Spec(place.value), options); }), "mena"));
  CHECK_FALSE(place.has("wrong"));
}

TEST_CASE("a run is continued with the rules that it began with") {
  const NothingLeft check;
  RunPlace place;
  REQUIRE(place.interrupt("max,vote"));
  RunOptions options = place.options();
  options.resume = true;
  const auto other = error_of([&] { run_to_folder(Spec(place.value), options); });
  REQUIRE(other);
  CHECK(other->kind() == ErrorKind::usage);
  options.rules = "max,vote";
  const FolderRun run = run_to_folder(Spec(place.value), options);
  CHECK(run.resumed >= 2);
  REQUIRE(run.rows.size() == 4);
  CHECK(run.rows[3].name == "vote");
  CHECK(run.rows[3].images == 120);
}

TEST_CASE("a run that is stopped keeps what is finished and is resumed to the same bytes") {
  const NothingLeft check;
  RunPlace place;
  const auto error = place.interrupt();
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(contains(error->hint(), "of 12 segments; continue with: tutti::run_to_folder() with 'resume'"));
  CHECK(contains(place.read("out/report.json"), "\"interrupted_by\": \"stop\""));

  const auto in_the_way = error_of([&] { run_to_folder(Spec(place.value), place.options()); });
  REQUIRE(in_the_way);
  CHECK(in_the_way->kind() == ErrorKind::usage);
  CHECK(contains(in_the_way->hint(), "continue it with 'resume', or remove "));

  RunOptions options = place.options();
  options.resume = true;
  const FolderRun run = run_to_folder(Spec(place.value), options);
  CHECK(run.images == 120);
  CHECK(run.resumed >= 2);
  CHECK(run.complete);
  CHECK(place.read("out/predictions.npy") == place.right());
  const auto nothing = error_of([&] { run_to_folder(Spec(place.value), options); });
  REQUIRE(nothing);
  CHECK(nothing->hint() == "leave 'resume' out");
}

TEST_CASE("the program continues what the library has started") {
  RunPlace place;
  REQUIRE(place.interrupt());
  CHECK(Finished(place, {"run", "e.yaml", "-q", "--resume"}).code == 0);
  CHECK(place.read("out/predictions.npy") == place.right());
}

TEST_CASE("an exception of the caller ends a run and leaves it and what is finished is kept") {
  const NothingLeft check;
  RunPlace place;
  RunOptions options = place.options();
  options.on_progress = [](const RunState& state) {
    if (state.done >= 30) throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH_AS(run_to_folder(Spec(place.value), options), "enough", std::runtime_error);
  options.on_progress = {};
  options.resume = true;
  const FolderRun run = run_to_folder(Spec(place.value), options);
  CHECK(run.resumed >= 3);
  CHECK(place.read("out/predictions.npy") == place.right());
}

TEST_CASE("a run says what its results lack") {
  RunPlace place;
  std::get<FakeModel>(place.value.members[1].model.kind).faults = {{FaultKind::exit, FaultPhase::predict, 3}};
  place.value.failure.on_worker_failure = OnWorkerFailure::degrade;
  place.value.failure.restart_limit = 0;
  const FolderRun run = run_to_folder(Spec(place.value), place.options());
  CHECK_FALSE(run.complete);
  CHECK(run.images == 120);
}

TEST_CASE("mistakes are found before anything is written") {
  RunPlace place;
  RunOptions options = place.options();
  options.resume = true;
  CHECK(message_of([&] { run_to_folder(Spec(place.value), options); }) ==
        fmt::format("there is nothing to resume in {}", (place / "out").string()));
  options = place.options();
  options.worker = place / "none";
  CHECK(message_of([&] { run_to_folder(Spec(place.value), options); }) ==
        fmt::format("no worker program at '{}'", (place / "none").string()));
  place.value.input = {};
  place.value.input.shape = {1, 2, 2};
  CHECK(message_of([&] { run_to_folder(Spec(place.value), place.options()); }) == "there are no images to work on");
  CHECK_FALSE(place.has("out"));
}

}  // namespace
}  // namespace tutti::test
