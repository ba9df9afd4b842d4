// What goes wrong with a segment that small calls share (`coalesce`): it concerns the guilty call only.
#include <doctest/doctest.h>
#include <signal.h>

#include <cmath>

#include "tests/integration/coalescing.hpp"

namespace tutti::test {
namespace {

TEST_CASE("an output that is not finite ends its call and its neighbours get their rows") {
  const NothingLeft census;
  auto spec = coalescing_spec(2, 2000);
  fake_model(spec, 1).faults = {fault_of(FaultKind::nan)};
  auto images = single_images(5);
  images[2][0] = kGuilty;
  images[4] = random_images(2, 9);
  images[4][kShape.elements()] = kGuilty;
  SUBCASE("it is an error of the call") {
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    for (const std::size_t good : {0, 1, 3}) CHECK(gathered.calls[good].get().values == naive_mean(spec, images[good]));
    for (const std::size_t bad : {2, 4}) {
      const auto error = error_of([&] { gathered.calls[bad].get(); });
      REQUIRE(error);
      CHECK(error->message() == "m1 on cpu predicted NaN or infinity on segment 0");
      CHECK(error->detail() == "first in image 0 of the segment");  // the fake says so of the whole batch
    }
  }
  SUBCASE("its answer is left out of the call") {
    spec.failure.on_nan = OnNan::degrade;
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    for (std::size_t i = 0; i < images.size(); ++i) {
      const Predictions p = gathered.calls[i].get();
      CHECK(p.incomplete.size() == (i == 2 || i == 4 ? 1 : 0));
      if (p.incomplete.empty())
        CHECK(p.values == naive_mean(spec, images[i]));
      else
        CHECK(p.incomplete[0].absent == std::vector<std::size_t>{1});
    }
    CHECK(ensemble.status().faults.not_finite_dropped == 2);
  }
}

TEST_CASE("a call that kills its workers ends by itself and its neighbours get their rows") {
  const NothingLeft census;
  auto spec = coalescing_spec(2, 2000);
  fake_model(spec, 1).faults = {fault_of(FaultKind::kill)};
  spec.failure.poison_limit = 1;
  spec.failure.restart_limit = 50;
  auto images = single_images(5);
  images[2][0] = kGuilty;
  const auto check_neighbours = [&](Gathered& gathered) {
    for (const std::size_t good : {0, 1, 3, 4})
      CHECK(gathered.calls[good].get().values == naive_mean(spec, images[good]));
  };
  SUBCASE("its rows are set aside") {
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    check_neighbours(gathered);
    const Predictions p = gathered.calls[2].get();
    REQUIRE(p.incomplete.size() == 1);
    CHECK(p.incomplete[0].set_aside);
    CHECK(std::isnan(p.values.at(0)));
  }
  SUBCASE("it fails") {
    spec.failure.on_poison = OnPoison::fail;
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    check_neighbours(gathered);
    CHECK(contains(message_of([&] { gathered.calls[2].get(); }), "m1 on cpu died on segment 0"));
  }
}

TEST_CASE("two calls of a segment that kill their workers are set aside under the limits that hold by default") {
  const NothingLeft census;
  auto spec = coalescing_spec(1, 2000);
  fake_model(spec, 0).faults = {fault_of(FaultKind::kill)};
  auto images = single_images(5);
  images[1][0] = kGuilty;
  images[2][0] = kGuilty;
  Ensemble ensemble(published(spec), with_worker());
  Gathered gathered(ensemble, images);
  for (const std::size_t good : {0, 3, 4}) CHECK(gathered.calls[good].get().values == naive_mean(spec, images[good]));
  for (const std::size_t bad : {1, 2}) {
    const Predictions p = gathered.calls[bad].get();
    REQUIRE(p.incomplete.size() == 1);
    CHECK(p.incomplete[0].set_aside);
  }
  CHECK(ensemble.status().faults.set_aside == 2);  // the segment that all shared is not among them
}

TEST_CASE("calls that end with the ensemble and with its members") {
  const NothingLeft census;
  auto spec = coalescing_spec(1);
  const auto images = single_images(3);
  SUBCASE("it is closed") {
    std::optional<Gathered> gathered;
    {
      Ensemble ensemble(published(spec), with_worker());
      gathered.emplace(ensemble, images);
    }
    for (auto& call : gathered->calls) CHECK(error_of([&] { call.get(); })->kind() == ErrorKind::interrupted);
    CHECK(error_of([&] { gathered->first.get(); })->kind() == ErrorKind::interrupted);
  }
  SUBCASE("it drains") {
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    ensemble.drain();
    gathered.first.get();
    for (auto& call : gathered.calls) CHECK(message_of([&] { call.get(); }) == "interrupted");
  }
  SUBCASE("it drains while a segment is in flight that is to be repeated") {
    ScriptedFault fault = fault_of(FaultKind::nan);
    fake_model(spec, 0).faults = {fault};
    auto guilty = images;
    guilty[1][0] = kGuilty;
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, guilty);
    gathered.first.get();
    REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out >= 2; }));
    ensemble.drain();
    for (const std::size_t good : {0, 2}) CHECK(gathered.calls[good].get().values == naive_mean(spec, images[good]));
    CHECK(contains(message_of([&] { gathered.calls[1].get(); }), "predicted NaN or infinity"));
    CHECK(message_of([&] { ensemble.submit(view(images[0])).get(); }) == "interrupted");
  }
  SUBCASE("a member is lost") {
    spec.failure.on_worker_failure = OnWorkerFailure::fail;
    Ensemble ensemble(published(spec), with_worker());
    Gathered gathered(ensemble, images);
    REQUIRE(::kill(ensemble.status().members[0].pid, SIGKILL) == 0);
    for (auto& call : gathered.calls) CHECK(contains(message_of([&] { call.get(); }), "m0 on cpu died"));
  }
}

}  // namespace
}  // namespace tutti::test
