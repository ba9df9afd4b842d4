// Runs of the program whose batches are measured, and resuming them.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("a run with measured batches says so in report and plan") {
  const Workplace place(kTwoFakes);
  const Finished run(place, {"run", "e.yaml", "batch_images=auto", "members.0.model.delay_us=10000",
                             "members.1.model.delay_us=10000"});
  CAPTURE(run.err());
  REQUIRE(run.code == 0);
  CHECK(contains(run.err(), "a, b: batches of 20 images (measured: 4: "));
  const json::value report = place.report();
  for (std::size_t rank = 0; rank < 2; ++rank) {
    const json::value& member = report.at("members").at(rank);
    CHECK(member.at("batch_images") == 20);
    CHECK(member.at("batch_images_measured") == true);
    CHECK(member.at("batch_speeds").as_array().size() == 3);
    CHECK(member.at("images") == 50);
  }
  CHECK(report.at_pointer("/phases/batch_search").as_double() > 0);
  CHECK(contains(std::string(report.at("configuration").as_string()), "batch_images: auto"));
  const Finished plan(place, {"plan", "e.yaml", "batch_images=auto"});
  CHECK(contains(plan.out(), "batches  measured at the start: 4, 8, 20 images"));
  const Finished again(place, {"run", "e.yaml"});
  const json::value given = place.report("runs/0002");
  CHECK(given.at_pointer("/members/0/batch_images") == 8);
  CHECK(given.at_pointer("/members/0/batch_images_measured") == false);
  CHECK(given.at_pointer("/phases/batch_search").is_null());
}

TEST_CASE("a resumed run computes with the batches that its first part measured") {
  const Workplace place(kTwoFakes + "save_members: true\n");
  const Words measured{"batch_images=auto", "members.0.model.delay_ms=5", "members.1.model.delay_ms=5"};
  const auto run = [&](Words words) {
    words.insert(words.begin(), {"run", "e.yaml", "output=here", "input.count=90"});
    return words;
  };
  Words slow = run(measured);
  slow.insert(slow.end(), {"members.1.model.delay_ms=60", "slots=1"});
  Program program(Workplace::command(slow), place.options());
  REQUIRE_FALSE(program.wait_for_line("predict   44 %").empty());
  program.signal(SIGKILL);
  REQUIRE(program.code() == 128 + SIGKILL);

  const Finished other(place, run({"batch_images=20", "--resume"}));
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "batch_images: was auto, now 20"));

  // Without delays, chance decides which batch is the fastest.
  const Finished resumed(place, run({"batch_images=auto", "--resume"}));
  CAPTURE(resumed.err());
  REQUIRE(resumed.code == 0);
  const json::value report = place.report("here");
  CHECK(report.at_pointer("/finished/resumed").as_int64() >= 2);
  CHECK(report.at_pointer("/phases/batch_search").is_null());
  for (const json::value& member : report.at("members").as_array()) {
    CHECK(member.at("batch_images") == 20);
    CHECK(member.at("batch_images_measured") == true);
    CHECK(member.at("batch_speeds").as_array().empty());
  }
  REQUIRE(Finished(place, {"run", "e.yaml", "output=given", "input.count=90", "batch_images=20"}).code == 0);
  CHECK(different_results(place, "here", "given") == Words{});
}

}  // namespace
}  // namespace tutti::test
