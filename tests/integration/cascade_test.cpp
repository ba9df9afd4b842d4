// Members that are asked only for doubtful samples: every sample is combined from the members that it needed, even
// if workers die in between.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kClasses = 4;

/// m0 and m1 see every sample; m2 those in which they are not sure; m3 those in which m0, m1 and m2 are not.
config::EnsembleSpec cascading() {
  auto spec = fake_spec(4);
  spec.cascade = {{{0, 1}, config::Doubt::confidence_below, 0.33, {2}},
                  {{0, 1, 2}, config::Doubt::margin_below, 0.04, {3}}};
  spec.slots = 4;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

/// Who predicts each sample, and what comes out, computed sample by sample.
struct Plain {
  std::vector<float> values;
  std::vector<std::vector<bool>> asked;  ///< by member and sample
  std::vector<std::size_t> asked_count = std::vector<std::size_t>(4);
};

Plain plain(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  std::vector<std::vector<float>> answers;
  for (std::size_t rank = 0; rank < 4; ++rank) answers.push_back(naive_answer(spec, rank, images));
  Plain plain;
  plain.asked.assign(4, std::vector<bool>(answers[0].size() / kClasses));
  for (std::size_t i = 0; i < answers[0].size() / kClasses; ++i) {
    std::vector<std::size_t> members{0, 1};
    const auto mean = [&] {
      std::vector<float> row(kClasses, 0.0F);
      for (const std::size_t member : members)
        for (std::size_t c = 0; c < kClasses; ++c) row[c] += answers[member][i * kClasses + c];
      for (float& value : row) value /= static_cast<float>(members.size());
      return row;
    };
    if (static_cast<double>(std::ranges::max(mean())) < spec.cascade[0].threshold) {
      members.push_back(2);
      std::vector<float> row = mean();
      std::ranges::sort(row);
      if (double{row[3]} - double{row[2]} < spec.cascade[1].threshold) members.push_back(3);
    }
    for (const std::size_t member : members) {
      plain.asked[member][i] = true;
      ++plain.asked_count[member];
    }
    const std::vector<float> row = mean();
    plain.values.insert(plain.values.end(), row.begin(), row.end());
  }
  return plain;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("a cascade asks each member for the samples that need it and combines them as a loop over samples does") {
  const NothingLeft census;
  auto spec = cascading();
  spec.save_members = true;
  const auto images = random_images(203);
  const Plain expected = plain(spec, images);
  // Some samples, and not all, are passed on in both steps.
  REQUIRE(expected.asked_count[2] > 10);
  REQUIRE(expected.asked_count[2] < 190);
  REQUIRE(expected.asked_count[3] > 3);
  REQUIRE(expected.asked_count[3] < expected.asked_count[2]);
  Ensemble ensemble(published(spec), with_worker());
  for (int call = 1; call <= 3; ++call) {
    const Predictions got = ensemble.predict(view(images));
    CHECK(same(got.values, expected.values));
    CHECK(got.incomplete.empty());
    for (std::size_t rank = 0; rank < 4; ++rank)
      for (std::size_t i = 0; i < 203; ++i)
        CHECK(std::isnan(got.members[rank].values[i * kClasses]) == !expected.asked[rank][i]);
    const Status status = ensemble.status();
    for (std::size_t rank = 0; rank < 4; ++rank)
      CHECK(status.members[rank].images == static_cast<std::uint64_t>(call) * expected.asked_count[rank]);
  }
}

TEST_CASE("deaths in every round change no bit of a cascade") {
  for (const FaultKind kind : {FaultKind::kill, FaultKind::exception})
    for (const std::size_t victim : {0U, 2U, 3U}) {
      CAPTURE(to_name(kind));
      CAPTURE(victim);
      const NothingLeft census;
      auto spec = cascading();
      fake_model(spec, victim).faults = {{kind, FaultPhase::predict, 5}};
      const auto images = random_images(203);
      Ensemble ensemble(published(spec), with_worker());
      CHECK(same(ensemble.predict(view(images)).values, plain(spec, images).values));
      CHECK(ensemble.status().faults.deaths >= 1);
    }
}

TEST_CASE("members of a cascade may share workers and have replicas") {
  const NothingLeft census;
  auto spec = cascading();
  spec.workers = {{.members = {0, 2}, .mode = UnitMode::threads}, {.members = {3}, .replicas = 2}};
  spec.slots = 6;
  const auto images = random_images(203);
  const Plain expected = plain(spec, images);
  Ensemble ensemble(published(spec), with_worker());
  CHECK(same(ensemble.predict(view(images)).values, expected.values));
  CHECK(ensemble.status().members[3].images == expected.asked_count[3]);
}

TEST_CASE("submissions of several threads keep their samples apart in a cascade") {
  const NothingLeft census;
  const auto spec = cascading();
  Ensemble ensemble(published(spec), with_worker());
  std::vector<std::vector<float>> images;
  std::vector<std::future<Predictions>> futures;
  for (std::uint64_t seed = 0; seed < 12; ++seed) images.push_back(random_images(3 + seed * 5, seed));
  for (const auto& some : images) futures.push_back(ensemble.submit(view(some)));
  for (std::size_t i = 0; i < images.size(); ++i) CHECK(same(futures[i].get().values, plain(spec, images[i]).values));
}

TEST_CASE("samples that needed a member which is absent are combined without it and listed") {
  const NothingLeft census;
  auto spec = cascading();
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.failure.restart_limit = 0;
  const auto images = random_images(203);
  Ensemble ensemble(published(spec), with_worker());
  REQUIRE(::kill(ensemble.status().members[2].pid, SIGKILL) == 0);
  REQUIRE(happens([&] { return ensemble.status().members[2].state == WorkerState::absent; }));
  const Predictions got = ensemble.predict(view(images));
  REQUIRE_FALSE(got.incomplete.empty());
  std::uint64_t listed = 0;
  for (const IncompleteSegment& lacks : got.incomplete) {
    CHECK(lacks.absent == std::vector<std::size_t>{2});
    listed += lacks.count;
  }
  // Segments of 8, and those in which nobody needed the member are whole.
  CHECK(listed <= 203);
  const Plain expected = plain(spec, images);
  for (std::size_t first = 0; first < 203; first += 8) {
    const auto begin = expected.asked[2].begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = expected.asked[2].begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(first + 8, 203));
    const bool needed = std::find(begin, end, true) != end;
    const bool is_listed = std::ranges::any_of(got.incomplete, [&](const IncompleteSegment& lacks) {
      return first >= lacks.first && first < lacks.first + lacks.count;
    });
    CHECK(needed == is_listed);
  }
}

TEST_CASE("an ensemble that is closed while segments are judged ends every call") {
  const NothingLeft census;
  auto spec = cascading();
  fake_model(spec, 2).delay_us = 2000;
  const auto images = random_images(2000);
  std::future<Predictions> future;
  {
    Ensemble ensemble(published(spec), with_worker());
    future = ensemble.submit(view(images));
    CHECK(happens([&] { return ensemble.status().members[2].images > 0; }));
  }
  CHECK(error_of([&] { future.get(); }).has_value());
}

/// Fails once it has seen some segments.
struct Failing final : Sink {
  int left = 3;
  void write(const SegmentResult&) override {
    if (--left < 0) throw std::runtime_error("enough");
  }
};

TEST_CASE("a call that fails while segments are judged leaves the pool usable") {
  const NothingLeft census;
  const auto spec = cascading();
  const auto images = random_images(203);
  Ensemble ensemble(published(spec), with_worker());
  for (int call = 0; call < 3; ++call) {
    ListSource source(images, {});
    Failing sink;
    CHECK_THROWS_WITH(ensemble.run(source, sink), "enough");
  }
  CHECK(same(ensemble.predict(view(images)).values, plain(spec, images).values));
}

TEST_CASE("NaN of a later member names the image in the whole segment") {
  const NothingLeft census;
  auto spec = cascading();
  fake_model(spec, 2).faults = {{FaultKind::nan, FaultPhase::predict, 0}};
  const auto images = random_images(203);
  const Plain expected = plain(spec, images);
  std::size_t first = 0;
  while (!expected.asked[2][first]) ++first;
  Ensemble ensemble(published(spec), with_worker());
  const auto error = error_of([&] { ensemble.predict(view(images)); });
  REQUIRE(error.has_value());
  CHECK(contains(error->what(), "m2 on cpu"));
  CHECK(contains(error->what(), fmt::format("first in image {} of the segment", first % 8)));
}

TEST_CASE("a cascade over masks is refused when the members are known") {
  auto spec = cascading();
  for (std::size_t rank = 0; rank < 4; ++rank) fake_model(spec, rank).per_class = {2, 2};
  const auto error = start_error(spec);
  REQUIRE(error.has_value());
  CHECK(error->message() == "'cascade' needs one class for each sample");
  CHECK(error->detail() == "the members output 4x2x2 per sample");
}

}  // namespace
}  // namespace tutti::test
