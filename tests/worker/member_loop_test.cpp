// The worker's loop as a thread of this process: predictions, waking and sleeping, and every way in which it ends.
#include "worker/unit_loop.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>

#include "tests/worker/rig.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a segment is completed with the numbers of its task") {
  Rig rig(fake_request());
  const auto images = random_images(8);
  rig.fill(2, images);
  rig.hand_out(2, 8);
  const CompletionRecord record = rig.answer();
  CHECK(record.sequence == Sequence(0));
  CHECK(record.segment == SegmentId(10));
  CHECK(record.generation == Generation(0));
  CHECK(record.slot == SlotId(2));
  CHECK(record.images == 8);
  CHECK(record.status == CompletionStatus::done);
  CHECK(rig.output(2, 8) == naive_answer(fake_spec(1), 0, images));
}

TEST_CASE("segments of every length are cut into batches and predicted image by image") {
  Rig rig(fake_request());
  std::uint64_t batches = 0;
  for (std::uint32_t count = 1; count <= 8; ++count) {
    const auto images = random_images(count, count);
    rig.fill(count % 4, images);
    rig.hand_out(count % 4, count);
    CHECK(rig.answer().images == count);
    CHECK(rig.output(count % 4, count) == naive_answer(fake_spec(1), 0, images));
    batches += (count + 2) / 3;
    CHECK(rig.progress() == batches);
  }
}

TEST_CASE("a task says into batches of how many images its segment is cut") {
  Rig rig(fake_request());
  const auto images = random_images(8);
  rig.fill(0, images);
  std::uint64_t batches = 0;
  for (const std::uint32_t size : {3U, 8U, 1U, 5U, 3U}) {
    rig.hand_out(0, 8, TaskKind::predict, 0, size);
    rig.answer();
    CHECK(rig.output(0, 8) == naive_answer(fake_spec(1), 0, images));
    batches += (8 + size - 1) / size;
    CHECK(rig.progress() == batches);
  }
}

TEST_CASE("a task of a later round is for the samples that its slot names and they are cut into batches of their own") {
  Rig rig(fake_request());
  const auto images = random_images(8);
  rig.fill(1, images);
  std::uint64_t batches = 0;
  for (const auto& samples : {std::vector<std::uint32_t>{0, 2, 3, 5, 7}, {7}, {0, 1, 2, 3, 4, 5, 6, 7}}) {
    const auto count = static_cast<std::uint32_t>(samples.size());
    rig.choose(1, 2, samples);
    rig.hand_out(1, count, TaskKind::predict, 0, 3, 2);
    CHECK(rig.answer().images == count);
    std::vector<float> chosen;
    for (const std::uint32_t sample : samples) {
      const auto begin = images.begin() + static_cast<std::ptrdiff_t>(sample * kShape.elements());
      chosen.insert(chosen.end(), begin, begin + static_cast<std::ptrdiff_t>(kShape.elements()));
    }
    CHECK(rig.output(1, count) == naive_answer(fake_spec(1), 0, chosen));
    batches += (count + 2) / 3;
    CHECK(rig.progress() == batches);
  }
}

TEST_CASE("NaN in a later round is said of the sample in its segment") {
  MemberRequest request = fake_request();
  std::get<FakeModel>(request.model).faults = {{FaultKind::nan, FaultPhase::predict, 1}};
  Rig rig(request);
  rig.fill(0, random_images(8));
  rig.choose(0, 1, {3, 6});
  rig.hand_out(0, 2, TaskKind::predict, 0, 1, 1);
  const CompletionRecord record = rig.answer();
  CHECK(record.status == CompletionStatus::not_finite);
  CHECK((record.detail == 3 || record.detail == 6));
}

TEST_CASE("many segments pass with all slots in use and none is lost") {
  Rig rig(fake_request());
  constexpr std::uint64_t kSegments = 4000;
  for (std::uint32_t slot = 0; slot < 4; ++slot) rig.fill(slot, random_images(8, slot));
  for (std::uint32_t slot = 0; slot < 4; ++slot) rig.hand_out(slot, 8);
  std::uint64_t handed_out = 4;
  for (std::uint64_t n = 0; n < kSegments; ++n) {
    const CompletionRecord record = rig.answer();
    REQUIRE(record.sequence == Sequence(n));
    REQUIRE(record.slot == SlotId(n % 4));
    if (handed_out < kSegments) {
      rig.fill(record.slot.value(), random_images(8, record.slot.value()));
      rig.hand_out(record.slot.value(), 8);
      ++handed_out;
    }
  }
  for (std::uint32_t slot = 0; slot < 4; ++slot)
    CHECK(rig.output(slot, 8) == naive_answer(fake_spec(1), 0, random_images(8, slot)));
}

TEST_CASE("a completion says when its task was started and computed and written") {
  const auto now = [] {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
  };
  Rig rig(fake_request({.classes = 4, .delay_us = 2000, .faults = {}}));
  rig.fill(0, random_images(8));
  const std::uint64_t before = now();
  rig.hand_out(0, 8);
  const CompletionRecord record = rig.answer();
  CHECK(record.begun_nanoseconds >= before);
  CHECK(record.computed_nanoseconds >= record.begun_nanoseconds + 6'000'000);  // three batches
  CHECK(record.written_nanoseconds >= record.computed_nanoseconds);
  CHECK(record.written_nanoseconds <= now());
  CHECK(record.busy_nanoseconds == record.written_nanoseconds - record.begun_nanoseconds);
}

TEST_CASE("a member that sleeps between single tasks wakes for each of them") {
  Rig rig(fake_request());
  rig.fill(0, random_images(1));
  for (std::uint64_t n = 0; n < 3000; ++n) {
    rig.hand_out(0, 1);
    REQUIRE(rig.answer().sequence == Sequence(n));
  }
}

// The second task comes a little after the member has stamped the progress of the first, so that some come between its
// last look and its sleep; no third one would wake it.
TEST_CASE("a task that comes while the member goes to sleep is found") {
  Rig rig(fake_request());
  rig.fill(0, random_images(1));
  rig.fill(1, random_images(1));
  for (std::uint32_t n = 0; n < 60'000; ++n) {
    rig.hand_out(0, 1);
    REQUIRE(rig.reaches_progress(2 * n + 1));
    for (std::uint32_t i = 0; i < n % 300; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
    rig.hand_out(1, 1);
    REQUIRE(rig.answer_without_sleep());
    REQUIRE(rig.answer_without_sleep());
  }
}

TEST_CASE("a bell that rings for nothing does no harm") {
  Rig rig(fake_request());
  rig.ring_for_nothing();
  rig.fill(0, random_images(1));
  rig.hand_out(0, 1);
  rig.ring_for_nothing();
  CHECK(rig.answer().sequence == Sequence(0));
}

TEST_CASE("a closed ring ends the loop after what was in it") {
  Rig rig(fake_request());
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  rig.hand_out(0, 4);
  rig.close_ring();
  CHECK(rig.end() == "left");
  CHECK(rig.answer().sequence == Sequence(0));
  CHECK(rig.answer().sequence == Sequence(1));
}

TEST_CASE("the message stop ends the loop") {
  Rig rig(fake_request());
  rig.send(control::Stop{});
  CHECK(rig.end() == "left");
}

TEST_CASE("the end of the control socket ends the loop") {
  Rig rig(fake_request());
  rig.hang_up();
  CHECK(rig.end() == "left");
}

TEST_CASE("a control message that does not belong there ends the member with words") {
  Rig rig(fake_request());
  rig.send(control::Hello{});
  CHECK(rig.end() == "unexpected control message");
}

TEST_CASE("a task ring that makes no sense ends the member with words") {
  Rig rig(fake_request());
  rig.falsify_tail();
  rig.ring_for_nothing();
  CHECK(rig.end() == "the task ring is corrupt");
}

TEST_CASE("what the model throws ends the member with its words") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::predict, 1}}}));
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  CHECK(rig.end() == "scripted fault: exception");
}

TEST_CASE("a prediction that is not finite is reported with its image") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::predict, 2}}}));
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  const CompletionRecord record = rig.answer();
  CHECK(record.status == CompletionStatus::not_finite);
  CHECK(record.detail == 6);  // the third batch of three begins there
}

TEST_CASE("a prediction that is not finite passes if it is allowed") {
  Rig rig(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::predict, 0}}}), true);
  rig.fill(0, random_images(8));
  rig.hand_out(0, 8);
  CHECK(rig.answer().status == CompletionStatus::done);
  CHECK(std::isnan(rig.output(0, 8)[0]));
}

}  // namespace
}  // namespace tutti::test
