// The public API over real worker processes: the same bytes as a plain loop, in spite of other calls at the same time.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <future>
#include <stdexcept>
#include <thread>

#include "common/wire/arena.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a pool gives the outputs of a plain loop bit for bit for any number of images") {
  const auto spec = fake_spec(3);
  Ensemble ensemble(published(spec), with_worker());
  for (const std::size_t count : {0U, 1U, 2U, 3U, 7U, 8U, 9U, 16U, 17U, 100U}) {
    CAPTURE(count);
    const auto images = random_images(count, count);
    const Predictions answer = ensemble.predict(view(images));
    CHECK(answer.count == count);
    CHECK(answer.width == 4);
    CHECK(answer.values == naive_mean(spec, images));
    CHECK(answer.predicted.size() == count);
    CHECK(answer.members.empty());
  }
}

TEST_CASE("one member and one slot are an ensemble") {
  auto spec = fake_spec(1);
  spec.slots = 1;
  spec.segment_images = 1;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(20);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("bytes become numbers between zero and one") {
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  std::vector<std::uint8_t> bytes(5 * kShape.elements());
  std::vector<float> floats;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 37);
    floats.push_back(static_cast<float>(bytes[i]) / 255.0F);
  }
  CHECK(ensemble.predict(Images(std::span<const std::uint8_t>(bytes), kShape)).values == naive_mean(spec, floats));
}

TEST_CASE("a second and a third pass over the same pool give the same bytes") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(50);
  const auto first = ensemble.predict(view(images)).values;
  CHECK(ensemble.predict(view(images)).values == first);
  CHECK(ensemble.predict(view(images)).values == first);
}

TEST_CASE("several threads predict at once and each gets its own answer") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < right.size(); ++t)
    threads.emplace_back([&, t] {
      const auto images = random_images(30 + t, t);
      const auto expected = naive_mean(spec, images);
      for (int round = 0; round < 10; ++round) right[t] += ensemble.predict(view(images)).values == expected ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : right) CHECK(count == 10);
}

TEST_CASE("hundreds of small submissions from several threads are all answered") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  constexpr std::size_t kEach = 100;
  std::vector<std::size_t> right(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < right.size(); ++t)
    threads.emplace_back([&, t] {
      std::vector<std::vector<float>> images;
      for (std::size_t i = 0; i < kEach; ++i) images.push_back(random_images(i % 6, t * kEach + i));
      std::vector<std::future<Predictions>> futures;
      for (const auto& some : images) futures.push_back(ensemble.submit(view(some)));
      for (std::size_t i = 0; i < kEach; ++i)
        right[t] += futures[i].get().values == naive_mean(spec, images[i]) ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::size_t count : right) CHECK(count == kEach);
}

TEST_CASE("every member's output is kept if that is asked for") {
  auto spec = fake_spec(2);
  spec.save_members = true;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(11);
  const Predictions answer = ensemble.predict(view(images));
  REQUIRE(answer.members.size() == 2);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    CHECK(answer.members[rank].name == spec.members[rank].name);
    CHECK(answer.members[rank].values == naive_answer(spec, rank, images));
  }
}

TEST_CASE("members of different widths work together if nothing is combined") {
  auto spec = fake_spec(2);
  spec.combine.rule = CombineRule::none;
  fake_model(spec, 1).classes = 7;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(11);
  const Predictions answer = ensemble.predict(view(images));
  CHECK(answer.width == 0);
  CHECK(answer.values.empty());
  REQUIRE(answer.members.size() == 2);
  CHECK(answer.members[1].width == 7);
  CHECK(answer.members[1].values == naive_answer(spec, 1, images));
}

TEST_CASE("a source far larger than the arena streams through it in order") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(100 * 8 + 5);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 805; ++i) labels.push_back(i);
  ListSource source(images, labels);
  ListSink sink;
  ensemble.run(source, sink);
  CHECK(sink.firsts.size() == 101);
  for (std::size_t i = 0; i < sink.firsts.size(); ++i) CHECK(sink.firsts[i] == 8 * i);
  CHECK(sink.values == naive_mean(spec, images));
  CHECK(sink.labels == labels);
  CHECK(ensemble.status().arena_bytes == ArenaLayout{2, 8, kShape}.bytes());
}

TEST_CASE("each image is copied once for any number of members") {
  for (const std::size_t members : {1U, 4U}) {
    Ensemble ensemble(published(fake_spec(members)), with_worker());
    const auto images = random_images(50);
    ensemble.predict(view(images));
    const Status status = ensemble.status();
    CHECK(status.input_bytes_copied == images.size() * sizeof(float));
    for (const MemberStatus& member : status.members) {
      CHECK(member.segments_handed_out == 7);
      CHECK(member.segments_answered == 7);
      CHECK(member.images == 50);
    }
  }
}

TEST_CASE("the status says where each member runs") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const Status status = ensemble.status(StatusDetail::memory);
  CHECK(status.state == PoolState::ready);
  CHECK(status.start_up_seconds > 0);
  CHECK(status.coordinator_cpu_seconds > 0);
  CHECK(status.pss_bytes.value_or(0) > 0);
  REQUIRE(status.members.size() == 2);
  const MemberStatus& member = status.members[1];
  CHECK(member.name == "m1");
  CHECK(member.kind == "fake");
  CHECK(member.backend == "fake");
  CHECK(member.device == "cpu");
  CHECK(member.alive);
  CHECK(member.pid > 0);
  CHECK(member.output == Dims{4});
  CHECK(member.width() == 4);
  CHECK(member.parameters == 4);
  CHECK(member.pss_bytes.value_or(0) > 0);
  CHECK(children_of(::getpid()).size() == 2);
}

/// Throws at its third segment.
struct BrokenSink final : Sink {
  void write(const SegmentResult&) override {
    if (++segments == 3) throw std::runtime_error("the disk is full");
  }
  int segments = 0;
};
struct BrokenSource final : ListSource {
  using ListSource::ListSource;
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    if (indices.front() >= 24) throw std::runtime_error("the file is torn");
    ListSource::read(indices, pixels, labels);
  }
};

TEST_CASE("exceptions of sink and source leave the call and the pool stays usable") {
  const auto spec = fake_spec(2);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(200);
  ListSource source(images, {});
  for (int round = 0; round < 5; ++round) {
    BrokenSink sink;
    CHECK_THROWS_WITH(ensemble.run(source, sink), "the disk is full");
    BrokenSource torn(images, std::vector<std::int64_t>{});
    ListSink list;
    CHECK_THROWS_WITH(ensemble.run(torn, list), "the file is torn");
  }
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("a sink that calls its own ensemble gets an error instead of waiting for ever") {
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto few = random_images(3);
  struct Asking final : Sink {
    void write(const SegmentResult&) override { ensemble->predict(view(*images)); }
    Ensemble* ensemble = nullptr;
    const std::vector<float>* images = nullptr;
  } sink;
  sink.ensemble = &ensemble;
  sink.images = &few;
  ListSource source(random_images(8), {});
  const auto error = error_of([&] { ensemble.run(source, sink); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "an ensemble cannot be called from inside its own source or sink");
  CHECK(ensemble.predict(view(few)).values == naive_mean(spec, few));
}

TEST_CASE("images of another shape are refused and the pool stays usable") {
  const auto spec = fake_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(2, 1, {1, 2, 2});
  const Images wrong(std::span<const float>(images), {1, 2, 2});
  CHECK(message_of([&] { ensemble.predict(wrong); }) == "memory has images of 1x2x2, but the ensemble takes 2x3x3");
  CHECK(message_of([&] { ensemble.submit(wrong); }) == "memory has images of 1x2x2, but the ensemble takes 2x3x3");
  const auto good = random_images(2);
  CHECK(ensemble.predict(view(good)).values == naive_mean(spec, good));
}

TEST_CASE("the destructor settles pending futures with a named error") {
  auto spec = fake_spec(2);
  fake_model(spec, 1).delay_us = 200'000;  // long for a batch, short for the warm-up
  const auto images = random_images(30);
  std::vector<std::future<Predictions>> futures;
  {
    Ensemble ensemble(published(spec), with_worker());
    for (int i = 0; i < 5; ++i) futures.push_back(ensemble.submit(view(images)));
  }
  for (auto& future : futures) {
    const auto error = error_of([&] { future.get(); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::interrupted);
    CHECK(error->message() == "the ensemble was closed before this call finished");
  }
}

/// Notes that a call looks at it.
class NoticedSource : public ListSource {
 public:
  using ListSource::ListSource;
  std::uint64_t count() const override {
    noticed = true;
    return ListSource::count();
  }
  mutable std::atomic<bool> noticed = false;
};

TEST_CASE("the destructor ends calls of other threads") {
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 100'000;
  const auto images = random_images(200);
  NoticedSource source(images, {});
  std::string predicted;
  std::string ran;
  std::vector<std::thread> threads;
  {
    Ensemble ensemble(published(spec), with_worker());
    // Each call is known to be inside before the next step: one that comes later would find no ensemble.
    threads.emplace_back([&] { predicted = message_of([&] { ensemble.predict(view(images)); }); });
    REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out >= 1; }));
    threads.emplace_back([&] {
      ListSink sink;
      ran = message_of([&] { ensemble.run(source, sink); });
    });
    REQUIRE(happens([&] { return source.noticed.load(); }));
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(predicted == "the ensemble was closed before this call finished");
  CHECK(ran == "the ensemble was closed before this call finished");
}

TEST_CASE("an interruption ends running calls and refuses later ones") {
  auto spec = fake_spec(1);
  fake_model(spec, 0).delay_us = 100'000;
  const auto images = random_images(200);
  Ensemble ensemble(published(spec), with_worker());
  std::optional<Error> running;
  std::thread thread([&] { running = error_of([&] { ensemble.predict(view(images)); }); });
  REQUIRE(happens([&] { return ensemble.status().members[0].segments_handed_out >= 1; }));
  ensemble.interrupt();
  thread.join();
  REQUIRE(running);
  CHECK(running->kind() == ErrorKind::interrupted);
  CHECK(running->message() == "interrupted");
  CHECK(message_of([&] { ensemble.predict(view(images)); }) == "interrupted");
  CHECK(message_of([&] { ensemble.submit(view(images)).get(); }) == "interrupted");
  CHECK(ensemble.status().state == PoolState::failed);
}

TEST_CASE("a model that writes to its input is refused with the option that fixes it") {
  auto spec = fake_spec(2);
  fake_model(spec, 1).writes_input = true;
  const auto error = start_error(spec);
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m1 on cpu failed while starting: the model writes to its input, which all members share");
  CHECK(error->hint() == "give it a private copy of each batch: set 'copy_input: true' at member 'm1'");
}

TEST_CASE("with a private copy a model may write and the others do not see it") {
  auto spec = fake_spec(2);
  spec.save_members = true;
  fake_model(spec, 0).writes_input = true;
  spec.members[0].copy_input = true;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(16);
  const Predictions answer = ensemble.predict(view(images));
  auto changed = images;  // the first value of each batch
  for (const std::size_t image : {0U, 3U, 6U, 8U, 11U, 14U}) changed[image * kShape.elements()] = 0.0F;
  CHECK(answer.members[0].values == naive_answer(spec, 0, changed));
  CHECK(answer.members[1].values == naive_answer(spec, 1, images));
}

}  // namespace
}  // namespace tutti::test
