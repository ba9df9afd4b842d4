// One run folder, several commands: one at a time, and afterwards it holds the results of the last one.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

/// A description that every command accepts; the weights exist once it was trained.
const std::string kAll = R"(
members:
  - {name: a, model: {kind: fake, classes: 4, weights: a.safetensors}}
  - {name: b, model: {kind: fake, classes: 4, weights: b.safetensors}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
merge: {method: average}
)";

struct Trained : Workplace {
  Trained() : Workplace(kAll) { REQUIRE(Finished(*this, {"train", "e.yaml", "-q", "output=trained"}).code == 0); }
  bool has_all(const Words& names) const {
    return std::ranges::all_of(names, [&](const std::string& name) { return has("out/" + name); });
  }
  bool has_any(const Words& names) const {
    return std::ranges::any_of(names, [&](const std::string& name) { return has("out/" + name); });
  }
};

/// The files of a run that writes everything that it can.
const Words kRunFiles{"predictions.npy", "predicted.npy", "predictions.csv", "labels.npy",
                      "members/a.npy",   "members/b.npy", "disagreement.npy"};
const Words kRunAll{"run", "e.yaml", "-q", "output=out", "save_members=true", "--rules", "mean,vote"};

TEST_CASE("a command does not write into a folder that another one is writing into") {
  const Trained place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=saved", "save_members=true"}).code == 0);
  const std::string hangs = "members.1.model.faults=[{kind: hang, phase: predict, at_batch: 4}]";
  for (const char* command : {"run", "evaluate"}) {
    CAPTURE(command);
    Program first(Workplace::command({command, "e.yaml", "output=out", "slots=1", "progress_deadline_s=off", hangs}),
                  place.options());
    REQUIRE_FALSE(first.wait_for_line(" %").empty());
    for (const Words& words : {Words{"run", "e.yaml", "output=out"}, Words{"run", "e.yaml", "output=out", "--resume"},
                               Words{"evaluate", "e.yaml", "output=out"}, Words{"train", "e.yaml", "output=out"},
                               Words{"merge", "e.yaml", "output=out"}, Words{"combine", "saved", "-o", "out"}}) {
      // Only a run keeps a journal to be resumed.
      if (words.back() == "--resume" && std::string(command) != "run") continue;
      CAPTURE(words.front());
      const Finished second(place, words);
      CHECK(second.code == 2);
      CHECK(contains(second.err(),
                     "tutti: another tutti is writing into out\n  detail: it holds the lock of this "
                     "folder\n  hint: wait until it ends, or choose another run folder\n"));
      CHECK_FALSE(contains(second.err(), "workers"));
    }
    first.signal(SIGKILL);
    CHECK(first.code() == 128 + SIGKILL);
    std::filesystem::remove(place / "out/journal");
    // The lock ended with its process.
    CHECK(Finished(place, {"evaluate", "e.yaml", "-q", "output=out"}).code == 0);
  }
}

TEST_CASE("each command removes the results of the one before and leaves weights and other files") {
  const Trained place;
  std::filesystem::create_directory(place / "out");
  place.write("out/notes.txt", "mine");
  for (const Words& next : {Words{"run", "e.yaml", "combine={rule: max, over: logits}"}, Words{"evaluate", "e.yaml"},
                            Words{"train", "e.yaml"}}) {
    CAPTURE(next.front());
    REQUIRE(Finished(place, kRunAll).code == 0);
    REQUIRE(place.has_all(kRunFiles));
    place.write("out/a.safetensors", "weights");
    Words words = next;
    words.emplace_back("output=out");
    const Finished second(place, words);
    CAPTURE(second.err());
    CHECK(second.code == 0);
    CHECK(contains(second.err(), "info removed 8 files from out: results of an earlier 'tutti run'\n"));
    CHECK(place.report("out").at("command").as_string() == next.front());
    CHECK_FALSE(place.has_any({"members", "labels.npy"}));
    CHECK(place.has("out/predictions.npy") == (next.front() == "run"));
    CHECK(place.has("out/disagreement.npy") == (next.front() == "evaluate"));
    CHECK(place.has_all({"notes.txt", "a.safetensors"}));
    std::filesystem::remove(place / "out/a.safetensors");
  }
}

TEST_CASE("a combination removes those of an earlier one and keeps what it combines") {
  const Trained place;
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=saved", "save_members=true"}).code == 0);
  REQUIRE(Finished(place, {"combine", "saved", "-q", "-o", "out", "--rules", "mean,vote"}).code == 0);
  REQUIRE(place.has_all({"mean/predictions.npy", "vote/predicted.npy"}));
  REQUIRE(Finished(place, {"combine", "saved", "-q", "-o", "out", "--rules", "max"}).code == 0);
  CHECK_FALSE(place.has_any({"mean", "vote"}));
  CHECK(place.has_all({"max/predictions.npy", "disagreement.npy", "report.json"}));
  // What it reads is in a folder with results of the same names.
  const std::string tasks = "tasks=[{name: t, input: {dataset: random, count: 20, shape: [1, 4, 4], classes: 4}}]";
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=two", "save_members=true", tasks}).code == 0);
  for (int time = 0; time < 2; ++time) CHECK(Finished(place, {"combine", "two", "-q", "-o", "two/tasks/t"}).code == 0);
  CHECK(place.has("two/tasks/t/members/a.npy"));
  // Or below.
  std::filesystem::rename(place / "saved", place / "out/vote");
  REQUIRE(Finished(place, {"combine", "out/vote", "-q", "-o", "out", "--rules", "mean"}).code == 0);
  CHECK(place.has_all({"vote/members/a.npy", "vote/labels.npy", "vote/predictions.npy", "mean/predictions.npy"}));
}

TEST_CASE("a merge with tasks removes the evaluation of an earlier result and nothing of a merge without") {
  const Trained place;
  const std::string tasks = "tasks=[{name: t, input: {dataset: random, count: 20, shape: [1, 4, 4], classes: 4}}]";
  REQUIRE(Finished(place, kRunAll).code == 0);
  REQUIRE(Finished(place, {"merge", "e.yaml", "-q", "output=out"}).code == 0);
  CHECK(place.has_all(kRunFiles));
  CHECK(place.has_all({"merged.safetensors", "merge.json"}));
  REQUIRE(Finished(place, {"merge", "e.yaml", "-q", "output=out", tasks}).code == 0);
  CHECK_FALSE(place.has_any(kRunFiles));
  CHECK(place.has_all({"merged.safetensors", "merge.json", "report.json", "tasks.svg", "tasks/t/disagreement.npy"}));
  // The result is a new one, even if its evaluation does not start.
  REQUIRE(Finished(place, {"merge", "e.yaml", "-q", "output=out", tasks, "on_worker_failure=fail",
                           "members.0.model.faults=[{kind: kill, phase: load}]"})
              .code == 1);
  CHECK_FALSE(place.has_any({"report.json", "tasks", "tasks.svg"}));
  REQUIRE(Finished(place, {"merge", "e.yaml", "-q", "output=out", tasks}).code == 0);
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=out"}).code == 0);
  CHECK_FALSE(place.has_any({"tasks", "tasks.svg"}));
  CHECK(place.has_all({"merged.safetensors", "merge.json", "report.json", "disagreement.npy"}));
}

TEST_CASE("a command that is refused or does not start removes nothing") {
  const Trained place;
  REQUIRE(Finished(place, kRunAll).code == 0);
  const std::string report = place.read("out/report.json");
  CHECK(Finished(place, {"run", "e.yaml", "-q", "output=out", "members.0.model.weights=none.st"}).code == 2);
  CHECK(Finished(place, {"evaluate", "e.yaml", "-q", "output=out", "--rules", "men"}).code == 2);
  CHECK(Finished(place, {"run", "e.yaml", "-q", "output=out", "on_worker_failure=fail",
                         "members.0.model.faults=[{kind: kill, phase: load}]"})
            .code == 1);
  // An error that only shows once the models are loaded.
  const Finished widths(place, {"evaluate", "e.yaml", "-q", "output=out",
                                "tasks=[{name: t, classes: [a, b, c, d, e], input: {dataset: random, count: 20, "
                                "shape: [1, 4, 4], classes: 4}}]"});
  CHECK(widths.code == 2);
  CHECK(contains(widths.err(), "task 't' names 5 classes, but 'a' outputs 4"));
  CHECK(place.has_all(kRunFiles));
  CHECK(place.read("out/report.json") == report);
}

TEST_CASE("the next command removes what a killed evaluation has left") {
  const Trained place;
  Program program(Workplace::command({"evaluate", "e.yaml", "output=out", "members.0.model.delay_ms=100",
                                      "input.count=20000", "save_members=true"}),
                  place.options());
  REQUIRE(happens([&] { return place.has("out/report.json"); }));
  program.signal(SIGKILL);
  CHECK(program.code() == 128 + SIGKILL);
  CHECK(place.report("out").at("completed") == false);
  const Finished combined(place, {"combine", "out"});
  CHECK(combined.code == 2);
  CHECK(contains(combined.err(), "the run in it did not complete"));
  const Finished next(place, {"evaluate", "e.yaml", "output=out"});
  CHECK(next.code == 0);
  CHECK(contains(next.err(), "results of an earlier 'tutti evaluate'"));
  CHECK(place.report("out").at("completed") == true);
}

TEST_CASE("a command that fails leaves no results of the one before") {
  const Trained place;
  REQUIRE(Finished(place, kRunAll).code == 0);
  CHECK(Finished(place, {"evaluate", "e.yaml", "-q", "output=out", "on_worker_failure=fail",
                         "members.0.model.faults=[{kind: kill, phase: predict, at_batch: 1}]"})
            .code == 1);
  CHECK_FALSE(place.has_any(kRunFiles));
  CHECK(place.report("out").at("command") == "evaluate");
  CHECK(place.report("out").at("completed") == false);
}

TEST_CASE("arrays that a command reads from its own run folder stay") {
  const Trained place;
  REQUIRE(Finished(place, kRunAll).code == 0);
  const std::string labels = place.read("out/labels.npy");
  // Four outputs for each image become the four values of one.
  std::string npy = place.read("out/predictions.npy");
  const std::size_t shape = npy.find("(50, 4), }");
  REQUIRE(shape != npy.npos);
  npy.replace(shape, 16, "(50, 1, 2, 2), }");
  place.write("images.npy", npy);
  const std::string input = "{dataset: npy, images: images.npy, labels: out/labels.npy, classes: 4}";
  const Finished held(place, {"evaluate", "e.yaml", "-q", "output=out",
                              "tasks=[{name: t, input: {dataset: random, count: 20, shape: [1, 2, 2], classes: 4}, "
                              "held_out: " +
                                  input + "}]"});
  CAPTURE(held.err());
  CHECK(held.code == 0);
  CHECK(place.read("out/labels.npy") == labels);
  CHECK_FALSE(place.has("out/members"));
  const Finished again(place, {"run", "e.yaml", "-q", "output=out", "input=" + input});
  CAPTURE(again.err());
  CHECK(again.code == 0);
  CHECK(place.read("out/labels.npy") == labels);
}

TEST_CASE("a run that is resumed removes nothing") {
  const Trained place;
  REQUIRE(Finished(place, kRunAll).code == 0);
  const std::string csv = place.read("out/predictions.csv");
  const Words failing{"run",
                      "e.yaml",
                      "-q",
                      "output=out",
                      "save_members=true",
                      "slots=1",
                      "on_worker_failure=fail",
                      "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"};
  REQUIRE(Finished(place, failing).code == 1);
  CHECK_FALSE(place.has("out/disagreement.npy"));
  place.write("out/disagreement.npy", "kept");
  REQUIRE(place.has("out/report.json"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=out", "save_members=true", "--resume"}).code == 0);
  CHECK(place.read("out/disagreement.npy") == "kept");
  CHECK(place.read("out/predictions.csv") == csv);
}

}  // namespace
}  // namespace tutti::test
