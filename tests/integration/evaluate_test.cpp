// `tutti evaluate` and `tutti run --rules` as users run them: reports, tables, pictures and errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/program/made_heads.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

const std::string kTwoTasks = kTwoFakes + R"(
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}}
  - {name: u, input: {dataset: random, count: 70, shape: [1, 4, 4], classes: 3, seed: 4}}
)";

/// Members that output two features, with heads of three and two classes.
struct WithHeads {
  explicit WithHeads(const std::string& more = "") : place(text() + more) {
    write_head(place / "three.st", 3, 2, {1, 0, 0, 1, -1, -1}, {{"tower", "made"}});
    write_head(place / "two.st", 2, 2, {1, 0, 0, 1});
  }
  static std::string text() {
    return R"(
members:
  - {name: a, model: {kind: fake, classes: 2}, output: features}
  - {name: b, model: {kind: fake, classes: 2}, output: features}
assignment: cpu
combine: {over: features}
segment_images: 20
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 3, seed: 3}, head: three.st}
  - {name: u, input: {dataset: random, count: 30, shape: [1, 4, 4], classes: 2, seed: 4}, head: two.st, classes: [x, y]}
)";
  }
  Workplace place;
};

const json::value& row(const json::value& report, std::size_t number) {
  return report.at("evaluation").at("models").at(number);
}

TEST_CASE("a run evaluates all rules of the list in one pass") {
  const Workplace place;
  const Finished run(place, {"run", "e.yaml", "--rules", "mean,weighted,max,vote"});
  REQUIRE(run.code == 0);
  for (const char* name :
       {"ensemble mean", "ensemble weighted", "ensemble max", "ensemble vote", "members disagree on"})
    CHECK(contains(run.out(), name));
  const json::value report = place.report();
  CHECK(report.at("counts").at("segments_handed_out") == 6);
  REQUIRE(report.at("evaluation").at("models").as_array().size() == 6);
  CHECK(row(report, 0).at("name") == "a");
  CHECK(row(report, 0).at("tasks").at("random").at("accuracy") == report.at("members").at(0).at("accuracy"));
  CHECK(row(report, 2).at("rule") == "mean");
  CHECK(row(report, 2).at("average").at("loss") == report.at("ensemble").at("loss"));
  CHECK(row(report, 2).at("average").at("calibration_error") == report.at("ensemble").at("calibration_error"));
  CHECK(row(report, 5).at("tasks").at("random").at("images") == 50);
  CHECK(contains(place.read("runs/0001/disagreement.npy").substr(0, 128), "'shape': (50, 4)"));
  CHECK(report.at("evaluation").at("tasks").at(0).at("disagreement").at("images") == 50);
  // Each rule gives what a run by that rule gives.
  for (std::size_t number = 0; number < 4; ++number) {
    const std::string rule(row(report, 2 + number).at("rule").as_string());
    REQUIRE(Finished(place, {"run", "e.yaml", "combine.rule=" + rule, "output=" + rule}).code == 0);
    CAPTURE(rule);
    CHECK(row(report, 2 + number).at("average").at("accuracy") == place.report(rule).at("ensemble").at("accuracy"));
    CHECK(row(report, 2 + number).at("average").at("loss") == place.report(rule).at("ensemble").at("loss"));
  }
}

TEST_CASE("without a list of rules a run evaluates none and writes no disagreement") {
  const Workplace place;
  REQUIRE(Finished(place, {"run", "e.yaml"}).code == 0);
  CHECK(place.report().at("evaluation").is_null());
  CHECK_FALSE(place.has("runs/0001/disagreement.npy"));
}

TEST_CASE("rules that do not fit are refused with code 2 before anything is started") {
  const Workplace place;
  const Finished wrong(place, {"run", "e.yaml", "--rules", "men"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err(), "did you mean 'mean'?"));
  CHECK_FALSE(place.has("runs"));
  const WithHeads features;
  const Finished run(features.place, {"run", "e.yaml", "input.dataset=random", "input.count=5", "input.shape=[1, 4, 4]",
                                      "--rules", "mean"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(), "--rules: features cannot be evaluated without classes"));
}

TEST_CASE("every task goes through one pool and gives a column of the report") {
  const Workplace place(kTwoTasks);
  const Finished evaluated(place, {"evaluate", "e.yaml", "--rules", "mean,vote", "--picture", "p.svg"});
  REQUIRE(evaluated.code == 0);
  CHECK(contains(evaluated.out(), "average"));
  CHECK(contains(evaluated.out(), "report: runs/0001/report.json"));
  const json::value report = place.report();
  CHECK(report.at("command") == "evaluate");
  CHECK(report.at("completed") == true);
  CHECK(report.at("ensemble").is_null());
  CHECK(report.at("members").as_array().size() == 2);
  CHECK(report.at("members").at(0).at("images") == 120);
  CHECK(report.at("counts").at("images") == 120);
  CHECK(report.at("phases").at("predict").is_double());
  CHECK(report.at("memory").at("pss_bytes_family").is_number());
  const json::value& tasks = report.at("evaluation").at("tasks");
  CHECK(tasks.at(0).at("name") == "t");
  CHECK(tasks.at(1).at("images") == 70);
  CHECK(row(report, 3).at("model_info") ==
        json::object{{"trainable_params", 8}, {"all_params", 8}, {"trainable_percentage", 1.0}});
  const double t = row(report, 2).at("tasks").at("t").at("accuracy").as_double();
  const double u = row(report, 2).at("tasks").at("u").at("accuracy").as_double();
  CHECK(row(report, 2).at("average").at("accuracy").as_double() == doctest::Approx((t + u) / 2));
  CHECK(contains(place.read("p.svg"), "</svg>"));
  CHECK(place.has("runs/0001/tasks/u/disagreement.npy"));
  CHECK_FALSE(place.has("runs/0001/tasks/u/members"));
  // A task gives the same as a run on its images.
  REQUIRE(Finished(place, {"run", "e.yaml", "output=r"}).code == 0);
  CHECK(row(report, 2).at("tasks").at("t").at("loss") == place.report("r").at("ensemble").at("loss"));
}

TEST_CASE("without tasks the input is evaluated by the rule of the description") {
  const Workplace place;
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "combine.rule=max", "-q"}).code == 0);
  const json::value report = place.report();
  CHECK(report.at("evaluation").at("tasks").as_array().size() == 1);
  CHECK(row(report, 2).at("rule") == "max");
  CHECK(place.has("runs/0001/disagreement.npy"));
}

TEST_CASE("the rule none evaluates each member by itself and the classes may differ") {
  const Workplace place(kTwoFakes);
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "combine.rule=none", "members.1.model.classes=5", "-q"}).code == 0);
  CHECK(place.report().at("evaluation").at("models").as_array().size() == 2);
  // Outputs with different classes cannot be compared: no image has a figure.
  const json::value report = place.report();
  CHECK(report.at("evaluation").at("tasks").at(0).at("disagreement").is_null());
}

TEST_CASE("heads turn combined features into classes and rules that need classes are applied after them") {
  const WithHeads heads;
  const Finished evaluated(heads.place, {"evaluate", "e.yaml", "--rules", "mean,max,vote"});
  REQUIRE(evaluated.code == 0);
  const json::value report = heads.place.report();
  CHECK(report.at("evaluation").at("tasks").at(0).at("head") == "three.st");
  CHECK(report.at("evaluation").at("tasks").at(0).at("classes") == 3);
  CHECK(row(report, 2).at("over") == "features");
  CHECK(row(report, 4).at("over") == "probabilities");
  for (std::size_t number = 0; number < 5; ++number)
    for (const char* task : {"t", "u"}) CHECK(row(report, number).at("tasks").at(task).at("accuracy").is_double());
}

TEST_CASE("a merged model is evaluated next to the members and is not part of the ensemble") {
  const Workplace place(kTwoTasks);
  const std::vector<float> bias{9, 0, 0, 0};
  merge::test::write(place / "m.st", {merge::test::f32("bias", {4}, bias)});
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=without"}).code == 0);
  REQUIRE(
      Finished(place, {"evaluate", "e.yaml", "-q", "output=with", "--merged", "m.st", "--merged", "soup=m.st"}).code ==
      0);
  const json::value with = place.report("with");
  REQUIRE(with.at("evaluation").at("models").as_array().size() == 5);
  CHECK(row(with, 2).at("name") == "merged");
  CHECK(row(with, 2).at("role") == "merged");
  CHECK(with.at("members").at(2).at("role") == "merged");
  CHECK(with.at("members").at(1).at("role") == "member");
  CHECK(row(with, 3).at("name") == "soup");
  CHECK(row(with, 3).at("tasks") == row(with, 2).at("tasks"));
  CHECK(row(with, 4).at("tasks") == row(place.report("without"), 2).at("tasks"));
  CHECK(different_results(place, "with", "without").empty());
  const Finished missing(place, {"evaluate", "e.yaml", "--merged", "none.st"});
  CHECK(missing.code == 2);
  CHECK(contains(missing.err(), "merged: there is no readable file 'none.st'"));
  CHECK(contains(missing.err(), "named by --merged; relative paths start at the current folder"));
  CHECK(contains(missing.err(), "hint: 'tutti merge' writes one"));
  const Finished base(place, {"evaluate", "e.yaml", "base={kind: fake, classes: 4, weights: none.st}"});
  CHECK(base.code == 2);
  CHECK(contains(base.err(), "base: there is no readable file 'none.st'"));
  CHECK(contains(base.err(), "named by the 'weights' of 'base'"));
  CHECK_FALSE(contains(base.err(), "tutti train"));
}

TEST_CASE("a merge of a description with tasks is evaluated next to base and members and ensemble") {
  const Workplace place(R"(
members:
  - {name: a, model: {kind: fake, classes: 4, weights: a.st}}
  - {name: b, model: {kind: fake, classes: 4, weights: b.st}}
assignment: cpu
base: {kind: fake, classes: 4, weights: base.st}
merge: {method: average}
output: out
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}}
  - {name: u, input: {dataset: random, count: 70, shape: [1, 4, 4], classes: 3, seed: 4}}
)");
  const auto write_bias = [&](const char* name, const std::vector<float>& bias) {
    merge::test::write(place / name, {merge::test::f32("bias", {4}, bias)});
  };
  write_bias("base.st", {0, 0, 0, 0});
  write_bias("a.st", {9, 0, 0, 0});
  write_bias("b.st", {0, 9, 0, 0});
  const Finished merged(place, {"merge", "e.yaml"});
  REQUIRE(merged.code == 0);
  CHECK(contains(merged.out(), "ensemble mean"));
  for (const char* file : {"out/merged.safetensors", "out/merge.json", "out/report.json", "out/tasks.svg"})
    CHECK(place.has(file));
  const json::value report = place.report("out");
  REQUIRE(report.at("evaluation").at("models").as_array().size() == 5);
  constexpr std::array<std::string_view, 5> names{"a", "b", "base", "merged", "mean"};
  for (std::size_t number = 0; number < names.size(); ++number)
    CHECK(row(report, number).at("name").as_string() == names[number]);
  // The average gives what a run of it by itself gives.
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=alone",
                           "members=[{name: m, model: {kind: fake, classes: 4, weights: out/merged.safetensors}}]"})
              .code == 0);
  CHECK(row(report, 3).at("tasks") == row(place.report("alone"), 0).at("tasks"));
  CHECK_FALSE(row(report, 2).at("tasks") == row(report, 3).at("tasks"));
  // An error in a task is reported before anything is merged.
  const Finished wrong(place, {"merge", "e.yaml", "output=again", "tasks.1.input.shape=[1, 4, 5]"});
  CHECK(wrong.code == 2);
  const Finished twin(place, {"merge", "e.yaml", "output=again", "members.0.name=merged"});
  CHECK(twin.code == 2);
  CHECK(contains(twin.err(), "two models are called 'merged': a member and a merged one"));
  CHECK_FALSE(place.has("again"));
}

TEST_CASE("inputs that do not fit together are refused with code 2") {
  const WithHeads heads;
  const auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"evaluate", "e.yaml", "-q"});
    const Finished evaluated(heads.place, more);
    CHECK(evaluated.code == 2);
    return evaluated.err();
  };
  CHECK(contains(refused({"tasks.0.input.shape=[1, 4, 5]"}), "task 't' has images of 1x4x5, task 'u' of 1x4x4"));
  CHECK(contains(refused({"tasks.0.head=none.st"}), "none.st"));
  CHECK(contains(refused({"members.0.model.classes=5", "members.1.model.classes=5"}),
                 "the head of task 't' takes 2 features, but 'a' outputs 5"));
  CHECK(contains(refused({"--picture", "p.png"}), "cannot draw p.png"));
  CHECK(contains(refused({"tasks.1.input.classes=3", "tasks.1.classes=[x, y, z]"}),
                 "task 'u' names 3 classes, but its head has 2"));
  write_head(heads.place / "other.st", 2, 2, {1, 0, 0, 1}, {{"tower", "another"}});
  CHECK(contains(refused({"tasks.1.head=other.st"}), "were made with different text towers"));
  CHECK_FALSE(heads.place.has("p.png"));
}

TEST_CASE("a member that is lost degrades the evaluation, which says where and ends with code 3") {
  const Workplace place(kTwoTasks);
  const Finished evaluated(place, {"evaluate", "e.yaml", "on_worker_failure=degrade", "restarts={limit: 0}",
                                   "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"});
  CHECK(evaluated.code == 3);
  CHECK(contains(evaluated.out(), "b is missing from images"));
  CHECK(contains(evaluated.out(), "; it is absent: "));
  const json::value report = place.report();
  CHECK(report.at("completed") == true);
  const json::value& incomplete = report.at("evaluation").at("tasks").at(1).at("incomplete").at(0);
  CHECK(incomplete.at("first") == 0);
  CHECK(incomplete.at("count") == 70);
  CHECK(incomplete.at("absent") == json::array{"b"});
  CHECK(row(report, 1).at("tasks").at("u").at("images") == 0);
  CHECK(row(report, 2).at("tasks").at("u").at("images") == 70);
  CHECK(row(report, 2).at("tasks").at("u").at("loss") == row(report, 0).at("tasks").at("u").at("loss"));
}

TEST_CASE("a task that fails says which it is and the tasks before it stay in the report") {
  const Workplace place(kTwoTasks);
  const Finished evaluated(place, {"evaluate", "e.yaml", "-q", "on_worker_failure=fail",
                                   "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 12}]"});
  CHECK(evaluated.code == 1);
  CHECK(contains(evaluated.err(), "task 'u': "));
  const json::value report = place.report();
  CHECK(report.at("completed") == false);
  CHECK(report.at("evaluation").at("tasks").at(0).at("images") == 50);
  CHECK(row(report, 1).at("tasks").at("t").at("images") == 50);
  CHECK(evaluated.out().empty());
}

TEST_CASE("each task gets a table of the ensemble's predictions by the first rule") {
  const Workplace place(kTwoTasks);
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "--rules", "max,mean", "tasks.0.classes=[w, x, y, z]"}).code ==
          0);
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r", "combine.rule=max"}).code == 0);
  const std::string table = place.read("runs/0001/tasks/t/predictions.csv");
  CHECK(table.starts_with("image,label,class_1,score_1,class_2,"));
  // The same as that of a run, except for the names.
  std::string named = place.read("r/predictions.csv");
  std::string plain;
  for (std::size_t at = 0; at < table.size(); ++at) {
    const bool field = table[at] >= 'w' && table[at] <= 'z' && table[at - 1] == ',';
    plain += field ? static_cast<char>(table[at] - 'w' + '0') : table[at];
  }
  CHECK(plain == named);
  CHECK(table != named);
  CHECK(place.read("runs/0001/tasks/u/predictions.csv").starts_with("image,label,class_1,"));
  CHECK_FALSE(place.has("runs/0001/predictions.csv"));
  // Nothing is combined, so there is no prediction to show.
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "output=none", "combine.rule=none"}).code == 0);
  CHECK_FALSE(place.has("none/tasks/t/predictions.csv"));
}

TEST_CASE("behind a head the table has its classes and their probabilities") {
  const WithHeads heads;
  REQUIRE(Finished(heads.place, {"evaluate", "e.yaml", "-q"}).code == 0);
  const std::string table = heads.place.read("runs/0001/tasks/u/predictions.csv");
  CHECK(std::count(table.begin(), table.end(), '\n') == 31);
  std::istringstream lines(table);
  std::string line;
  std::getline(lines, line);
  CHECK(line == "image,label,class_1,score_1,class_2,score_2");
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::vector<std::string> field(6);
    for (std::string& text : field) std::getline(fields, text, ',');
    CAPTURE(line);
    CHECK((field[1] == "x" || field[1] == "y"));
    CHECK((field[2] == "x") == (field[4] == "y"));
    CHECK(std::stof(field[3]) + std::stof(field[5]) == doctest::Approx(1));
    CHECK(std::stof(field[3]) >= std::stof(field[5]));
  }
}

TEST_CASE("labels of a folder follow the names of the classes and doubtful names are refused") {
  const Workplace place(R"(
members: [{name: a, model: {kind: fake, classes: 3}}]
assignment: cpu
output: out
tasks:
  - {name: pets, input: {dataset: folder, path: pets, resize: 8}, classes: [emu, cat, dog]}
)");
  for (const char* name : {"cat", "dog", "emu"}) {
    std::filesystem::create_directories(place / ("pets/" + std::string(name)));
    std::filesystem::copy_file(test::in_sources("tests/images/data/encoded/plain.png"),
                               place / ("pets/" + std::string(name) + "/1.png"));
  }
  const Finished evaluated(place, {"evaluate", "e.yaml"});
  REQUIRE(evaluated.code == 0);
  CHECK(contains(
      evaluated.err(),
      "the images of task 'pets' have their classes in a different order than the task: labels are matched by name"));
  const std::string table = place.read("out/tasks/pets/predictions.csv");
  for (const char* line : {"\ncat/1.png,cat,", "\ndog/1.png,dog,", "\nemu/1.png,emu,"}) CHECK(contains(table, line));
  // All images are alike, so only the one of the predicted class is right.
  const std::string answer = table.substr(table.find("cat/1.png,cat,") + 14, 3);
  REQUIRE(Finished(place, {"evaluate", "e.yaml", "-q", "save_members=true"}).code == 0);
  const std::string labels = place.read("out/tasks/pets/labels.npy");
  CHECK(std::vector<int>{labels[labels.size() - 24], labels[labels.size() - 16], labels[labels.size() - 8]} ==
        std::vector<int>{1, 2, 0});
  CHECK(contains("emucatdog", answer));

  const Finished other(place, {"evaluate", "e.yaml", "tasks.0.classes=[tench, goldfish, shark]"});
  CHECK(other.code == 0);
  CHECK(contains(
      other.err(),
      "the images of task 'pets' have 3 of 3 classes under other names, which are matched by their order: 'cat' for "
      "'tench', 'dog' for 'goldfish', 'emu' for 'shark'"));
  CHECK(contains(place.read("out/tasks/pets/predictions.csv"), "\ndog/1.png,goldfish,"));

  const Finished doubtful(place, {"evaluate", "e.yaml", "tasks.0.classes=[emu, cat, hound]"});
  CHECK(doubtful.code == 2);
  CHECK(contains(doubtful.err(), "the classes of the images of task 'pets' do not match those of the task"));
  CHECK(contains(doubtful.err(), "not in the task: 'dog'; at other positions: 'cat' (1, there 0), 'emu' (0, there 2)"));
}

TEST_CASE("an evaluation without images is refused before anything is started") {
  const Workplace place(kTwoTasks);
  const Finished none(place, {"evaluate", "e.yaml", "tasks.1.input.limit=0"});
  CHECK(none.code == 2);
  CHECK(
      contains(none.err(),
               "tutti: the images of task 'u': there are none\n  detail: random, limited to 0\n  hint: check 'limit', "
               "'skip' and 'count' of its 'input'\n"));
  CHECK_FALSE(contains(none.err(), "has no images"));  // not a warning as well
  CHECK_FALSE(place.has("runs"));
}

}  // namespace
}  // namespace tutti::test
