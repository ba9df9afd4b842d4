// One epoch, without workers: the order of the images, their labels and numbers, and the sums.
#include "coordinator/api/training.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/common/error_of.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {
namespace {

const ArenaLayout kTrainingArena{1, 4, kShape};

ListSource labelled(std::size_t count) {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int64_t>(i % 4));
  return {random_images(count), labels};
}

/// The numbers of the images in the order in which an epoch takes them. Also checks pixels and labels.
std::vector<std::uint64_t> order(std::uint64_t seed, std::uint32_t number, std::size_t count = 50) {
  ListSource source = labelled(count);
  Epoch epoch(source, Learns::weights, seed, number, 4, {true}, true);
  std::vector<float> arena(kTrainingArena.bytes() / sizeof(float));
  auto* const base = reinterpret_cast<std::byte*>(arena.data());
  std::vector<std::uint64_t> numbers;
  const auto images = random_images(count);
  while (epoch.has_more()) {
    const std::uint32_t filled = epoch.fill(base, kTrainingArena, 0);
    const auto view = slot_view(base, kTrainingArena, 0, filled);
    for (std::uint32_t i = 0; i < filled; ++i) {
      CHECK(view.labels[i] == static_cast<std::int64_t>(view.numbers[i] % 4));
      CHECK(view.floats()[i * kShape.elements()] == images[view.numbers[i] * kShape.elements()]);
      numbers.push_back(view.numbers[i]);
    }
  }
  return numbers;
}

TEST_CASE("an epoch takes every image once in a random order") {
  auto numbers = order(1, 1);
  CHECK_FALSE(std::is_sorted(numbers.begin(), numbers.end()));
  std::sort(numbers.begin(), numbers.end());
  REQUIRE(numbers.size() == 50);
  for (std::uint64_t i = 0; i < 50; ++i) CHECK(numbers[i] == i);
}

TEST_CASE("the order depends only on seed and epoch") {
  CHECK(order(1, 1) == order(1, 1));
  CHECK(order(1, 1) != order(1, 2));
  CHECK(order(1, 1) != order(2, 1));
}

TEST_CASE("an epoch of statistics takes the images in their own order and needs no labels") {
  ListSource source(random_images(6), {});
  REQUIRE_FALSE(source.labelled());
  Epoch epoch(source, Learns::statistics, 1, 1, 4, {true}, true);
  std::vector<float> arena(kTrainingArena.bytes() / sizeof(float));
  auto* const base = reinterpret_cast<std::byte*>(arena.data());
  std::vector<std::uint64_t> numbers;
  while (epoch.has_more()) {
    const std::uint32_t filled = epoch.fill(base, kTrainingArena, 0);
    const auto view = slot_view(base, kTrainingArena, 0, filled);
    numbers.insert(numbers.end(), view.numbers.begin(), view.numbers.end());
  }
  CHECK(numbers == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("an epoch without images has no segments") { CHECK(order(1, 1, 0).empty()); }

TEST_CASE("a label outside the classes is refused with its image") {
  for (const std::int64_t label : {std::int64_t{4}, std::int64_t{-1}}) {
    ListSource source(random_images(1), {label});
    Epoch epoch(source, Learns::weights, 1, 1, 4, {true}, true);
    std::vector<float> arena(kTrainingArena.bytes() / sizeof(float));
    const auto error = error_of([&] { epoch.fill(reinterpret_cast<std::byte*>(arena.data()), kTrainingArena, 0); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() ==
          "image 0 of a list has the label " + std::to_string(label) + ", but the members have only 4 classes");
    CHECK(contains(error->hint(), "labels count from 0"));
  }
}

TEST_CASE("loss and accuracy are means over images and only of those who were asked") {
  ListSource source = labelled(8);
  Epoch epoch(source, Learns::weights, 1, 3, 4, {true, false, true}, true);
  for (int segment = 0; segment < 2; ++segment) {
    FinishedSegment finished;
    finished.segment.rows = ByRank<Ledger::Row>(3);
    for (const std::size_t rank : {0U, 2U}) {
      Ledger::Row& row = finished.segment.rows[Rank(rank)];
      row.asked = true;
      row.present = true;
      row.completion.loss_sum = rank == 0 ? 3.0 : 10.0;
      row.completion.correct = rank == 0 ? 2 : 0;
      row.completion.trained = rank == 0 ? 4 : 5;
      row.completion.busy_nanoseconds = 500'000'000;
    }
    epoch.deliver(finished);
  }
  const auto results = epoch.results();
  REQUIRE(results.size() == 2);
  CHECK(results[0].member == 0);
  CHECK(results[0].epoch == 3);
  CHECK(results[0].loss == 0.75);
  CHECK(results[0].accuracy == 0.5);
  CHECK(results[0].images == 8);
  CHECK(results[0].seconds == doctest::Approx(1.0));
  CHECK(results[1].member == 2);
  CHECK(results[1].loss == 2.0);
}

TEST_CASE("a member that was lost during an epoch has no result and the others keep theirs") {
  ListSource source = labelled(8);
  Epoch epoch(source, Learns::weights, 1, 2, 4, {true, true, true}, true);
  for (int segment = 0; segment < 2; ++segment) {
    FinishedSegment finished;
    finished.segment.rows = ByRank<Ledger::Row>(3);
    for (std::size_t rank = 0; rank < 3; ++rank) {
      Ledger::Row& row = finished.segment.rows[Rank(rank)];
      row.asked = rank != 2;  // rank 2 was lost before this epoch and takes no part in it
      row.present = rank == 0 || (rank == 1 && segment == 0);
      row.completion.loss_sum = 2.0;
      row.completion.trained = 4;
    }
    epoch.deliver(finished);
  }
  const auto results = epoch.results();
  REQUIRE(results.size() == 1);
  CHECK(results[0].member == 0);
  CHECK(results[0].loss == 0.5);
  CHECK(results[0].images == 8);
}

TEST_CASE("the segment with a member's last checkpoint is marked as the last and no other is") {
  for (const bool final_for_some : {true, false}) {
    ListSource source = labelled(9);
    Epoch epoch(source, Learns::weights, 1, 1, 4, {true}, final_for_some);
    std::vector<float> arena(kTrainingArena.bytes() / sizeof(float));
    std::vector<bool> last;
    while (epoch.has_more()) {
      epoch.fill(reinterpret_cast<std::byte*>(arena.data()), kTrainingArena, 0);
      last.push_back(epoch.last());
    }
    CHECK(last == std::vector<bool>{false, false, final_for_some});
  }
}

TEST_CASE("a member that trained on no images has no loss and no division by zero") {
  ListSource source = labelled(0);
  const Epoch epoch(source, Learns::weights, 1, 1, 4, {true}, true);
  const auto results = epoch.results();
  REQUIRE(results.size() == 1);
  CHECK(results[0].loss == 0.0);
  CHECK(results[0].images == 0);
}

}  // namespace
}  // namespace tutti::test
