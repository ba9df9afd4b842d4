// Tests of the greedy soup: what the recipe decides, and which files are measured for it.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "evaluation/merge/greedy_soup.hpp"
#include "program/merge/merge_progress.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::program {
namespace {

using Places = std::vector<std::size_t>;

TEST_CASE("the best member is the first of the soup and equal members keep their order") {
  const SoupRecipe recipe(std::vector<double>{0.5, 0.9, 0.7, 0.9});
  CHECK(recipe.order() == Places{1, 3, 2, 0});
  CHECK(recipe.chosen() == Places{1});
  CHECK(recipe.accuracy() == 0.9);
  CHECK(recipe.steps() == std::vector<SoupStep>{{1, 0.9, true}});
  CHECK_FALSE(recipe.done());
  CHECK(SoupRecipe(std::vector<double>{0.5}).done());
}

TEST_CASE("a member is added if the accuracy does not fall") {
  SoupRecipe recipe(std::vector<double>{0.8, 0.7, 0.6, 0.5});
  CHECK(recipe.candidates(1) == std::vector<Places>{{0, 1}});
  recipe.take(std::vector<double>{0.8});
  CHECK(recipe.candidates(1) == std::vector<Places>{{0, 1, 2}});
  recipe.take(std::vector<double>{0.79});
  CHECK(recipe.candidates(9) == std::vector<Places>{{0, 1, 3}});
  recipe.take(std::vector<double>{0.85});
  CHECK(recipe.done());
  CHECK(recipe.candidates(9).empty());
  CHECK(recipe.chosen() == Places{0, 1, 3});
  CHECK(recipe.accuracy() == 0.85);
  CHECK(recipe.steps() == std::vector<SoupStep>{{0, 0.8, true}, {1, 0.8, true}, {2, 0.79, false}, {3, 0.85, true}});
}

TEST_CASE("several candidates at a time give the soup of one at a time") {
  const std::vector<double> members{0.9, 0.8, 0.7, 0.6, 0.5, 0.4};
  // Any function of the members can replace a measurement.
  const auto measured = [](const Places& places) {
    std::size_t sum = 0;
    for (const std::size_t place : places) sum = sum * 7 + place + 1;
    return 0.85 + static_cast<double>(sum * 2654435761U % 100) / 1000;
  };
  std::vector<SoupRecipe> cooked;
  for (const std::size_t at_once : {1U, 2U, 3U, 6U}) {
    SoupRecipe recipe(members);
    while (!recipe.done()) {
      std::vector<double> accuracies;
      for (const Places& places : recipe.candidates(at_once)) accuracies.push_back(measured(places));
      recipe.take(accuracies);
    }
    cooked.push_back(recipe);
  }
  for (const SoupRecipe& recipe : cooked) {
    CHECK(recipe.steps() == cooked.front().steps());
    CHECK(recipe.chosen() == cooked.front().chosen());
  }
  CHECK(cooked.front().chosen().size() > 1);
  CHECK(cooked.front().chosen().size() < members.size());
}

TEST_CASE("candidates are averages in files that have no name") {
  const test::TemporaryFolder folder;
  config::EnsembleSpec spec;
  std::vector<merge::MergeInput> inputs;
  for (const float value : {1.0F, 3.0F, 8.0F}) {
    const std::string name = "m" + std::to_string(inputs.size());
    const auto file = folder / (name + ".safetensors");
    const merge::TensorView view{"bias", merge::Dtype::f32, {1}, std::as_bytes(std::span(&value, 1))};
    merge::write_safetensors(file, std::span(&view, 1));
    inputs.push_back({name, std::make_shared<const merge::Checkpoint>(merge::Checkpoint::open(file))});
    config::MemberSpec member;
    member.name = name;
    member.model = {FakeModel{}, file};
    spec.members.push_back(member);
  }
  spec.merge.emplace();
  spec.merge->method = MergeMethod::greedy_soup;
  spec.merge->over = {2, 0, 1};
  const std::vector<merge::MergeInput> over{inputs[2], inputs[0], inputs[1]};
  merge::MergeSettings settings;
  settings.method = MergeMethod::greedy_soup;
  std::vector<std::filesystem::path> candidates;
  // The closer to 2, the better.
  const auto measure = [&](const std::vector<config::MemberSpec>& models) {
    std::vector<SoupScore> scores;
    for (const config::MemberSpec& model : models) {
      const auto file = merge::Safetensors::read(model.model.weights);
      float value = 0;
      std::memcpy(&value, file.tensor("bias").bytes.data(), sizeof value);
      const double accuracy = 1 - std::abs(value - 2) / 10;
      scores.push_back({accuracy, {accuracy - 0.01, accuracy + 0.01}});
      if (model.model.weights.string().starts_with("/proc/")) candidates.push_back(model.model.weights);
    }
    return scores;
  };
  const Soup soup = cook_greedy_soup(spec, over, settings, 2, folder.path(), measure);
  // Values in the order of `over`: 8, 1, 3. 1 and 3 are equally good; 1 comes first, and their average is perfect.
  CHECK(soup.order == Places{1, 2, 0});
  CHECK(soup.chosen == Places{1, 2});
  CHECK(soup.accuracy == 1);
  CHECK(soup.members[1].accuracy == doctest::Approx(0.9));
  REQUIRE(soup.steps.size() == 3);
  REQUIRE(soup.step_tasks.size() == 3);  // with that of the second round, without that of the forgotten candidate
  for (std::size_t step = 0; step < 3; ++step) CHECK(soup.step_tasks[step][0] == soup.steps[step].accuracy - 0.01);
  CHECK(candidates.size() == 3);  // two at once, the second of them measured with another soup, and one more
  CHECK(folder.names().size() == 3);
  for (const auto& candidate : candidates) CHECK_FALSE(std::filesystem::exists(candidate));
}

TEST_CASE("the progress of a merge is shown in bytes and their rate") {
  CHECK(merge_progress_text(1'200'000'000, 3'000'000'000, 0.5) == "merge   40 %  1.2 GB of 3.0 GB  2.4 GB/s");
  CHECK(merge_progress_text(0, 0, 0) == "merge  100 %  0 B of 0 B  0 B/s");
  CHECK(merge_progress_text(600, 42'600'000, 0.5) == "merge    0 %  600 B of 42.6 MB  1.2 kB/s");
}

}  // namespace
}  // namespace tutti::program
