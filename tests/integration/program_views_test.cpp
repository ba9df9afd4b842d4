// Views in the programs: `tutti plan`, `tutti run` and its report, and resuming.
#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

const std::string kViews = kTwoFakes + "views: [identity, hflip, {scale: 1.5}]\n";

TEST_CASE("a plan and a report show the views") {
  const Workplace place(kViews);
  const Finished plan(place, {"plan", "e.yaml", "members.1.views=[]"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "views of a: identity, hflip and scale 1.5, 3 predictions of each image\n"));
  CHECK(contains(plan.out(), "views of a: one view of 8 images, their predictions, and what resizing takes\n"));
  CHECK_FALSE(contains(plan.out(), "views of b"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=r"}).code == 0);
  CHECK(contains(json::serialize(place.report("r")), "scale: 1.5"));
}

TEST_CASE("a run with views that was killed continues only with the same views and to the same bytes") {
  const Workplace place(kViews + "save_members: true\n");
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=whole"}).code == 0);
  const std::string fault = "members.1.model.faults=[{kind: kill, phase: predict, at_batch: 13}]";
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "on_worker_failure=fail", "slots=1", fault}).code == 1);
  const Finished other(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail",
                               "members.0.views=[identity, vflip]"});
  CHECK(other.code == 2);
  CHECK(contains(other.err(), "members.0.views.1: was hflip, now vflip"));
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "output=cut", "--resume", "on_worker_failure=fail"}).code == 0);
  CHECK(different_results(place, "cut", "whole").empty());
}

TEST_CASE("views of the command line that do not fit the images are refused with their words") {
  const Workplace place;
  const Finished refused(place, {"plan", "e.yaml", "members.0.views=[{crops: 5, size: 5}]"});
  CHECK(refused.code == 2);
  CHECK(contains(refused.err(),
                 "'members.0.views=[{crops: 5, size: 5}]': member 'a': view '5 crops of 5x5' is larger "
                 "than the images, which are 1x4x4"));
}

}  // namespace
}  // namespace tutti::test
