// Small calls of submit() that share segments (`coalesce`): whatever happens to one, each gets its own rows.
#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "common/random.hpp"
#include "tests/integration/coalescing.hpp"

namespace tutti::test {
namespace {

using Clock = std::chrono::steady_clock;

TEST_CASE("calls that come while the pool is busy share a segment of whole batches") {
  const NothingLeft census;
  auto spec = coalescing_spec(2);
  spec.save_members = true;
  spec.combine.spread = true;
  Ensemble ensemble(published(spec), with_worker());
  auto images = single_images(5);
  SUBCASE("of one image each") {}
  SUBCASE("of several") { images = {random_images(2, 1), random_images(3, 2)}; }
  Gathered gathered(ensemble, images);
  CHECK(gathered.first.get().values == naive_mean(spec, gathered.before));
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Predictions p = gathered.calls[i].get();
    CHECK(p.values == naive_mean(spec, images[i]));
    CHECK(p.count == images[i].size() / kShape.elements());
    CHECK(p.predicted.size() == p.count);
    CHECK(p.spread.size() == p.count);
    CHECK(p.incomplete.empty());
    for (std::size_t rank = 0; rank < 2; ++rank) CHECK(p.members[rank].values == naive_answer(spec, rank, images[i]));
  }
  const auto member = ensemble.status().members[0];
  CHECK(member.segments_answered == 2);
  CHECK(member.images == 3 + 6);  // what fills the batches is computed, too
}

TEST_CASE("calls that fill a segment do not wait and large ones have segments of their own") {
  const NothingLeft census;
  auto spec = coalescing_spec(1, 1000);
  Ensemble ensemble(published(spec), with_worker());
  const auto large = random_images(50);
  Gathered gathered(ensemble, {large, random_images(6, 2), random_images(7, 3), {}, random_images(6, 4)});
  CHECK(gathered.calls[0].get().values == naive_mean(spec, large));
  CHECK(gathered.calls[1].get().values == naive_mean(spec, random_images(6, 2)));
  CHECK(gathered.calls[2].get().values == naive_mean(spec, random_images(7, 3)));
  CHECK(gathered.calls[3].get().count == 0);
  CHECK(gathered.calls[4].get().values == naive_mean(spec, random_images(6, 4)));
  const auto member = ensemble.status().members[0];
  CHECK(member.images % 3 == 0);
  CHECK(member.segments_answered == 1 + 9 + 1 + 2 + 1);
}

TEST_CASE("calls that are given up leave their neighbours what is theirs") {
  const NothingLeft census;
  auto spec = coalescing_spec(1, 30000);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = single_images(4);
  std::vector<std::stop_source> stops(4);
  auto first = ensemble.submit(view(images[0]));
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out == 1; }));
  std::vector<std::future<Predictions>> calls;
  for (std::size_t i = 0; i < 4; ++i) {
    SubmitOptions options;
    options.stop = stops[i].get_token();
    calls.push_back(ensemble.submit(view(images[i]), options));
  }
  const auto given_up = [&](std::size_t i) {
    return message_of([&] { calls[i].get(); }) == "the prediction was given up: its caller requested a stop";
  };
  stops[0].request_stop();  // while it waits for others
  CHECK(given_up(0));
  first.get();
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out == 2; }));
  stops[2].request_stop();  // while the segment is computed
  CHECK(given_up(2));
  CHECK(calls[1].get().values == naive_mean(spec, images[1]));
  CHECK(calls[3].get().values == naive_mean(spec, images[3]));
  CHECK(ensemble.status().members[0].segments_answered == 2);
  // All calls of a segment.
  SubmitOptions soon;
  soon.deadline = Clock::now() + std::chrono::milliseconds(5);
  CHECK(message_of([&] { ensemble.submit(view(images[0]), soon).get(); }) ==
        "the prediction was not ready at its deadline");
  CHECK(ensemble.submit(view(images[1])).get().values == naive_mean(spec, images[1]));
}

/// A call of so many segments that it takes every slot for some time.
struct Busy {
  Busy(Ensemble& all, int priority) : ensemble(all) {
    SubmitOptions options;
    options.priority = priority;
    call = ensemble.submit(view(images), options);
    REQUIRE(happens([&] { return segments() >= 4; }));
  }
  std::uint64_t segments() const { return ensemble.status().members[0].segments_handed_out; }
  /// The submitting thread has taken what came before.
  void go_on() const {
    const std::uint64_t so_far = segments();
    REQUIRE(happens([&] { return segments() >= so_far + 2; }));
  }
  Ensemble& ensemble;
  std::vector<float> images = random_images(180);
  std::future<Predictions> call{};
};

TEST_CASE("a call that is given up while its segment waits for a slot leaves its neighbours what is theirs") {
  const NothingLeft census;
  const auto spec = coalescing_spec(1, 10000);
  Ensemble ensemble(published(spec), with_worker());
  Busy busy(ensemble, 5);
  std::vector<std::stop_source> stops(3);
  std::vector<std::vector<float>> images;
  std::vector<std::future<Predictions>> calls;
  for (std::size_t i = 0; i < 3; ++i) {  // they fill a segment
    images.push_back(random_images(2, i + 1));
    SubmitOptions options;
    options.stop = stops[i].get_token();
    calls.push_back(ensemble.submit(view(images[i]), options));
  }
  busy.go_on();
  stops[1].request_stop();
  CHECK(message_of([&] { calls[1].get(); }) == "the prediction was given up: its caller requested a stop");
  CHECK(busy.call.get().values == naive_mean(spec, busy.images));
  CHECK(calls[0].get().values == naive_mean(spec, images[0]));
  CHECK(calls[2].get().values == naive_mean(spec, images[2]));
}

TEST_CASE("calls of a higher priority are in the next segment before those that wait") {
  const NothingLeft census;
  const auto spec = coalescing_spec(1, 30000);
  Ensemble ensemble(published(spec), with_worker());
  const auto before = random_images(1);
  const auto images = random_images(4);
  auto first = ensemble.submit(view(before));
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out == 1; }));
  std::atomic<int> finished = 0;
  int low_place = 0;
  int high_place = 0;
  std::promise<void> both;
  const auto note = [&](int& place) {
    return [&](std::future<Predictions> future) {
      CHECK(future.get().values == naive_mean(spec, images));
      place = ++finished;
      if (finished == 2) both.set_value();
    };
  };
  SubmitOptions high;
  high.priority = 1;
  ensemble.submit(view(images), note(low_place));
  ensemble.submit(view(images), note(high_place), high);
  both.get_future().get();
  CHECK(high_place == 1);
  CHECK(low_place == 2);
  first.get();
}

TEST_CASE("a call of a higher priority does not wait behind a segment that waits for a slot") {
  const NothingLeft census;
  const auto spec = coalescing_spec(1, 10000);
  Ensemble ensemble(published(spec), with_worker());
  Busy busy(ensemble, 5);
  const auto low = random_images(6, 3);
  const auto high = random_images(6, 4);
  auto low_call = ensemble.submit(view(low));  // its segment is full
  busy.go_on();
  SubmitOptions options;
  options.priority = 10;
  CHECK(ensemble.submit(view(high), options).get().values == naive_mean(spec, high));
  CHECK(low_call.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(busy.call.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(busy.call.get().values == naive_mean(spec, busy.images));
  CHECK(low_call.get().values == naive_mean(spec, low));
}

TEST_CASE("calls of bytes and of floats share a segment") {
  const NothingLeft census;
  const auto spec = coalescing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  std::vector<std::uint8_t> bytes(kShape.elements());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(15 * i);
  const Images of_bytes(std::span<const std::uint8_t>(bytes), kShape);
  const auto alone = ensemble.submit(of_bytes).get();
  const auto floats = random_images(1);
  Gathered gathered(ensemble, {floats});
  auto call = ensemble.submit(of_bytes);
  CHECK(gathered.calls[0].get().values == naive_mean(spec, floats));
  CHECK(call.get().values == alone.values);
  CHECK(ensemble.status().members[0].segments_answered == 3);
}

TEST_CASE("each of many threads gets the rows of its own images while workers are killed") {
  const NothingLeft census;
  auto spec = fake_spec(3);
  spec.segment_images = 12;
  spec.coalesce = config::CoalesceSpec{300};
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit = {};
  for (std::size_t rank = 0; rank < 3; ++rank) fake_model(spec, rank).delay_us = 200;
  Ensemble ensemble(published(spec), with_worker());
  constexpr std::size_t kThreads = 64;
  constexpr std::size_t kCalls = 30;
  std::atomic<std::size_t> right = 0;
  std::atomic<std::size_t> done = 0;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (std::size_t call = 0; call < kCalls; ++call) {
        // Each value of a row tells whose it is.
        const std::size_t rows = 1 + random_at(thread, call) % 4;
        std::vector<float> images(rows * kShape.elements());
        for (std::size_t i = 0; i < images.size(); ++i)
          images[i] = static_cast<float>(thread) + 0.01F * static_cast<float>((call * 7 + i) % 90);
        right += ensemble.submit(view(images)).get().values == naive_mean(spec, images) ? 1 : 0;
        ++done;
      }
    });
  std::uint64_t kills = 0;
  while (done < kThreads * kCalls) {
    const int pid = done > kills * 200 ? ensemble.status().members[kills % 3].pid : 0;
    if (pid > 0 && ::kill(pid, SIGKILL) == 0)
      ++kills;
    else
      std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == kThreads * kCalls);
  CHECK(ensemble.status().faults.deaths > 0);
  CHECK(ensemble.status().members[0].segments_answered < kThreads * kCalls);
}

}  // namespace
}  // namespace tutti::test
