// tutti::evaluate(): what an ensemble that runs is worth, next to what `tutti evaluate` says of the same.
#include <doctest/doctest.h>

#include <tutti/evaluate.hpp>

#include "tests/integration/labelled_runs.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr ImageShape kImage{1, 4, 4};

std::vector<std::int64_t> labels_of(std::size_t count, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int64_t>(i * 7 % 11) % classes);
  return labels;
}

Images seen(const std::vector<float>& pixels) { return {std::span<const float>(pixels), kImage}; }

const std::string kText = R"(
members:
  - {name: a, model: {kind: fake, classes: 4}, seed: 3}
  - {name: b, model: {kind: fake, classes: 4}, seed: 4}
assignment: cpu
segment_images: 20
)";

TEST_CASE("the library and the program say the same about the same samples") {
  const auto pixels = random_images(kImages, 5, kImage);
  const auto labels = labels_of(kImages, 4);
  const Workplace place(kText + "input: {dataset: npy, images: x.npy, labels: y.npy, classes: 4}\n");
  write_npy(place / "x.npy", {1, 4, 4}, pixels);
  write_npy(place / "y.npy", {}, labels);
  const Finished run(place, {"evaluate", "e.yaml", "--rules", "mean,vote,max"});
  REQUIRE(run.code == 0);

  Ensemble ensemble(parse_spec(kText + "input: {shape: [1, 4, 4]}\n"), with_worker());
  const Evaluated found = evaluate(ensemble, seen(pixels), {"y", labels, {}}, {.rules = "mean,vote,max"});
  json::value mine = parse_json(found.json, "the evaluation");
  const json::value report = place.report();
  const json::value& theirs = report.at("evaluation");
  for (std::size_t row = 0; row < 5; ++row) {
    CHECK(mine.at("models").at(row).at("average") == theirs.at("models").at(row).at("average"));
    CHECK(mine.at("models").at(row).at("model_info") == theirs.at("models").at(row).at("model_info"));
    CHECK(found.rows[row].name == theirs.at("models").at(row).at("name").as_string());
    CHECK(found.rows[row].ensemble == (row >= 2));
    CHECK(found.rows[row].figure("accuracy") == theirs.at("models").at(row).at("average").at("accuracy").as_double());
    CHECK(found.rows[row].images == kImages);
  }
  CHECK(mine.at("tasks").at(0).at("disagreement") == theirs.at("tasks").at(0).at("disagreement"));
  CHECK(contains(found.table, "ensemble vote"));
  CHECK(contains(found.table, "members disagree on"));
  CHECK(found.images == kImages);
  CHECK(found.incomplete.empty());
  CHECK(!found.rows[0].figure("mean_iou"));
}

TEST_CASE("an evaluation is of the ensemble as it is now and leaves it as it is") {
  const auto pixels = random_images(40, 5, kImage);
  const auto labels = labels_of(40, 4);
  Ensemble ensemble(parse_spec(kText + "input: {shape: [1, 4, 4]}\n"), with_worker());
  const Predictions before = ensemble.predict(seen(pixels));
  const Evaluated first = evaluate(ensemble, seen(pixels), {"y", labels, {}});
  REQUIRE(first.rows.size() == 3);
  CHECK(first.rows[2].name == "mean");
  std::size_t hits = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) hits += before.predicted[i] == labels[i] ? 1 : 0;
  CHECK(first.rows[2].figure("accuracy") == static_cast<double>(hits) / 40.0);
  CHECK(ensemble.predict(seen(pixels)).values == before.values);
  ensemble.replace_member("b", parse_spec(ensemble.spec().yaml(), {"members.1.seed=9"}));
  const Evaluated second = evaluate(ensemble, seen(pixels), {"y", labels, {}});
  CHECK(second.rows[0].figures == first.rows[0].figures);
  CHECK(second.rows[1].figures != first.rows[1].figures);
}

TEST_CASE("members that come or go while an evaluation begins end it") {
  Ensemble ensemble(parse_spec(kText + "input: {shape: [1, 4, 4]}\n"), with_worker());
  struct Removing final : ListSource {
    explicit Removing(Ensemble& one)
        : ListSource(random_images(40, 5, kImage), labels_of(40, 4), kImage), ensemble(one) {}
    void read(std::span<const std::uint64_t> indices, std::span<float> pixels,
              std::span<std::int64_t> labels) override {
      if (!std::exchange(removed, true)) ensemble.remove_member("a");
      ListSource::read(indices, pixels, labels);
    }
    Ensemble& ensemble;
    bool removed = false;
  };
  Removing source(ensemble);
  CHECK(message_of([&] { evaluate(ensemble, source); }) == "members came or went while the evaluation began");
  const Evaluated found = evaluate(ensemble, source);
  REQUIRE(found.rows.size() == 2);
  CHECK(found.rows[0].name == "b");
}

TEST_CASE("what cannot be evaluated is said before anything is predicted") {
  const auto pixels = random_images(10, 5, kImage);
  const auto labels = labels_of(10, 4);
  const auto refused = [&](const std::string& more, const TensorView& given, const EvaluateOptions& options = {}) {
    Ensemble ensemble(parse_spec(kText + "input: {shape: [1, 4, 4]}\n" + more), with_worker());
    const auto error = error_of([&] { evaluate(ensemble, seen(pixels), given, options); });
    REQUIRE(error.has_value());
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->hint().empty() == !options.rules.empty());  // a list of rules is checked as in a description
    CHECK(ensemble.status().members[0].images == 0);
    return error->message();
  };
  CHECK(refused("defaults: {output: features}\ncombine: {over: features}", {"y", labels, {}}) ==
        "features cannot be evaluated without classes");
  CHECK(refused("cascade: {when: {confidence_below: 0.5}, then: [b]}", {"y", labels, {}}) ==
        "an ensemble with a 'cascade' cannot be evaluated while it runs");
  const std::vector<float> numbers(10);
  CHECK(refused("", {"y", numbers, {}}) ==
        "the samples have numbers of 1 as labels, and they are compared with predicted probabilities");
  const auto many = labels_of(10, 6);
  CHECK(contains(refused("", {"y", many, {}}), "the samples have 6 classes, but 'a' outputs 4"));
  const std::vector<std::int64_t> masks(20);
  CHECK(contains(refused("", {"y", masks, {2}}), "cannot be compared with the predictions"));
  CHECK(contains(refused("", {"y", labels, {}}, {.rules = "mena"}), "mena"));
  Ensemble ensemble(parse_spec(kText + "input: {shape: [1, 4, 4]}\n"), with_worker());
  const std::vector<std::int64_t> none;
  const Images nothing(std::span<const float>(), kImage);
  CHECK(message_of([&] { evaluate(ensemble, nothing, {"y", none, {}}); }) == "there are no samples to evaluate");
  ListSource source(pixels, {});
  CHECK(message_of([&] { evaluate(ensemble, source); }) == "the samples have no labels");
}

TEST_CASE("numbers are compared with the figures of numbers") {
  const auto pixels = random_images(30, 5, kImage);
  const std::vector<float> wanted(60, 0.25F);
  std::string text = kText + "input: {shape: [1, 4, 4]}\ncombine: {over: values}\n";
  Ensemble ensemble(parse_spec(text, {"members.0.output=values", "members.1.output=values", "members.0.model.classes=2",
                                      "members.1.model.classes=2"}),
                    with_worker());
  const Evaluated found = evaluate(ensemble, seen(pixels), {"y", wanted, {2}}, {.rules = "mean,median"});
  REQUIRE(found.rows.size() == 4);
  CHECK(found.rows[2].figure("mean_absolute_error").value() > 0);
  CHECK(!found.rows[2].figure("accuracy"));
  CHECK(contains(found.table, "MAE"));
}

}  // namespace
}  // namespace tutti::test
