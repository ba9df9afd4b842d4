// How a plan decides where the members' batches come from, and what they need.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "config/load.hpp"
#include "coordinator/plan/plan.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

Machine one_gpu() {
  Machine machine;
  machine.cores = machine.present_cores = {0, 1};
  machine.memory = {8ULL << 30, "MemAvailable"};
  machine.gpus = {{0, "GPU-aaaa", "H200", 1}};
  return machine;
}

/// Members m0, m1 ...: "fake" or "small-cnn".
Plan plan_of_batches(const std::string& assignment, std::size_t members, const std::string& more,
                     const Options& options = {}, const std::string& model = "{kind: fake, classes: 4}") {
  std::string yaml = "members:\n";
  for (std::size_t m = 0; m < members; ++m) yaml += "  - {name: m" + std::to_string(m) + ", model: " + model + "}\n";
  return make_plan(config::load_text(yaml + "assignment: " + assignment + "\n" + more, "test"), one_gpu(),
                   {{3, 32, 32}, {}}, options);
}

TEST_CASE("while batches are to be measured members are loaded with the smallest") {
  const Plan plan = plan_of_batches("[cpu, 'cuda:0']", 2, "batch_images: auto\nsegment_images: 512\n");
  CHECK(plan.batches == Batches::to_measure);
  CHECK(plan.members[0].request.batch_images == 4);
  CHECK(plan.members[0].request.warm_up_batches.empty());
  CHECK(plan.members[0].most_batch_images == 128);
  CHECK(plan.members[1].most_batch_images == 512);
  CHECK(plan.notes.empty());
}

TEST_CASE("while members train or are debugged auto is a number and the plan says so") {
  Options options;
  options.training = true;
  Plan plan = plan_of_batches("cpu", 1, "batch_images: auto\nsegment_images: 20\n", options);
  CHECK(plan.batches == Batches::given);
  CHECK(plan.members[0].request.batch_images == 20);
  CHECK(plan.notes ==
        std::vector<std::string>{"batch_images: auto is 20 here: nothing is measured while members learn"});
  options = {};
  options.debug_member = "m0";
  plan = plan_of_batches("cpu", 1, "batch_images: auto\n", options);
  CHECK(plan.batches == Batches::given);
  CHECK(plan.notes ==
        std::vector<std::string>{"batch_images: auto is 32 here: nothing is measured while a worker is debugged"});
}

TEST_CASE("batches of an earlier run replace a measurement") {
  Options options;
  options.batch_images = {6, 20};
  const Plan plan = plan_of_batches("cpu", 2, "batch_images: auto\nsegment_images: 20\n", options);
  CHECK(plan.batches == Batches::measured_before);
  CHECK(plan.members[0].request.batch_images == 6);
  CHECK(plan.members[0].request.warm_up_batches == std::vector<std::uint32_t>{2});
  CHECK(plan.members[1].request.batch_images == 20);
}

TEST_CASE("batches of an earlier run that do not fit are refused with what is wrong") {
  const auto refused = [](std::vector<std::uint32_t> batches, const std::string& more) {
    Options options;
    options.batch_images = std::move(batches);
    const auto error = error_of([&] { plan_of_batches("cpu", 2, more, options); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    return error->message() + " | " + error->hint();
  };
  const std::string measured = "batch_images: auto\nsegment_images: 20\n";
  CHECK(refused({4, 4}, "batch_images: 4\n") ==
        "batches of an earlier run are given, but 'batch_images' is a number | leave Options::batch_images empty, or "
        "set 'batch_images: auto'");
  CHECK(refused({4}, measured) ==
        "1 batch of an earlier run given for 2 members | give one per member in Options::batch_images, or none "
        "to measure");
  for (const std::uint32_t batch : {0U, 21U})
    CHECK(refused({4, batch}, measured) ==
          "a batch of " + std::to_string(batch) +
              " images is given for segments of 20 | give at least 1 and at most 'segment_images' in "
              "Options::batch_images, or none to measure");
}

TEST_CASE("the memory of the largest batch that is tried is part of the sum") {
  const auto term = [](const std::string& batch) {
    const Plan plan = plan_of_batches("cpu", 1, "spares: member\n" + batch, {}, "{kind: small-cnn}");
    std::vector<std::uint64_t> bytes;
    for (const Bound& bound : plan.bounds)
      if (bound.name.find("batches of up to 125 images in m0 (estimate; 'batch_images')") != std::string::npos)
        bytes.push_back(bound.bytes);
    return bytes;
  };
  CHECK(term("batch_images: auto\n") == std::vector<std::uint64_t>(2, 125U * (3 * 32 * 32 + 2 * 32 * 30 * 30) * 4));
  CHECK(term("batch_images: 250\n").empty());
}

}  // namespace
}  // namespace tutti::test
