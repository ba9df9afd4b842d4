// What is found before anything starts: missing files, no images, places that cannot be written. `tutti plan` with
// measured memory; words in place of options.
#include <doctest/doctest.h>

#include <string>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a plan names every file that is missing before all else and fails") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: torchscript, path: nowhere.pt}}
  - {name: b, model: {kind: fake, classes: 4, weights: b.safetensors}}
assignment: cpu
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
)");
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 2);
  CHECK(
      plan.out().starts_with("missing  a: there is no readable file 'nowhere.pt'\n"
                             "missing  b: there is no readable file 'b.safetensors' (train them first: tutti train)\n"
                             "input "));
  CHECK(contains(plan.err(), "2 files are missing, so the plan cannot be carried out"));
  const Finished without(place, {"plan", "e.yaml", "input={dataset: npy, images: i.npy}"});
  CHECK(without.code == 2);
  CHECK(contains(without.out(), "missing  a: there is no readable file 'nowhere.pt'\n"));
  CHECK(contains(without.out(), "missing  cannot read i.npy"));
}

TEST_CASE("a plan says which members share a worker and which workers share segments") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
  - {name: c, model: {kind: fake, classes: 4}}
assignment: cpu
workers:
  - {members: [a, c], mode: threads}
  - {members: [b], replicas: 2}
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
)");
  const Finished plan(place, {"plan", "e.yaml"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(),
                 "one worker for a, c on cpu: each in a thread of its own\n"
                 "2 replicas of b, which share its segments, on cpu, cpu\n"));
  CHECK(contains(plan.out(), "6 slots"));
  CHECK(
      contains(plan.out(), "the segments of a replica that dies or is late go to the other replicas of its members\n"));
  const Finished run(place, {"run", "e.yaml"});
  CHECK(run.code == 0);
  CHECK(place.report("runs/0001").at_pointer("/members/1/replicas").as_array().size() == 2);
}

TEST_CASE("a plan measures memory by starting every member once and writes nothing") {
  const Workplace place;
  const Finished plan(place, {"plan", "e.yaml", "--measure", "-q"});
  CAPTURE(plan.err());
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "\nmeasured, after 50 images\n"));
  for (const char* part :
       {"B  a\n", "B  b\n", "B  this process with the arena\n", "B  in all (proportional set size)\n"})
    CHECK_MESSAGE(contains(plan.out(), part), part);
  CHECK_FALSE(place.has("runs"));
  const Workplace api("members: [{name: a, model: {kind: fake}}]\nassignment: cpu\ninput: {shape: [1, 4, 4]}\n");
  CHECK(contains(Finished(api, {"plan", "e.yaml", "--measure", "slots=2", "segment_images=10"}).out(),
                 "measured, after 20 images"));
}

TEST_CASE("a plan that measures says the mode that was chosen and saves the description with it") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
assignment: cpu
workers: [{members: [a, b], mode: auto}]
input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4}
)");
  const Finished plan(place, {"plan", "e.yaml", "--measure", "--no-cache", "--save", "chosen.yaml"});
  CAPTURE(plan.err());
  REQUIRE(plan.code == 0);
  CHECK(contains(plan.out(),
                 "note: the worker of a, b: the fastest of loop, threads is chosen at the start; this is "
                 "the plan for the first\n"));
  const std::string chosen = contains(plan.out(), "\n  mode: threads\n") ? "threads" : "loop";
  CHECK(contains(plan.out(), "\nthe worker of a, b: " + chosen + " (measured: loop: "));
  CHECK(contains(plan.out(), "\n  mode: " + chosen + "\n"));
  CHECK(contains(plan.out(), "\nwritten, with these forms: chosen.yaml\n"));
  CHECK(contains(place.read("chosen.yaml"), "mode: " + chosen));
  CHECK_FALSE(contains(place.read("chosen.yaml"), "mode: auto"));
  CHECK(Finished(place, {"run", "chosen.yaml"}).code == 0);
  const Finished nowhere(place, {"plan", "e.yaml", "--measure", "--save", "nowhere/chosen.yaml"});
  CHECK(nowhere.code == 1);
  CHECK(contains(nowhere.err(), "nowhere"));
  CHECK(nowhere.out().empty());  // before anything was started
}

TEST_CASE("a plan for no images is a warning and a run or a training of none is an error before anything starts") {
  const Workplace place;
  const Finished plan(place, {"plan", "e.yaml", "input.limit=0"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.err(), "has no images, so there is nothing to predict; see 'limit' and 'count' of its 'input'"));
  const Finished run(place, {"run", "e.yaml", "input.limit=0"});
  CHECK(run.code == 2);
  CHECK(run.err() ==
        "tutti: there are no images to predict\n  detail: random, limited to 0\n  hint: see 'limit' and 'count' of "
        "'input'\n");
  place.write("a.safetensors", "trained for days");
  const Finished train(place, {"train", "e.yaml", "members.0.model.weights=a.safetensors",
                               "train.input={dataset: random, count: 0, shape: [1, 4, 4], classes: 4}"});
  CHECK(train.code == 2);
  CHECK(
      train.err() ==
      "tutti: there are no images to train on\n  detail: random\n  hint: see 'limit' and 'count' of 'train.input', or "
      "of 'input' if there is none\n");
  CHECK(place.read("a.safetensors") == "trained for days");
  const Finished skipped(place, {"run", "e.yaml", "input.skip=50"});
  CHECK(skipped.code == 2);
  CHECK(contains(skipped.err(), "'skip: 50' leaves no images"));
}

TEST_CASE("members that cannot be trained are all named before anything starts") {
  const Workplace place(
      "members:\n  - {name: a, model: {kind: fake}}\n  - {name: b, model: {kind: torchscript, path: m.pt}}\n"
      "  - {name: c, model: {kind: aoti, path: m.pt}}\nassignment: cpu\ninput: {dataset: digits}\n");
  place.write("m.pt", "never opened");
  const Finished train(place, {"train", "e.yaml"});
  CHECK(train.code == 2);
  CHECK(contains(train.err(), "tutti: 2 members cannot be trained\n  detail: b (torchscript), c (aoti)\n"));
  CHECK_FALSE(contains(train.err(), "starting"));
}

TEST_CASE("weights that cannot be written are found before anything starts") {
  const Workplace place;
  place.write("file", "x");
  std::filesystem::create_directory(place / "taken");
  for (const auto& [weights, why] : {std::pair{"file/a.st", "file is not a folder"}, {"taken", "it is a folder"}}) {
    const Finished train(place, {"train", "e.yaml", std::string("members.1.model.weights=") + weights});
    CHECK(train.code == 2);
    CHECK(contains(train.err(), std::string("tutti: b: cannot write the weights to ") + weights + "\n  detail: "));
    CHECK(contains(train.err(), why));
    CHECK_FALSE(contains(train.err(), "starting"));
  }
}

TEST_CASE("an output folder that cannot be written is found before anything starts") {
  const Workplace place;
  place.write("file", "x");
  for (const char* command : {"run", "train", "evaluate"}) {
    CAPTURE(command);
    const Finished below(place, {command, "e.yaml", "output=file/below"});
    CHECK(below.code == 2);
    CHECK(
        below.err() ==
        "tutti: cannot write results to file/below\n  detail: file is not a folder\n  hint: choose another folder with "
        "'output'\n");
  }
}

TEST_CASE("help and version are also words") {
  const Workplace place;
  const Finished help(place, {"help", "run"});
  CHECK(help.code == 0);
  CHECK(contains(help.out(), "--dry-run"));
  CHECK(Finished(place, {"help"}).out() == Finished(place, {"--help"}).out());
  CHECK(Finished(place, {"version"}).out() == Finished(place, {"--version"}).out());
  CHECK(contains(Finished(place, {"help", "bench"}).out(), "--interference"));
  CHECK(contains(Finished(place, {"help", "rnu"}).err(), "did you mean 'run'?"));
}

}  // namespace
}  // namespace tutti::test
