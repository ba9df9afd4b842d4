// tutti::evaluate_to_folder(): the figures and the files of `tutti evaluate`, for everything that it evaluates.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tutti/evaluate.hpp>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "images/sources.hpp"
#include "tests/integration/labelled_runs.hpp"
#include "tests/integration/pools.hpp"
#include "tests/program/made_heads.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

const std::string kTasks = kTwoFakes + R"(
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 4, seed: 3}}
  - {name: u, input: {dataset: random, count: 70, shape: [1, 4, 4], classes: 3, seed: 4}}
)";

/// A number of a report, which reading may round in its last bit.
doctest::Approx as_written(double number) { return doctest::Approx(number).epsilon(1e-14); }

/// A description that the library and the program evaluate, into the folders `mine` and `theirs`.
struct BothPlace : Workplace {
  explicit BothPlace(const std::string& yaml) : Workplace(yaml) {}

  Spec spec(Words settings = {}) const {
    settings.push_back("output=" + (*this / "mine").string());
    return load_spec(*this / "e.yaml", settings);
  }
  FolderEvaluationOptions options() const { return {.worker = with_worker().worker}; }

  /// Evaluates both and compares what they wrote; `words` are what the options are for the program.
  FolderEvaluation evaluate(const FolderEvaluationOptions& options, Words words = {}) const {
    FolderEvaluation found = evaluate_to_folder(spec(), options);
    words.insert(words.begin(), {"evaluate", "e.yaml", "output=theirs"});
    const Finished program(*this, words);
    CAPTURE(program.err());
    REQUIRE(program.code == 0);
    CHECK(different_results(*this, "mine", "theirs") == Words{});
    CHECK(contains(program.out(), found.table));
    CHECK(found.folder == *this / "mine");
    CHECK(found.json == read("mine/report.json"));
    compare(found);
    return found;
  }

 private:
  /// All figures, but what they took.
  void compare(const FolderEvaluation& found) const {
    const json::value mine = parse_json(found.json, "the report").at("evaluation");
    const json::value theirs = report("theirs").at("evaluation");
    CHECK(mine.at("models") == theirs.at("models"));
    REQUIRE(found.tasks.size() == theirs.at("tasks").as_array().size());
    REQUIRE(found.average.size() == theirs.at("models").as_array().size());
    for (std::size_t number = 0; number < found.tasks.size(); ++number) {
      const json::value& task = theirs.at("tasks").at(number);
      CHECK(mine.at("tasks").at(number).at("disagreement") == task.at("disagreement"));
      CHECK(found.tasks[number].name == task.at("name").as_string());
      CHECK(found.tasks[number].images == task.at("images").to_number<std::uint64_t>());
      CHECK(found.tasks[number].incomplete.empty());
      for (std::size_t row = 0; row < found.average.size(); ++row)
        compare(found.tasks[number].rows.at(row), theirs.at("models").at(row),
                theirs.at("models").at(row).at("tasks").at(found.tasks[number].name));
    }
    for (std::size_t row = 0; row < found.average.size(); ++row)
      compare(found.average[row], theirs.at("models").at(row), theirs.at("models").at(row).at("average"));
  }
  static void compare(const EvaluatedRow& row, const json::value& model, const json::value& score) {
    CHECK(row.name == model.at("name").as_string());
    CHECK(row.ensemble == (model.at("role") == "ensemble"));
    CHECK(row.images == score.at("images").to_number<std::uint64_t>());
    for (const char* figure : {"accuracy", "loss", "calibration_error"})
      if (score.at(figure).is_double()) CHECK(row.figure(figure).value() == as_written(score.at(figure).as_double()));
  }
};

TEST_CASE("the library evaluates tasks with base and merged models as the program does") {
  const NothingLeft check;
  BothPlace place(kTasks);
  const std::vector<float> bias{9, 0, 0, 0};
  merge::test::write(place / "m.st", {merge::test::f32("bias", {4}, bias)});
  place.write("e.yaml",
              kTasks + fmt::format("base: {{kind: fake, classes: 4, weights: {}}}\n", (place / "m.st").string()));
  FolderEvaluationOptions options = place.options();
  options.rules = "mean,vote";
  options.csv = "number,label";
  options.merged = {(place / "m.st").string(), "soup=" + (place / "m.st").string()};
  options.trace = place / "trace.json";
  std::vector<EvaluationState> states;
  options.on_progress = [&](const EvaluationState& state) { states.push_back(state); };
  const FolderEvaluation found = place.evaluate(
      options, {"--rules", "mean,vote", "--csv", "number,label", "--merged", "m.st", "--merged", "soup=m.st"});
  Words names;
  for (const EvaluatedRow& row : found.average) names.push_back(row.name);
  CHECK(names == Words{"a", "b", "base", "merged", "soup", "mean", "vote"});
  CHECK(found.average[2].figures == found.average[4].figures);
  CHECK(found.complete);
  CHECK(found.cascade.empty());
  CHECK(found.tasks[1].folder == place / "mine/tasks/u");
  CHECK(place.read("mine/tasks/u/predictions.csv").starts_with("number,label\n0,"));
  CHECK(place.has("trace.json"));
  REQUIRE(states.size() == 3 + 4);
  CHECK(states.front().task == "t");
  CHECK(states.front().done == 20);
  CHECK(states.back().task == "u");
  CHECK(states.back().number == 1);
  CHECK(states.back().tasks == 2);
  CHECK(states.back().done == 70);
  CHECK(states.back().total == 70);
}

/// Members that output two features, with heads of three and two classes.
struct HeadedPlace : BothPlace {
  HeadedPlace() : BothPlace("") {
    write_head(*this / "three.st", 3, 2, {1, 0, 0, 1, -1, -1});
    write_head(*this / "two.st", 2, 2, {1, 0, 0, 1});
    write("e.yaml", R"(
members:
  - {name: a, model: {kind: fake, classes: 2}, output: features}
  - {name: b, model: {kind: fake, classes: 2}, output: features}
assignment: cpu
combine: {over: features}
segment_images: 20
tasks:
  - {name: t, input: {dataset: random, count: 50, shape: [1, 4, 4], classes: 3, seed: 3}, head: "${here}/three.st"}
  - {name: u, input: {dataset: random, count: 30, shape: [1, 4, 4], classes: 2, seed: 4}, head: "${here}/two.st"}
)");
  }
};

TEST_CASE("the library evaluates features behind heads as the program does") {
  const HeadedPlace place;
  FolderEvaluationOptions options = place.options();
  options.rules = "mean,max,vote";
  const FolderEvaluation found = place.evaluate(options, {"--rules", "mean,max,vote"});
  for (const EvaluatedTask& task : found.tasks)
    for (const EvaluatedRow& row : task.rows) CHECK(row.figure("accuracy").has_value());
}

TEST_CASE("an ensemble that runs is evaluated behind a head to the figures of the task that has it") {
  const HeadedPlace place;
  FolderEvaluationOptions options = place.options();
  options.rules = "mean,vote";
  const FolderEvaluation tasks = evaluate_to_folder(place.spec(), options);
  Ensemble ensemble(place.spec({"tasks=null", "input={shape: [1, 4, 4]}"}), with_worker());
  const auto source = [](std::uint64_t count, std::uint32_t classes, std::uint64_t seed) {
    return images::make_random(count, {1, 4, 4}, classes, seed);
  };
  const auto t = source(50, 3, 3);
  const auto u = source(30, 2, 4);
  const Evaluated of_t = evaluate(ensemble, *t, {.rules = "mean,vote", .head = place / "three.st"});
  const Evaluated of_u = evaluate(ensemble, *u, {.rules = "mean,vote", .head = place / "two.st"});
  REQUIRE(of_t.rows.size() == 4);
  for (std::size_t row = 0; row < 4; ++row) {
    CHECK(of_t.rows[row].figures == tasks.tasks[0].rows[row].figures);
    CHECK(of_u.rows[row].figures == tasks.tasks[1].rows[row].figures);
  }
  CHECK(message_of([&] { evaluate(ensemble, *t); }) == "features cannot be evaluated without classes");
  CHECK(contains(message_of([&] { evaluate(ensemble, *t, {.head = place / "two.st"}); }),
                 "the samples have 3 classes, but its head has 2"));
  CHECK(contains(message_of([&] { evaluate(ensemble, *t, {.head = place / "none.st"}); }), "none.st"));
  Ensemble others(parse_spec(kTwoFakes, {"input={shape: [1, 4, 4]}"}), with_worker());
  const auto refused = error_of([&] { evaluate(others, *t, {.head = place / "three.st"}); });
  REQUIRE(refused);
  CHECK(refused->message() == "a head cannot be applied to probabilities");
  CHECK(refused->hint() == "leave 'head' out, or combine over features");
}

const std::string kSwept = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}}
  - {name: b, model: {kind: fake, classes: 4}}
  - {name: c, model: {kind: fake, classes: 4}}
assignment: cpu
cascade: {after: [a, b], when: {confidence_below: 0.29}, then: [c]}
input: {dataset: random, count: 230, shape: [1, 4, 4], classes: 4, seed: 3}
segment_images: 20
batch_images: 8
)";

TEST_CASE("the library leaves a cascade out and shows the trade of other thresholds as the program does") {
  const BothPlace place(kSwept);
  FolderEvaluationOptions options = place.options();
  options.cascade_sweep = true;
  const FolderEvaluation found = place.evaluate(options, {"--cascade-sweep"});
  CHECK(found.tasks.front().folder == found.folder);
  CHECK(found.average[2].images == 230);  // of c, which is asked for every sample
  const json::value report = place.report("theirs");
  const json::array& rows = report.at("evaluation").at("cascade_sweep").at("rows").as_array();
  REQUIRE(found.cascade.size() == rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    CHECK(found.cascade[row].threshold == as_written(rows[row].at("threshold").to_number<double>()));
    CHECK(found.cascade[row].described == (rows[row].at("described") == true));
    CHECK(found.cascade[row].share == as_written(rows[row].at("share").to_number<double>()));
    CHECK(found.cascade[row].accuracy == as_written(rows[row].at("accuracy").to_number<double>()));
    CHECK(found.cascade[row].seconds.value() > 0);
  }
  CHECK(found.cascade.front().share == 0);
  CHECK(found.cascade.back().share == 1);
  CHECK(std::ranges::count_if(found.cascade, &CascadeTrade::described) == 1);
}

TEST_CASE("the library evaluates masks, numbers and several labels as the program does") {
  const auto with = [](const std::string& text, const auto& labels, std::vector<std::uint64_t> shape,
                       const char* figure) {
    BothPlace place("");
    write_images(place);
    write_npy(place / "y.npy", std::move(shape), labels);
    std::string here = text;
    for (const char* file : {"x.npy", "y.npy"}) here.replace(here.find(file), 5, fmt::format("\"${{here}}/{}\"", file));
    place.write("e.yaml", here);
    const FolderEvaluation found = place.evaluate(place.options());
    CHECK(found.average.back().figure(figure).has_value());
    CHECK_FALSE(found.average.back().figure("loss").has_value());
  };
  with(described("{rule: mean}", "logits", ", ignore_index: 255"), mask_labels(), {2, 5}, "mean_iou");
  with(kNumbers, number_labels(), {3, 2, 5}, "r2");
  with(kSeveral, several_labels(), {3, 2, 5}, "macro_f1");
}

TEST_CASE("mistakes of an evaluation are found before anything is written") {
  const BothPlace place(kSwept);
  const auto refused = [&](const Words& settings, const std::function<void(FolderEvaluationOptions&)>& change) {
    FolderEvaluationOptions options = place.options();
    change(options);
    const auto error = error_of([&] { evaluate_to_folder(place.spec(settings), options); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(place.has("mine"));
    return error->message();
  };
  const auto nothing = [](FolderEvaluationOptions&) {};
  write_npy(place / "x.npy", {1, 4, 4}, random_images(kImages, 5, {1, 4, 4}));
  CHECK(refused({fmt::format("input={{dataset: npy, images: {}, tiles: {{size: 2}}}}", (place / "x.npy").string()),
                 "cascade=null"},
                nothing) == "the predictions of 'tiles' cannot be evaluated");
  CHECK(refused({"input.classes=null"}, nothing) == "the images of task 'random' have no labels");
  CHECK(refused({}, [](auto& options) { options.merged = {"none.st"}; }) ==
        "merged: there is no readable file 'none.st'");
  CHECK(contains(refused({}, [](auto& options) { options.rules = "men"; }), "men"));
  CHECK(refused({}, [](auto& options) { options.csv = "lable"; }) == "--csv: there is no column 'lable'");
  CHECK(refused({"cascade=null"}, [](auto& options) { options.cascade_sweep = true; }) ==
        "a cascade sweep is not possible: the description has no 'cascade'");
  CHECK(refused({}, [&](auto& options) { options.worker = place / "none"; }) ==
        fmt::format("no worker program at '{}'", (place / "none").string()));
}

TEST_CASE("an evaluation that is stopped has in its report what is finished") {
  const NothingLeft check;
  const BothPlace place(kTasks);
  std::stop_source stop;
  FolderEvaluationOptions options = place.options();
  options.stop = stop.get_token();
  options.on_progress = [&](const EvaluationState& state) {
    if (state.number == 1) stop.request_stop();
  };
  const Spec spec = place.spec({"members.0.model.delay_us=2000", "slots=1", "segment_images=10"});
  const auto error = error_of([&] { evaluate_to_folder(spec, options); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::interrupted);
  const json::value report = place.report("mine");
  CHECK(report.at("completed") == false);
  CHECK(report.at("interrupted_by") == "stop");
  CHECK(report.at("evaluation").at("tasks").at(0).at("images") == 50);
  CHECK(place.has("mine/tasks/t/disagreement.npy"));
  CHECK_FALSE(place.has("mine/tasks/u/disagreement.npy"));
  CHECK(place.has("mine/tasks/u/disagreement.partial.npy"));
}

TEST_CASE("an exception of the caller ends an evaluation and leaves it") {
  const NothingLeft check;
  const BothPlace place(kTasks);
  FolderEvaluationOptions options = place.options();
  options.on_progress = [](const EvaluationState& state) {
    if (state.number == 1) throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH_AS(evaluate_to_folder(place.spec(), options), "enough", std::runtime_error);
  CHECK(place.report("mine").at("evaluation").at("tasks").at(0).at("images") == 50);
}

TEST_CASE("an evaluation says what its figures lack") {
  const BothPlace place(kTasks);
  const FolderEvaluation found =
      evaluate_to_folder(place.spec({"on_worker_failure=degrade", "restarts={limit: 0}",
                                     "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 4}]"}),
                         place.options());
  CHECK_FALSE(found.complete);
  REQUIRE(found.tasks[1].incomplete.size() == 1);
  CHECK(found.tasks[1].incomplete[0].count == 70);
  CHECK(found.tasks[1].incomplete[0].absent == std::vector<std::size_t>{1});
  CHECK(found.tasks[1].rows[1].images == 0);
  CHECK(found.tasks[1].rows[2].images == 70);
}

}  // namespace
}  // namespace tutti::test
