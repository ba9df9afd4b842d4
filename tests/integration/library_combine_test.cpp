// tutti::combine(): saved predictions give the bytes and the report of `tutti combine`.
#include <doctest/doctest.h>

#include <tutti/combine.hpp>

#include "tests/integration/labelled_runs.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

/// A run in `saved` that has kept what its members predicted, and what `tutti combine` makes of it in `c`.
struct Kept {
  explicit Kept(const std::string& rules) {
    REQUIRE(Finished(place, {"run", "e.yaml", "-q", "save_members=true", "output=saved"}).code == 0);
    REQUIRE(Finished(place, {"combine", "saved", "-q", "-o", "c", "--rules", rules}).code == 0);
  }
  std::string path(const std::string& name) const { return (place / name).string(); }
  Workplace place;
};

TEST_CASE("the library and the program combine a run to the same bytes") {
  const Kept kept("mean,vote");
  const Combined found = combine(kept.place / "saved", {.rules = "mean,vote", .output = kept.place / "mine"});
  CHECK(different_results(kept.place, "c", "mine").empty());
  CHECK(found.folder == kept.place / "mine");
  const json::value theirs = kept.place.report("c");
  const json::value mine = parse_json(found.json, "the report");
  CHECK(mine.at("completed") == true);
  CHECK(mine.at("evaluation").at("models") == theirs.at("evaluation").at("models"));
  CHECK(kept.place.report("mine").at("evaluation") == mine.at("evaluation"));
  REQUIRE(found.tasks.size() == 1);
  const CombinedTask& task = found.tasks.front();
  CHECK(task.folder == found.folder);
  CHECK(task.images == 50);
  REQUIRE(task.rows.size() == 4);
  CHECK(task.rows[0].name == "a");
  CHECK(task.rows[3].name == "vote");
  CHECK(task.rows[3].ensemble);
  CHECK(task.rows[3].figure("accuracy") ==
        theirs.at("evaluation").at("models").at(3).at("average").at("accuracy").as_double());
  CHECK(contains(found.table, "ensemble vote"));
}

TEST_CASE("each rule has a table with the columns that were asked for, and none otherwise") {
  const Kept kept("mean");
  CHECK_FALSE(kept.place.has("c/mean/predictions.csv"));
  REQUIRE(
      Finished(kept.place, {"combine", "saved", "-q", "-o", "t", "--csv", "id,label", "--rules", "mean,vote"}).code ==
      0);
  combine(kept.place / "saved", {.rules = "mean,vote", .csv = "id,label", .output = kept.place / "mine"});
  CHECK(kept.place.read("mine/vote/predictions.csv").starts_with("id,label\n0,"));
  CHECK(different_results(kept.place, "t", "mine").empty());
  CHECK(message_of([&] { combine(kept.place / "saved", {.csv = "lable", .output = kept.place / "wrong"}); }) ==
        "--csv: there is no column 'lable'");
  CHECK_FALSE(kept.place.has("wrong"));
}

TEST_CASE("a description names the run, and its rule and weights count") {
  const Kept kept("mean");
  const std::string text = kept.place.read("e.yaml") + "output: " + kept.path("saved") + "\n";
  const Spec spec = parse_spec(text, {"combine.rule=weighted", "members.1.weight=3"});
  const Combined found = combine(spec, {.output = kept.place / "mine"});
  CHECK(found.tasks.front().rows.back().name == "weighted");
  REQUIRE(Finished(kept.place, {"combine", "saved", "-q", "-o", "w", "--rules", "weighted", "--weights", "1,3"}).code ==
          0);
  CHECK(different_results(kept.place, "w", "mine").empty());
  CHECK(message_of([&] { combine(spec, {.settings = {"seed=1"}}); }) ==
        "the settings of a description belong to where it is read");
  CHECK(message_of([&] { combine(parse_spec(kTwoFakes), {}); }) ==
        "the description does not say where its run was written");
}

TEST_CASE("arrays are combined with labels and settings") {
  const Kept kept("mean");
  const SavedPredictions arrays{{{kept.path("saved/members/a.npy"), "first"}, {kept.path("saved/members/b.npy")}},
                                kept.path("saved/labels.npy")};
  const Combined found = combine(arrays, {.rules = "max", .settings = {"on_nan=allow"}, .output = kept.place / "mine"});
  CHECK(found.tasks.front().rows[0].name == "first");
  CHECK(found.tasks.front().rows[1].name == "b");
  CHECK(found.tasks.front().rows[2].figure("accuracy"));
  CHECK(message_of([] { combine(SavedPredictions{}, {}); }) == "--predictions names no array");
  CHECK(message_of([&] {
          combine(SavedPredictions{{{kept.path("saved/members/a.npy"), "../a"}}}, {});
        }) == "'../a' is not a name of a member");
}

TEST_CASE("a combination that is stopped or cannot be done writes nothing") {
  const Kept kept("mean");
  std::stop_source stop;
  stop.request_stop();
  const auto stopped =
      error_of([&] { combine(kept.place / "saved", {.output = kept.place / "mine", .stop = stop.get_token()}); });
  REQUIRE(stopped);
  CHECK(stopped->kind() == ErrorKind::interrupted);
  CHECK(stopped->detail() == "nothing was written");
  CHECK_FALSE(kept.place.has("mine"));
  CHECK(contains(message_of([&] { combine(kept.place / "saved", {.rules = "mena", .output = kept.place / "mine"}); }),
                 "mena"));
  CHECK(message_of([&] { combine(kept.place / "saved", {.output = kept.place / "saved"}); }) ==
        "the results would replace the ones that are being combined");
  for (const std::string name : {"none", "e.yaml"})
    CHECK(message_of([&] { combine(kept.place / name, {}); }) ==
          "'" + kept.path(name) + "' is not the folder of a run");
  CHECK(message_of([] { combine(SavedPredictions{{{}}}, {}); }) == "an array of predictions has no file");
  CHECK_FALSE(kept.place.has("mine"));
}

}  // namespace
}  // namespace tutti::test
