// Greedy soups over the held-out images of several tasks: members output features, each task has a head. Compared with
// the recipe as a plain loop, member by member and image by image.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "images/sources.hpp"
#include "merge/head.hpp"
#include "tests/common/error_of.hpp"
#include "tests/images/reading.hpp"
#include "tests/integration/programs.hpp"
#include "tests/program/made_heads.hpp"

namespace tutti::test {
namespace {

/// A bias of two features; a fake adds them to the sums of the even and of the odd values of an image.
using Bias = std::vector<float>;

const std::vector<Bias> kBiases{{0.1F, 0}, {-0.4F, 0.3F}, {0.5F, -0.2F}, {0, 2}};

struct HeldOut {
  std::string name;
  std::uint64_t images;
  ImageShape shape;
  std::uint32_t classes;
  std::uint64_t seed;
  std::string head() const { return name + ".st"; }
};
/// The second has another shape, and needs a separate pool.
const std::vector<HeldOut> kHeldOut{{"t", 45, {1, 2, 2}, 3, 5}, {"u", 38, {1, 2, 3}, 2, 6}, {"v", 31, {1, 2, 3}, 2, 9}};

struct SoupPlace : Workplace {
  SoupPlace() : Workplace(text()) {
    for (std::size_t member = 0; member < kBiases.size(); ++member)
      merge::test::write(*this / fmt::format("m{}.st", member), {merge::test::f32("bias", {2}, kBiases[member])});
    write_head(*this / "t.st", 3, 2, {1, 0, 0, 1, 0.5F, 0.5F});
    write_head(*this / "u.st", 2, 2, {1, 0, 0, 1});
    write_head(*this / "v.st", 2, 2, {0, 1, 1, 0});
  }
  static std::string text() {
    std::string yaml = "members:\n";
    for (std::size_t member = 0; member < kBiases.size(); ++member)
      yaml += fmt::format("  - {{name: m{0}, model: {{kind: fake, classes: 2, weights: m{0}.st}}, output: features}}\n",
                          member);
    yaml += "assignment: cpu\ncombine: {over: features}\nsegment_images: 20\noutput: out\n";
    yaml += "merge: {method: greedy_soup, over: [m3, m0, m1, m2]}\ntasks:\n";
    for (const HeldOut& task : kHeldOut)
      yaml += fmt::format(
          "  - {{name: {}, head: {}, input: {{dataset: random, count: 30, shape: [1, 2, 2], classes: {}, seed: 1}},\n"
          "     held_out: {{dataset: random, count: {}, shape: [{}, {}, {}], classes: {}, seed: {}}}}}\n",
          task.name, task.head(), task.classes, task.images, task.shape.channels, task.shape.height, task.shape.width,
          task.classes, task.seed);
    return yaml;
  }
  json::value soup() const { return parse_json(read("out/merge.json"), "the report").at("soup"); }
};

/// How often head and label agree on the features of a fake with this bias.
double accuracy(const HeldOut& task, const Bias& bias, const merge::Head& head) {
  const auto source = images::make_random(task.images, task.shape, task.classes, task.seed);
  int correct = 0;
  for (std::uint64_t image = 0; image < task.images; ++image) {
    const ReadImages read = test::read(*source, {image});
    Bias features = bias;
    for (std::size_t i = 0; i < read.pixels.size(); ++i) features[i % 2] += read.pixels[i];
    std::vector<float> logits(head.classes());
    head.apply(features, 1, logits);
    correct += std::max_element(logits.begin(), logits.end()) - logits.begin() == read.labels[0] ? 1 : 0;
  }
  return static_cast<double>(correct) / static_cast<double>(task.images);
}

Bias average(const std::vector<std::size_t>& members) {
  Bias mean(2, 0);
  for (const std::size_t member : members)
    for (std::size_t i = 0; i < 2; ++i) mean[i] += kBiases[member][i];
  for (float& value : mean) value /= static_cast<float>(members.size());
  return mean;
}

struct Score {
  double mean = 0;
  json::object tasks;
};

Score score(const SoupPlace& place, const Bias& bias) {
  Score score;
  for (const HeldOut& task : kHeldOut) {
    const double found = accuracy(task, bias, merge::Head::read(place / task.head()));
    score.tasks[task.name] = found;
    score.mean += found;
  }
  score.mean /= static_cast<double>(kHeldOut.size());
  return score;
}

std::string name_of(std::size_t member) { return fmt::format("m{}", member); }

/// Compared through text, where a number may lose its last bit.
json::value as_read(const json::value& value) { return parse_json(pretty_json(value), "what is expected"); }

TEST_CASE("a soup over tasks with heads is that of the plain recipe") {
  const SoupPlace place;
  const Finished cooked(place, {"merge", "e.yaml"});
  CAPTURE(cooked.err());
  REQUIRE(cooked.code == 0);

  std::vector<std::size_t> order{3, 0, 1, 2};  // as in `over`
  std::vector<Score> alone;
  for (const Bias& bias : kBiases) alone.push_back(score(place, bias));
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return alone[a].mean > alone[b].mean; });
  json::array expected_order;
  for (const std::size_t member : order)
    expected_order.push_back(
        json::object{{"name", name_of(member)}, {"accuracy", alone[member].mean}, {"tasks", alone[member].tasks}});
  std::vector<std::size_t> chosen;
  double best = 0;
  json::array expected_steps;
  int rises = 0;
  for (const std::size_t member : order) {
    std::vector<std::size_t> candidate = chosen;
    candidate.push_back(member);
    const Score now = score(place, average(candidate));
    const bool added = now.mean >= best;
    expected_steps.push_back(
        json::object{{"name", name_of(member)}, {"accuracy", now.mean}, {"tasks", now.tasks}, {"added", added}});
    if (!added) continue;
    rises += now.mean > best ? 1 : 0;
    best = now.mean;
    chosen = candidate;
  }
  json::array expected_chosen;
  for (const std::size_t member : chosen) expected_chosen.push_back(json::string(name_of(member)));

  const json::value soup = place.soup();
  CHECK(soup.at("order") == as_read(expected_order));
  CHECK(soup.at("steps") == as_read(expected_steps));
  CHECK(soup.at("chosen") == expected_chosen);
  CHECK(soup.at("accuracy") == best);
  // One member helps, and one does not.
  CHECK(rises >= 2);
  CHECK(chosen.size() < kBiases.size());
  const auto merged = merge::Safetensors::read(place / "out/merged.safetensors");
  CHECK(merge::test::values<float>(merged.tensor("bias").bytes) == average(chosen));
  CHECK(contains(cooked.out(), "added     accuracy "));
  CHECK(contains(cooked.err(), "members, t  100 %"));
  CHECK(contains(cooked.err(), "soup 1, v  100 %"));
  // The result is then evaluated on the images of the tasks.
  CHECK(place.report("out").at_pointer("/evaluation/tasks").as_array().size() == 3);
}

TEST_CASE("errors in the images of a soup are reported before anything is computed") {
  const SoupPlace place;
  const auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"merge", "e.yaml"});
    const Finished cooked(place, more);
    CHECK(cooked.code == 2);
    CHECK_FALSE(place.has("out"));
    return cooked.err();
  };
  CHECK(contains(refused({"tasks.1.held_out=null"}),
                 "task 'u' has no 'held_out' images for greedy_soup, but other tasks have"));
  CHECK(contains(refused({"merge.input={dataset: digits}"}), "not by both; remove one"));
  CHECK(contains(refused({"tasks.1.held_out.classes=null"}), "the held-out images of task 'u' have no labels"));
  CHECK(contains(refused({"tasks.1.held_out.limit=0"}), "the held-out images of task 'u': there are none"));
  CHECK(contains(refused({"tasks.1.held_out.classes=3"}),
                 "the held-out images of task 'u' have 3 classes, but its head has 2"));
}

TEST_CASE("heads of another width than the features are refused before a candidate is measured") {
  const SoupPlace place;
  write_head(place / "u.st", 2, 5, {1, 0, 0, 0, 0, 0, 1, 0, 0, 0});
  const Finished cooked(place, {"merge", "e.yaml"});
  CHECK(cooked.code == 2);
  CHECK(contains(cooked.err(), "the head of task 'u' takes 5 features, but 'm3' outputs 2"));
  CHECK_FALSE(contains(cooked.err(), "members, t"));
}

TEST_CASE("a task without an output of a candidate ends the soup and is named") {
  const SoupPlace place;
  const Finished cooked(place, {"merge", "e.yaml", "on_worker_failure=degrade", "restarts={limit: 0}",
                                "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 3}]"});
  CHECK(cooked.code == 1);
  CHECK(contains(cooked.err(), "the soup's candidates cannot be compared: some did not predict all held-out images"));
  CHECK(contains(cooked.err(), "task 'v', images 20 to 30"));
}

TEST_CASE("members that output classes may be chosen by all tasks without heads") {
  const SoupPlace place;
  std::string yaml = place.read("e.yaml");
  for (const std::string cut :
       {", output: features", "combine: {over: features}\n", "head: t.st, ", "head: u.st, ", "head: v.st, "})
    for (std::size_t at = 0; (at = yaml.find(cut)) != yaml.npos;) yaml.erase(at, cut.size());
  place.write("e.yaml", yaml);
  const Finished cooked(place, {"merge", "e.yaml", "tasks.0.input.classes=2", "tasks.0.held_out.classes=2"});
  CAPTURE(cooked.err());
  CHECK(cooked.code == 0);
  const json::value soup = place.soup();
  const json::object& first = soup.at("steps").at(0).at("tasks").as_object();
  double sum = 0;
  for (const char* task : {"t", "u", "v"}) sum += first.at(task).as_double();
  CHECK(soup.at("steps").at(0).at("accuracy").as_double() == doctest::Approx(sum / 3));
}

}  // namespace
}  // namespace tutti::test
