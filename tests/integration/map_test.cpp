// tutti::map: the predictions of the batches of a range, in order.
#include <doctest/doctest.h>

#include <iterator>
#include <stdexcept>
#include <tutti/map.hpp>

#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

using Pixels = std::vector<float>;

/// A range that can be gone through once, gives its batches by value, and counts them. It throws instead of batch
/// `broken`.
class Once {
 public:
  Once(const std::vector<Pixels>& batches, std::size_t& taken, std::size_t broken = ~std::size_t{0})
      : batches_(&batches), taken_(&taken), broken_(broken) {}
  class Iterator {
   public:
    using value_type = Pixels;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(Once& range) : range_(&range) {}
    Pixels operator*() const {
      if (*range_->taken_ == range_->broken_) throw std::runtime_error("the range broke");
      return (*range_->batches_)[*range_->taken_];
    }
    Iterator& operator++() {
      ++*range_->taken_;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& at, std::default_sentinel_t /*end*/) { return at.is_over(); }

   private:
    bool is_over() const { return *range_->taken_ == range_->batches_->size(); }
    Once* range_ = nullptr;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  const std::vector<Pixels>* batches_;
  std::size_t* taken_;
  std::size_t broken_;
};
static_assert(std::ranges::input_range<Once>);
static_assert(std::ranges::input_range<Mapped<std::vector<Images>&, std::identity>>);

std::vector<Pixels> some_batches(std::size_t count) {
  std::vector<Pixels> batches;
  for (std::size_t b = 0; b < count; ++b) batches.push_back(random_images(1 + b % 12, b + 1));
  return batches;
}

/// An ensemble of two members one of which outputs NaN for this value.
config::EnsembleSpec with_nan_at(float value) {
  auto spec = fake_spec(2);
  ScriptedFault fault{FaultKind::nan, FaultPhase::predict, 0};
  fault.at_value = value;
  fake_model(spec, 1).faults = {fault};
  return spec;
}

TEST_CASE("a map yields the predictions of every batch in order") {
  const NothingLeft census;
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto batches = some_batches(20);
  for (const std::size_t in_flight : {1, 3, 50}) {
    std::size_t at = 0;
    for (const Predictions& p : map(ensemble, batches, view, {.in_flight = in_flight}))
      CHECK(p.values == naive_mean(spec, batches.at(at++)));
    CHECK(at == 20);
  }
  std::vector<Images> views;
  for (const Pixels& pixels : batches) views.push_back(view(pixels));
  std::size_t at = 0;
  for (Predictions& p : map(ensemble, views)) {
    const Predictions moved = std::move(p);
    CHECK(moved.values == naive_mean(spec, batches.at(at++)));
  }
  CHECK(at == 20);
  for (const Predictions& p : map(ensemble, std::vector<Images>{}, {.in_flight = 2})) FAIL(p.count);
}

TEST_CASE("a map keeps batches that nobody else keeps and takes few of them ahead") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto batches = some_batches(12);
  std::size_t taken = 0;
  std::size_t yielded = 0;
  for (const Predictions& p : map(ensemble, Once(batches, taken), view, {.in_flight = 3})) {
    CHECK(taken <= yielded + 3);
    CHECK(p.values == naive_mean(spec, batches.at(yielded++)));
  }
  CHECK(yielded == 12);
}

TEST_CASE("an error of a batch comes in its turn and ends the map") {
  const NothingLeft census;
  const auto spec = with_nan_at(7.5F);
  Ensemble ensemble(published(spec), with_worker());
  auto batches = some_batches(10);
  SUBCASE("of its prediction") { batches[4][0] = 7.5F; }
  SUBCASE("of its samples") { batches[4].pop_back(); }
  std::size_t yielded = 0;
  const auto go = [&] {
    for (const Predictions& p : map(ensemble, batches, view, {.in_flight = 10}))
      CHECK(p.values == naive_mean(spec, batches.at(yielded++)));
  };
  const auto error = error_of(go);
  REQUIRE(error);
  CHECK(yielded == 4);
  CHECK(ensemble.predict(view(batches[0])).values == naive_mean(spec, batches[0]));
  // After the error the range has ended.
  auto mapped = map(ensemble, batches, view, {.in_flight = 10});
  auto at = mapped.begin();
  for (int i = 0; i < 3; ++i) ++at;
  CHECK(error_of([&] { ++at; }));
  CHECK(at == mapped.end());
  ++at;
  CHECK(at == mapped.end());
}

TEST_CASE("what the range or the function of a map throws leaves nothing in flight") {
  const NothingLeft census;
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto batches = some_batches(10);
  std::size_t taken = 0;
  std::size_t yielded = 0;
  const auto of_range = [&] {
    for (const Predictions& p : map(ensemble, Once(batches, taken, 6), view, {.in_flight = 3}))
      yielded += p.count > 0 ? 1 : 0;
  };
  CHECK_THROWS_WITH(of_range(), "the range broke");
  CHECK(yielded == 4);  // at once: two more were in flight
  yielded = 0;
  const auto picky = [](const Pixels& pixels) {
    if (pixels.size() == 5 * kShape.elements()) throw std::runtime_error("five");
    return view(pixels);
  };
  const auto of_function = [&] {
    for (const Predictions& p : map(ensemble, batches, picky, {.in_flight = 8})) yielded += p.count > 0 ? 1 : 0;
  };
  CHECK_THROWS_WITH(of_function(), "five");
  CHECK(yielded == 4);  // in its turn
  const std::string none = message_of([&] { map(ensemble, batches, view, {.in_flight = 0}); });
  CHECK(none == "in_flight must be at least 1, not 0");
}

TEST_CASE("a map that is left early gives up what is in flight") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 5000;
  Ensemble ensemble(published(spec), with_worker());
  {
    std::vector<Pixels> batches(8, random_images(300));
    batches[0] = random_images(3);
    for (const Predictions& p : map(ensemble, std::move(batches), view, {.in_flight = 8})) {
      CHECK(p.count == 3);
      break;
    }
  }  // the batches are gone
  const auto few = random_images(3);
  CHECK(ensemble.predict(view(few)).values == naive_mean(spec, few));
  CHECK(ensemble.status().members[0].images < 8 * 300);
}

TEST_CASE("a stop and a deadline end a map") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 5000;
  Ensemble ensemble(published(spec), with_worker());
  const std::vector<Pixels> batches(4, random_images(30));
  std::stop_source source;
  MapOptions options{.in_flight = 2, .submit = {.stop = source.get_token()}};
  std::size_t yielded = 0;
  const auto go = [&] {
    for (const Predictions& p : map(ensemble, batches, view, options)) {
      yielded += p.count > 0 ? 1 : 0;
      source.request_stop();
    }
  };
  CHECK(message_of(go) == "the prediction was given up: its caller requested a stop");
  CHECK(yielded <= 2);  // those that were in flight may have been ready
  options.submit = {.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1)};
  CHECK(message_of(go) == "the prediction was not ready at its deadline");
}

TEST_CASE("a map over an ensemble that is interrupted ends with that error") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 5000;
  Ensemble ensemble(published(spec), with_worker());
  const std::vector<Pixels> batches(6, random_images(30));
  auto mapped = map(ensemble, batches, view, {.in_flight = 2});
  auto at = mapped.begin();
  CHECK((*at).values == naive_mean(spec, batches[0]));
  ensemble.interrupt();
  const std::string message = message_of([&] {
    while (at != mapped.end()) ++at;
  });
  CHECK(message == "interrupted");
}

}  // namespace
}  // namespace tutti::test
