// tutti::merge_weights(): the weights and the report of `tutti merge`, and what a program sees of it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tutti/merging.hpp>

#include <string>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/integration/biases.hpp"
#include "tests/integration/pools.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// Three members that predict one class for every image, the one with their highest bias.
struct Place : Workplace {
  Place() {
    write_bias(*this / "a.st", {1, 0});
    write_bias(*this / "b.st", {0, 0.5F});
    write_bias(*this / "c.st", {0, 3});
    for (const std::string name : {"a", "b", "c"}) {
      MemberSpec& member = value.members.emplace_back();
      member.name = name;
      member.model = {.kind = FakeModel{.classes = 2, .reads_input = false}, .weights = *this / (name + ".st")};
      member.device = CpuDevice{};
    }
    value.input.dataset = Dataset::random;
    value.input.count = 60;
    value.input.shape = {1, 2, 2};
    value.input.classes = 2;
    value.input.seed = 3;
    value.segment_images = 20;
    value.output = *this / "out";
  }
  MergeOptions options() const { return {.worker = with_worker().worker}; }
  EnsembleSpec value;
};

TEST_CASE("the library merges as a description says") {
  Place place;
  place.value.merge = MergeSpec{.method = MergeMethod::weighted, .over = {0, 2}, .weights = {3, 1}};
  std::vector<MergeState> states;
  MergeOptions options;
  options.on_progress = [&](const MergeState& state) { states.push_back(state); };
  const Merged merged = merge_weights(Spec(place.value), options);
  CHECK(bias_of(merged.weights) == std::vector<float>{0.75F, 0.75F});
  CHECK(merged.folder == place / "out");
  CHECK(merged.weights == place / "out/merged.safetensors");
  CHECK(merged.model == merged.weights);
  CHECK(merged.over == std::vector<std::string>{"a", "c"});
  CHECK(merged.soup.empty());
  CHECK(merged.json == place.read("out/merge.json"));
  REQUIRE(!states.empty());
  CHECK(states.back().step == "weights");
  CHECK(states.back().done == states.back().total);
}

TEST_CASE("a merge looks for the worker only if it needs one") {
  Place place;
  place.value.merge = MergeSpec{.method = MergeMethod::average};
  const MergeOptions options{.worker = place / "none"};
  CHECK(bias_of(merge_weights(Spec(place.value), options).weights).size() == 2);
  place.write("average.yaml", Spec(place.value).yaml());
  CHECK(Finished(place, {"merge", "average.yaml", "-q", "output=theirs", "--worker", "none"}).code == 0);
  place.value.merge = MergeSpec{.method = MergeMethod::greedy_soup, .input = place.value.input};
  const std::string missing = fmt::format("no worker program at '{}'", (place / "none").string());
  CHECK(message_of([&] { merge_weights(Spec(place.value), options); }) == missing);
}

TEST_CASE("a soup is that of the program and tells its decisions") {
  Place place;
  place.value.merge = MergeSpec{.method = MergeMethod::greedy_soup, .input = place.value.input};
  std::vector<std::string> steps;
  MergeOptions options = place.options();
  options.on_progress = [&](const MergeState& state) {
    if (steps.empty() || steps.back() != state.step) steps.push_back(state.step);
  };
  const Spec spec(place.value);
  const Merged merged = merge_weights(spec, options);
  place.write("soup.yaml", spec.yaml());
  REQUIRE(Finished(place, {"merge", "soup.yaml", "-q", "output=theirs"}).code == 0);
  CHECK(place.read("out/merged.safetensors") == place.read("theirs/merged.safetensors"));
  const json::value soup = parse_json(place.read("theirs/merge.json"), "the report").at("soup");
  CHECK(parse_json(merged.json, "the report").at("soup") == soup);
  REQUIRE(merged.soup.size() == soup.at("steps").as_array().size());
  for (std::size_t i = 0; i < merged.soup.size(); ++i) {
    CHECK(merged.soup[i].member == soup.at("steps").at(i).at("name").as_string());
    CHECK(merged.soup[i].accuracy == soup.at("steps").at(i).at("accuracy").to_number<double>());
    CHECK(merged.soup[i].added == soup.at("steps").at(i).at("added").as_bool());
  }
  CHECK(merged.over.size() == soup.at("chosen").as_array().size());
  REQUIRE(steps.size() >= 3);
  CHECK(steps.front() == "members");
  CHECK(steps[1] == "soup 1");
  CHECK(steps.back() == "weights");
}

TEST_CASE("a merge that is stopped at any step leaves no weights") {
  for (const std::string step : {"members", "soup 1", "weights", "none"}) {
    CAPTURE(step);
    Place place;
    place.value.merge = MergeSpec{.method = MergeMethod::greedy_soup, .input = place.value.input};
    std::stop_source stop;
    MergeOptions options = place.options();
    options.stop = stop.get_token();
    options.on_progress = [&](const MergeState& state) {
      if (state.step == step) stop.request_stop();
    };
    if (step == "none") stop.request_stop();
    const auto error = error_of([&] { merge_weights(Spec(place.value), options); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::interrupted);
    CHECK_FALSE(place.has("out"));
  }
}

TEST_CASE("what cannot be merged is said before a folder is made, and an exception of the caller ends a merge") {
  Place place;
  CHECK(message_of([&] { merge_weights(Spec(place.value)); }) == "the description does not say what to merge");
  write_bias(place / "b.st", {0, 1, 2});
  place.value.merge = MergeSpec{};
  CHECK(error_of([&] { merge_weights(Spec(place.value)); })->kind() == ErrorKind::usage);
  CHECK_FALSE(place.has("out"));
  write_bias(place / "b.st", {0, 1});
  MergeOptions options;
  options.on_progress = [](const MergeState&) { throw std::runtime_error("enough"); };
  CHECK_THROWS_WITH(merge_weights(Spec(place.value), options), "enough");
  CHECK_FALSE(place.has("out"));
}

}  // namespace
}  // namespace tutti::test
