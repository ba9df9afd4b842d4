// The command `tutti bench` from the outside, on fake members; a program that only pretends replaces
// tutti-bench-single, so that it can also misbehave.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/atomic_file.hpp"
#include "common/json.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"
#include "tests/support/run_program.hpp"

namespace tutti::test {
namespace {

class Place {
 public:
  explicit Place(const std::string& description = kTwoFakes) { write("e.yaml", description); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }

  ProgramOptions options(const std::string& pretend = {}) const {
    ProgramOptions options;
    options.folder = folder_.path().string();
    options.environment = {{"PRETEND", pretend}, {"TMPDIR", folder_.path().string()}};
    return options;
  }
  static std::vector<std::string> command(std::vector<std::string> words) {
    words.insert(words.begin(), {test::kProgram, "bench", "e.yaml", "--single", test::kPretendSingle});
    return words;
  }
  std::vector<json::object> rows() const {
    std::vector<json::object> rows;
    std::ifstream in(folder_ / "rows.jsonl");
    for (std::string line; std::getline(in, line);) rows.push_back(parse_json(line, "a row").get_object());
    return rows;
  }
  std::vector<std::string> names() const { return folder_.names(); }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
};

struct Compared {
  Compared(const Place& place, std::vector<std::string> words, const std::string& pretend = {})
      : program(Place::command(std::move(words)), place.options(pretend)), code(program.code()) {}
  std::string line_with(const std::string& part) const {
    std::istringstream text(program.out());
    for (std::string line; std::getline(text, line);)
      if (line.find(part) != std::string::npos) return line;
    return {};
  }
  Program program;
  int code;
};

json::object row_named(const std::vector<json::object>& rows, const std::string& bench, const std::string& name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const json::object& row) {
    return row.at("bench") == json::string(bench) && row.at("name") == json::string(name);
  });
  REQUIRE(found != rows.end());
  return *found;
}

TEST_CASE("all strategies run interleaved and agree and every sample is kept") {
  const Place place;
  const Compared bench(place, {"--repeats", "2", "--json", "rows.jsonl"});
  CHECK(bench.program.err().find("error") == std::string::npos);
  REQUIRE(bench.code == 0);
  CHECK(contains(bench.line_with("2 x fake, mean; 50 images (random, 1x4x4); batch 8, segments of 20"), "median"));
  const auto rows = place.rows();
  for (const char* name : {"sequential, one thread", "sequential, all cores", "threads", "single graph, branches",
                           "single graph, fused", "multiprocess (the pool)"}) {
    const json::object row = row_named(rows, "strategies", name);
    CHECK(row.at("samples").get_array().size() == 2);
    CHECK(contains(row.at("note").get_string(), "same bits"));
    CHECK(contains(row.at("note").get_string(), "x sequential one-thread"));
    CHECK(contains(row.at("note").get_string(), "x the pool"));
    CHECK(row_named(rows, "start-up", std::string("start-up: ") + name).at("samples").get_array().size() == 2);
    CHECK(row_named(rows, "memory", std::string("memory: ") + name).at("unit") == "MiB");
    CHECK(contains(bench.line_with(name), "0."));
  }
  CHECK(row_named(rows, "noise", "noise: the same arithmetic on all cores").at("samples").get_array().size() == 3);
  CHECK(std::none_of(rows.begin(), rows.end(), [](const json::object& row) { return row.contains("skipped"); }));
  CHECK(rows.front().at("certificate").at("date").get_string().size() == 10);
  CHECK((contains(bench.program.out(), " is fastest: ") || contains(bench.program.out(), "is clearly the fastest")));
  // Every step is announced, with its strategy if it takes long.
  CHECK(contains(bench.program.err(),
                 "comparing 6 strategies in about 120 s, or longer if starting each of them twice and computing one "
                 "batch with each in every round takes that long;"));
  CHECK(contains(bench.program.err(), "start-up and memory, 2 of 2: threads: "));
  CHECK(contains(bench.program.err(), "2 rounds over 50 images: about "));
  CHECK(contains(bench.program.err(), "starting 'single graph, fused'"));
  CHECK(contains(rows.front().at("certificate").at("options").get_string(), "e.yaml --single"));
}

TEST_CASE("a comparison that would take too long uses fewer images and says so") {
  const Place place;
  // 50 images in batches of 8 take at least 7 x 20 ms in the pool.
  const Compared bench(place, {"--repeats", "4", "--seconds", "0.1", "--json", "rows.jsonl", "--strategies",
                               "multiprocess", "members.0.model.delay_ms=20"});
  REQUIRE(bench.code == 0);
  CHECK(contains(bench.program.err(), "3 rounds over the first 8 of 50 images: about "));
  CHECK(contains(bench.program.err(), "because 0.1 s are aimed at; --seconds 0 takes 4 rounds over all"));
  const json::object row = row_named(place.rows(), "strategies", "multiprocess (the pool)");
  CHECK(row.at("conditions").at("images") == 8);
  CHECK(row.at("samples").get_array().size() == 3);
  CHECK(row.at("certificate").at("repeats") == 3);
  CHECK(contains(bench.program.out(), " | 3 repeats\n"));
}

TEST_CASE("members with an input of their own are compared on what each makes of the images") {
  const Place place;
  const Compared bench(place, {"--repeats", "1", "--json", "rows.jsonl", "members.0.input={resize: 6, mean: 0.5}",
                               "input.preprocess={mean: 0.25}"});
  CAPTURE(bench.program.err());
  REQUIRE(bench.code == 0);
  for (const char* name : {"sequential, one thread", "threads", "multiprocess (the pool)"})
    CHECK(contains(row_named(place.rows(), "strategies", name).at("note").get_string(), "same bits"));
}

TEST_CASE("a prediction beyond the tolerance is shown and fails the command") {
  const Place place;
  const Compared bench(place, {"--repeats", "1", "--json", "rows.jsonl"}, "fused=lie");
  CHECK(bench.code == 1);
  CHECK(contains(bench.program.err(), "the predictions differ beyond the tolerance: 'single graph, fused'"));
  CHECK(contains(bench.line_with("single graph, fused"), "1 image differs by up to 0.5"));
  CHECK(contains(bench.line_with("threads"), "same bits"));
}

TEST_CASE("a strategy that rejects the members is skipped with its message") {
  const Place place;
  const Compared bench(place, {"--repeats", "1"}, "fused=refuse");
  CHECK(bench.code == 0);
  CHECK(contains(bench.line_with("single graph, fused"), "skipped: these members cannot be fused"));
}

TEST_CASE("a process that dies ends the command with its cause") {
  const Place place;
  const Compared bench(place, {"--repeats", "1"}, "branches=die");
  CHECK(bench.code == 1);
  CHECK(contains(bench.program.err(), "the process of 'single graph, branches' was killed by SIGKILL"));
}

TEST_CASE("a process that says nonsense ends the command") {
  const Place place;
  const Compared bench(place, {"--repeats", "1"}, "threads=nonsense");
  CHECK(bench.code == 1);
  CHECK(contains(bench.program.err(), "the process of 'threads' did not reply 'ran'"));
  CHECK(contains(bench.program.err(), "sung"));
}

TEST_CASE("chosen strategies are compared with a sequential one that has no row") {
  const Place place;
  const Compared bench(place, {"--repeats", "1", "--strategies", "multiprocess", "-q"}, "sequential=lie");
  CHECK(bench.code == 1);
  CHECK(bench.line_with("sequential").empty());
  CHECK(bench.program.err() ==
        "tutti bench: the predictions differ beyond the tolerance: 'multiprocess (the pool)'\n"
        "  hint: their times are not comparable, because they do not compute the same as sequential\n");
}

TEST_CASE("each strategy may have its own batch") {
  const Place place;
  const Compared bench(
      place, {"--repeats", "1", "--batches", "1,20", "--json", "rows.jsonl", "--strategies", "threads,multiprocess"});
  REQUIRE(bench.code == 0);
  const json::object row = row_named(place.rows(), "strategies", "multiprocess (the pool), its own batch");
  CHECK(row.at("conditions").at("batch_images") == "own");
  CHECK(contains(row.at("note").get_string(), ", batch "));
}

TEST_CASE("training and interference have separate rows and leave no files") {
  const Place place;
  const Compared bench(
      place, {"--repeats", "2", "--train", "--interference", "--strategies", "multiprocess", "--json", "rows.jsonl"});
  REQUIRE(bench.code == 0);
  const auto rows = place.rows();
  CHECK(row_named(rows, "training", "one after another, one thread").at("samples") == json::array{0.5, 0.5});
  CHECK(contains(row_named(rows, "training", "side by side in the pool").at("note").get_string(),
                 "x one after another, one thread"));
  CHECK(row_named(rows, "training", "side by side in the pool").at("conditions").at("epochs") == 1);
  CHECK(row_named(rows, "interference", "a alone").at("unit") == "images/s");
  CHECK(contains(row_named(rows, "interference", "b beside the others").at("note").get_string(), "x of alone"));
  CHECK(row_named(rows, "interference", "b beside the others: segment, p99").at("better") == "lower");
  CHECK(place.names().size() == 2);
}

TEST_CASE("a sweep says who wins at a point and stops when its time is up") {
  const Place place;
  const Compared bench(place, {"--repeats", "1", "--sweep", "--sweep-seconds", "1", "--strategies", "multiprocess",
                               "--json", "rows.jsonl"});
  REQUIRE(bench.code == 0);
  CHECK(contains(bench.program.out(), "sweep: images/s"));
  CHECK(contains(bench.program.out(), " won at "));
  const auto rows = place.rows();
  CHECK(std::any_of(rows.begin(), rows.end(), [](const json::object& row) {
    return row.at("bench") == "sweep" && row.at("name") == "multiprocess" && row.at("samples").get_array().size() == 3;
  }));
}

TEST_CASE("what cannot be compared is rejected before anything is started") {
  const auto refused = [](const std::string& description, std::vector<std::string> words, const std::string& text) {
    const Place place(description);
    const Compared bench(place, std::move(words));
    CHECK(bench.code == 2);
    CHECK(contains(bench.program.err(), text));
    CHECK(bench.program.out().empty());
  };
  refused(kTwoFakes, {"members.1.views=[hflip]"}, "'b' has 'views', which the other strategies do not have");
  refused(kTwoFakes, {"members.1.model={kind: saved, predictions: x.npy}"},
          "'b' has saved predictions, and 'tutti bench' compares how fast models run");
  const std::string stages = "[{model: {kind: fake, classes: 4}}, {model: {kind: fake, classes: 4}}]";
  refused(kTwoFakes, {"members.1={name: b, stages: " + stages + "}"},
          "'b' has 'stages', which the other strategies do not have");
  refused(kTwoFakes, {"combine.rule=none"}, "rule none has no combined predictions to compare");
  refused(kTwoFakes, {"input=null"}, "there are no images to work on");
  refused(kTwoFakes, {"--repeats", "0"}, "'--repeats' cannot be '0'");
  refused(kTwoFakes, {"nonsense=1"}, "unknown key 'nonsense'");
  refused(kTwoFakes, {"--worker", "/none"}, "no worker program at '/none'");
}

TEST_CASE("training needs labels and equal epochs") {
  const auto refused = [](const std::string& override, const std::string& text) {
    const Place place;
    const Compared bench(place, {"--repeats", "1", "--strategies", "multiprocess", "--train", override});
    CHECK(bench.code == 2);
    CHECK(contains(bench.program.err(), text));
  };
  refused("input={dataset: random, count: 20, shape: [1, 4, 4]}", "has no labels to train on");
  refused("members.1.train={epochs: 3}", "--train needs members that train for the same number of epochs");
}

TEST_CASE("a file of rows that cannot be written is reported before anything is measured") {
  const Place place;
  const Compared bench(place, {"--json", "nowhere/rows.jsonl"});
  CHECK(bench.code == 1);
  CHECK(contains(bench.program.err(), "could not write 'nowhere/rows.jsonl'"));
  CHECK_FALSE(contains(bench.program.err(), "round"));
}

TEST_CASE("a folder for the weights of a training that cannot be made is reported") {
  const Place place;
  ProgramOptions options = place.options();
  options.environment.emplace_back("TMPDIR", "/nowhere");
  Program bench(Place::command({"--repeats", "1", "--strategies", "multiprocess", "--train"}), options);
  CHECK(bench.code() == 1);
  CHECK(contains(bench.err(), "could not create a folder like /nowhere/tutti-bench-"));
  CHECK(contains(bench.err(), "set TMPDIR"));
}

TEST_CASE("Ctrl-C ends a process that computes with the program") {
  const Place place;
  Program bench(Place::command({"--repeats", "1"}), place.options("threads=silence"));
  std::vector<int> children;
  // The first strategy with a choice of settings, and so the first process, is the one that never replies.
  REQUIRE(happens([&] { return !(children = children_of(bench.pid())).empty(); }));
  bench.signal(SIGINT);
  CHECK(bench.code() == 130);
  for (const int child : children) CHECK(ends(child));
}

TEST_CASE("a signal while training leaves no folder and no worker") {
  const Place place;
  Program bench(Place::command({"--repeats", "1", "--strategies", "multiprocess", "--train", "train.epochs=1000000"}),
                place.options());
  REQUIRE_FALSE(bench.wait_for_line("training, 0 of 1").empty());
  const std::vector<int> children = children_of(bench.pid());
  CHECK_FALSE(children.empty());
  CHECK(place.names().size() == 2);  // the description, and the folder for the weights
  bench.signal(SIGTERM);
  CHECK(bench.code() == 143);
  for (const int child : children) CHECK(ends(child));
  CHECK(fmt::format("{}", fmt::join(place.names(), " ")) == "e.yaml");
}

/// The program in a separate folder, with `report` next to it as the program that draws.
class Drawn {
 public:
  explicit Drawn(const std::string& report) {
    std::filesystem::copy_file(test::kBenchProgram, place_ / "tutti-bench");
    if (report.empty()) return;
    place_.write("report", "#!/bin/sh\n" + report);
    std::filesystem::permissions(place_ / "report", std::filesystem::perms::owner_all);
  }
  std::vector<std::string> command() const {
    return {(place_ / "tutti-bench").string(),
            "e.yaml",
            "--single",
            test::kPretendSingle,
            "--worker",
            test::kWorkerProgram,
            "--strategies",
            "threads",
            "--repeats",
            "1",
            "--html",
            "page.html"};
  }
  const Place& place() const { return place_; }

 private:
  Place place_;
};

TEST_CASE("a page is drawn of the rows of this run") {
  const Drawn drawn("[ $1 = --check ] || { [ $2 = --html ] && cp $1 $3; }\n");
  Program bench(drawn.command(), drawn.place().options());
  CHECK(bench.code() == 0);
  std::ifstream page(drawn.place() / "page.html");
  std::string row;
  REQUIRE(std::getline(page, row));
  CHECK(parse_json(row, "a row").at("bench") == "strategies");
  CHECK(drawn.place().names().size() == 4);  // the rows themselves went to a folder for a time
}

TEST_CASE("a trace of the pool is written and goes into the page") {
  const Drawn drawn("[ $1 = --check ] || { [ $4 = --trace ] && cp $5 $3; }\n");
  std::vector<std::string> command = drawn.command();
  command.insert(command.end(), {"--trace", "trace.json"});
  Program bench(command, drawn.place().options());
  CHECK(bench.code() == 0);
  CHECK(parse_json(read_text(drawn.place() / "trace.json", "the trace"), "the trace").is_object());
  CHECK(read_text(drawn.place() / "trace.json", "the trace") == read_text(drawn.place() / "page.html", "the page"));
}

TEST_CASE("a trace that cannot be written is reported before anything is measured") {
  const Place place;
  const Compared bench(place, {"--trace", "nowhere/trace.json"});
  CHECK(bench.code == 2);
  CHECK(contains(bench.program.err(), "nowhere/trace.json"));
  CHECK(bench.program.out().empty());
}

TEST_CASE("a page that cannot be drawn is reported before anything is measured") {
  for (const std::string report : {"", "echo 'matplotlib is missing' >&2; exit 1\n"}) {
    const Drawn drawn(report);
    Program bench(drawn.command(), drawn.place().options());
    CHECK(bench.code() == 2);
    CHECK(contains(bench.err(),
                   report.empty() ? "the program report was not found" : "cannot draw a page on this machine"));
    CHECK(contains(bench.err(), report.empty() ? "remove --html" : "matplotlib is missing"));
    CHECK(bench.out().empty());
  }
}

TEST_CASE("a drawing that fails is reported after the table") {
  const Drawn drawn("[ $1 = --check ] || exit 3\n");
  Program bench(drawn.command(), drawn.place().options());
  CHECK(bench.code() == 1);
  CHECK(contains(bench.out(), "same bits"));
  CHECK(contains(bench.err(), "could not draw 'page.html'"));
  CHECK(contains(bench.err(), "exited with code 3"));
}

TEST_CASE("the help names strategies and exit codes") {
  Program help({test::kProgram, "bench", "--help"});
  CHECK(help.code() == 0);
  CHECK(contains(help.out(), "--interference"));
  CHECK(contains(help.out(), "beyond the"));
  Program of_tutti({test::kProgram, "--help"});
  CHECK(of_tutti.code() == 0);
  CHECK(contains(of_tutti.out(), "bench  "));
}

TEST_CASE("without the program tutti-bench the command says so") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(test::kProgram, folder / "tutti");
  Program bench({(folder / "tutti").string(), "bench", "e.yaml"});
  CHECK(bench.code() == 2);
  CHECK(contains(bench.err(), "tutti: the program tutti-bench was not found"));
  CHECK(contains(bench.err(), (folder / "tutti-bench").string()));
  CHECK(contains(bench.err(), "installed next to tutti-worker"));
}

}  // namespace
}  // namespace tutti::test
