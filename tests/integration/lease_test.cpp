// Samples that are written straight into the arena: what they answer, who waits for whom, and what cannot go wrong.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "config/load.hpp"
#include "tests/integration/coalescing.hpp"

namespace tutti::test {
namespace {

/// Segments of 8 images, and 3 slots.
config::EnsembleSpec leasing_spec(std::size_t members = 2) {
  auto spec = fake_spec(members);
  spec.slots = 3;
  return spec;
}

void write(const Lease& lease, const std::vector<float>& images) {
  REQUIRE(lease.values<float>().size() == images.size());
  std::ranges::copy(images, lease.values<float>().begin());
}

Lease written(Ensemble& ensemble, const std::vector<float>& images) {
  Lease lease = ensemble.lease(images.size() / kShape.elements());
  write(lease, images);
  return lease;
}

SubmitOptions refusing() {
  SubmitOptions options;
  options.when_full = WhenFull::refuse;
  return options;
}

TEST_CASE("leased samples are predicted like others and not copied") {
  const NothingLeft census;
  auto spec = leasing_spec();
  spec.save_members = true;
  Ensemble ensemble(published(spec), with_worker());
  for (const std::size_t count : {1U, 7U, 8U}) {
    CAPTURE(count);
    const auto images = random_images(count, count);
    Lease lease = written(ensemble, images);
    CHECK(lease.open());
    CHECK(lease.count() == count);
    const Predictions p = ensemble.submit(lease).get();
    CHECK(ensemble.status().input_bytes_copied == 0);
    CHECK(p.count == count);
    CHECK(p.values == naive_mean(spec, images));
    CHECK(p.members[1].values == naive_answer(spec, 1, images));
    CHECK(p.predicted.size() == count);
    CHECK_FALSE(lease.open());
  }
  const auto images = random_images(8);
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.status().input_bytes_copied == images.size() * sizeof(float));
}

TEST_CASE("a lease that was submitted, given back or moved says so") {
  const NothingLeft census;
  const auto spec = leasing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(2);
  Lease lease = written(ensemble, images);
  auto future = ensemble.submit(lease);
  CHECK(message_of([&] { ensemble.submit(lease); }) == "the lease was submitted already");
  CHECK(message_of([&] { lease.tensors(); }) == "the lease was submitted already");
  CHECK(future.get().values == naive_mean(spec, images));
  lease = ensemble.lease(1);
  lease.give_back();
  CHECK(message_of([&] { ensemble.submit(lease); }) == "the lease was given back already");
  lease.give_back();
  Lease other = written(ensemble, images);
  const Lease moved = std::move(other);
  CHECK(moved.open());
  CHECK_FALSE(other.open());  // NOLINT(bugprone-use-after-move): it is defined
  CHECK(message_of([&] { ensemble.submit(other); }) == "the lease was moved from");
  CHECK(message_of([&] { other.memory(); }) == "the lease was moved from");
  CHECK(message_of([&] { ensemble.submit(lease, SubmitDone{}); }) == "submit() was given an empty callback");
}

TEST_CASE("leases of no samples, of too many, and of another ensemble are refused") {
  const NothingLeft census;
  Ensemble ensemble(published(leasing_spec(1)), with_worker());
  CHECK(message_of([&] { ensemble.lease(0); }) == "a lease needs at least one sample");
  const auto large = error_of([&] { ensemble.lease(9); });
  CHECK(large->kind() == ErrorKind::usage);
  CHECK(large->message() == "a lease of 9 samples does not fit into a slot");
  CHECK(large->detail() == "a slot takes 8 samples");
  Ensemble other(published(leasing_spec(1)), with_worker());
  Lease lease = other.lease(1);
  CHECK(message_of([&] { ensemble.submit(lease); }) == "the lease is one of another ensemble");
  CHECK(lease.open());
  CHECK(message_of([&] { lease.values<std::uint8_t>(); }) ==
        "the values of 'image' have another type than the one asked for");
  CHECK(error_of([&] { lease.tensor("table"); })->hint() == "they have image");
}

TEST_CASE("leases that are dropped unused give their slots back and others go on meanwhile") {
  const NothingLeft census;
  const auto spec = leasing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(50);
  for (int round = 0; round < 10; ++round) {
    const Lease first = ensemble.lease(1);
    const Lease second = ensemble.lease(8);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  }
  CHECK(ensemble.submit(view(images)).get().values == naive_mean(spec, images));
}

TEST_CASE("if all slots are leased lease waits or refuses as it is told") {
  const NothingLeft census;
  const auto spec = leasing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(3);
  Lease first = written(ensemble, images);
  std::optional<Lease> second = ensemble.lease(1);
  const auto full = error_of([&] { ensemble.lease(1, refusing()); });
  CHECK(full->message() == "no slot can be leased now");
  CHECK(full->detail() == "2 of 3 slots can be leased at a time, and other calls use the same slots");
  CHECK_THROWS_AS(ensemble.lease(1, refusing()), QueueFull);
  SubmitOptions soon;
  soon.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  const auto late = error_of([&] { ensemble.lease(1, soon); });
  CHECK(late->kind() == ErrorKind::interrupted);
  CHECK(late->message() == "no slot could be leased before the deadline");
  std::stop_source stop;
  SubmitOptions stoppable;
  stoppable.stop = stop.get_token();
  std::string stopped;
  std::thread waiting([&] { stopped = message_of([&] { ensemble.lease(1, stoppable); }); });
  stop.request_stop();
  waiting.join();
  CHECK(stopped == "the lease was given up: its caller requested a stop");
  std::vector<float> values;
  SUBCASE("until one is given back") {
    std::thread next([&] {
      Lease lease = written(ensemble, images);
      values = ensemble.submit(lease).get().values;
    });
    second.reset();
    next.join();
  }
  SUBCASE("until one is submitted") {
    std::thread next([&] {
      Lease lease = written(ensemble, images);
      values = ensemble.submit(lease).get().values;
    });
    CHECK(ensemble.submit(first).get().values == naive_mean(spec, images));
    next.join();
  }
  CHECK(values == naive_mean(spec, images));
}

TEST_CASE("leases may outlive their ensemble, and nothing waits for them") {
  const NothingLeft census;
  std::optional<Ensemble> ensemble(std::in_place, published(leasing_spec(1)), with_worker());
  Lease first = ensemble->lease(8);
  Lease second = ensemble->lease(2);
  std::string waited;
  std::atomic<bool> begins = false;
  std::thread waiting([&] {
    begins = true;
    waited = message_of([&] { ensemble->lease(1); });
  });
  while (!begins) std::this_thread::yield();
  SUBCASE("that is closed") {
    ensemble->interrupt();  // a call must have started when the ensemble is destroyed
    waiting.join();
    CHECK(waited == "interrupted");
    ensemble.reset();
  }
  SUBCASE("that drains") {
    ensemble->drain();
    waiting.join();
    CHECK(waited == "interrupted");
    CHECK(message_of([&] { ensemble->lease(1); }) == "interrupted");
    CHECK(message_of([&] { ensemble->submit(first).get(); }) == "interrupted");
    ensemble.reset();
    CHECK_FALSE(first.open());
    first = std::move(second);
  }
  for (float& value : first.values<float>()) value = 1;  // its memory is there
  std::vector<float> read(first.values<float>().begin(), first.values<float>().end());
  CHECK(std::ranges::all_of(read, [](float value) { return value == 1; }));
  first.give_back();
}

TEST_CASE("a lease that is held while workers die is predicted by the next ones") {
  const NothingLeft census;
  auto spec = leasing_spec(2);
  spec.failure.back_off = 0.001;
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(8);
  Lease lease = written(ensemble, images);
  for (const MemberStatus& member : ensemble.status().members) ::kill(member.pid, SIGKILL);
  CHECK(happens([&] { return ensemble.status().faults.restarts == 2; }));
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  CHECK(ensemble.submit(lease).get().values == naive_mean(spec, images));
  Lease next = written(ensemble, images);
  auto future = ensemble.submit(next);
  ::kill(ensemble.status().members[0].pid, SIGKILL);
  CHECK(future.get().values == naive_mean(spec, images));
}

TEST_CASE("a submission of a lease that is refused or given up loses neither slot nor samples") {
  const NothingLeft census;
  auto spec = leasing_spec(1);
  fake_model(spec, 0).delay_us = 20000;
  auto options = with_worker();
  options.most_submissions = 1;
  Ensemble ensemble(published(spec), options);
  const auto images = random_images(8);
  Lease lease = written(ensemble, images);
  auto before = ensemble.submit(view(images));
  CHECK_THROWS_AS(ensemble.submit(lease, refusing()), QueueFull);
  CHECK(lease.open());
  CHECK(ensemble.submit(lease).get().values == naive_mean(spec, images));
  CHECK(before.get().values == naive_mean(spec, images));
  for (int round = 0; round < 6; ++round) {
    Lease late = written(ensemble, images);
    SubmitOptions passed;
    passed.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
    CHECK(message_of([&] { ensemble.submit(late, passed).get(); }) == "the prediction was not ready at its deadline");
  }
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("leases in callbacks do not wait, and in a source they are refused") {
  const NothingLeft census;
  const auto spec = leasing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(2);
  const Lease first = ensemble.lease(1);
  std::optional<Lease> second = ensemble.lease(1);
  std::promise<std::string> said;
  ensemble.submit(view(images),
                  [&](std::future<Predictions>) { said.set_value(message_of([&] { ensemble.lease(1); })); });
  CHECK(said.get_future().get() == "no slot can be leased now");
  second.reset();
  std::promise<std::vector<float>> values;
  ensemble.submit(view(images), [&](std::future<Predictions>) {
    Lease lease = written(ensemble, images);
    ensemble.submit(lease, [&](std::future<Predictions> future) { values.set_value(future.get().values); });
  });
  CHECK(values.get_future().get() == naive_mean(spec, images));
  struct Leasing final : ListSink {
    explicit Leasing(Ensemble& to) : ensemble(to) {}
    void write(const SegmentResult&) override { ensemble.lease(1); }
    Ensemble& ensemble;
  } sink(ensemble);
  ListSource source(images, {});
  CHECK(message_of([&] { ensemble.run(source, sink); }) ==
        "an ensemble cannot be called from inside its own source or sink");
}

TEST_CASE("a callback finds the lease submitted and may destroy it") {
  const NothingLeft census;
  const auto spec = leasing_spec(1);
  Ensemble ensemble(published(spec), with_worker());
  for (int round = 0; round < 20; ++round) {
    auto lease = std::make_unique<Lease>(written(ensemble, random_images(1)));
    std::promise<bool> open;
    ensemble.submit(*lease, [&](std::future<Predictions>) {
      const bool is_open = lease->open();
      lease.reset();
      open.set_value(is_open);
    });
    CHECK_FALSE(open.get_future().get());
  }
}

TEST_CASE("with coalesce a lease has its own batches, which are whole") {
  const NothingLeft census;
  auto spec = coalescing_spec(1, 1000);
  spec.slots = 3;
  Ensemble ensemble(published(spec), with_worker());
  CHECK(error_of([&] { ensemble.lease(7); })->detail() == "a slot takes 6 samples");
  for (const std::size_t count : {1U, 4U, 6U}) {
    CAPTURE(count);
    const auto before = ensemble.status().members[0];
    const auto images = random_images(count, count);
    Lease lease = written(ensemble, images);
    const Predictions p = ensemble.submit(lease).get();
    CHECK(p.values == naive_mean(spec, images));
    CHECK(p.count == count);
    const auto after = ensemble.status().members[0];
    CHECK(after.segments_answered == before.segments_answered + 1);
    CHECK(after.images == before.images + (count + 2) / 3 * 3);
  }
  auto single = single_images(3);
  std::vector<std::future<Predictions>> calls;
  Lease lease = written(ensemble, random_images(2, 9));
  for (const auto& image : single) calls.push_back(ensemble.submit(view(image)));
  CHECK(ensemble.submit(lease).get().values == naive_mean(spec, random_images(2, 9)));
  for (std::size_t i = 0; i < 3; ++i) CHECK(calls[i].get().values == naive_mean(spec, single[i]));
}

TEST_CASE("each tensor of a lease has its own memory and type") {
  const NothingLeft census;
  const auto spec = config::load_text(R"(
members:
  - {name: both, model: {kind: fake, classes: 4}, takes: [image, ids]}
  - {name: prepared, model: {kind: fake, classes: 4}, takes: image, input: {}}
assignment: cpu
combine: {rule: mean, over: logits}
input:
  inputs:
    image: {shape: [2, 3, 3], dtype: uint8}
    ids: {shape: [5], dtype: int64}
    flag: {shape: [], dtype: bool}
segment_images: 8
batch_images: 3
)",
                                      "test");
  Ensemble ensemble(published(spec), with_worker());
  std::vector<std::uint8_t> pixels(4 * 18);
  std::vector<std::int64_t> ids(4 * 5);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
  const bool flags[4] = {true, false, true, true};
  const Samples samples{{"ids", ids, {5}}, {"flag", std::span(flags), {}}, {"image", pixels, {2, 3, 3}}};
  Lease lease = ensemble.lease(4);
  CHECK(lease.tensors().size() == 3);
  CHECK(error_of([&] { lease.values<float>(); })->message() == "the samples of the lease have 3 tensors");
  std::ranges::copy(pixels, lease.tensor("image").values<std::uint8_t>().begin());
  std::ranges::copy(ids, lease.tensor("ids").values<std::int64_t>().begin());
  std::ranges::copy(flags, lease.tensor("flag").values<bool>().begin());
  CHECK(ensemble.submit(lease).get().values == ensemble.predict(samples).values);
}

TEST_CASE("a cascade, views and a quorum answer leased samples like others") {
  const NothingLeft census;
  std::string more;
  SUBCASE("cascade") { more = "cascade: {after: [a], when: {confidence_below: 0.4}, then: [b]}\n"; }
  SUBCASE("views") { more = "views: [identity, hflip]\n"; }
  SUBCASE("quorum") { more = "quorum: {members: 2}\n"; }
  Ensemble ensemble(published(config::load_text("members:\n"
                                                "  - {name: a, model: {kind: fake, classes: 4}}\n"
                                                "  - {name: b, model: {kind: fake, classes: 4}}\n"
                                                "assignment: cpu\ninput: {shape: [2, 3, 3]}\nsegment_images: 8\n" +
                                                    more,
                                                "test")),
                    with_worker());
  const auto images = random_images(8);
  Lease lease = written(ensemble, images);
  const Predictions leased = ensemble.submit(lease).get();
  const Predictions others = ensemble.submit(view(images)).get();
  CHECK(leased.values == others.values);
  CHECK(leased.incomplete == others.incomplete);
}

TEST_CASE("what is not stored as it is submitted cannot be leased, and the error says why") {
  const NothingLeft census;
  auto one_slot = leasing_spec(1);
  one_slot.slots = 1;
  Ensemble single(published(one_slot), with_worker());
  CHECK(error_of([&] { single.lease(1); })->detail() == "it has one slot, which other calls need");
  auto training = with_worker();
  training.training = true;
  auto trains = leasing_spec(1);
  Ensemble trainer(published(trains), training);
  CHECK(error_of([&] { trainer.lease(1); })->detail() == "it was made to train, and a training needs its slots");
  auto tiled = leasing_spec(1);
  tiled.input.tiles = Tiles{{3, 3}, 0, Blend::mean};
  fake_model(tiled, 0).per_class = {3, 3};
  Ensemble tiles(published(tiled), with_worker());
  CHECK(error_of([&] { tiles.lease(1); })->detail() == "its 'input' has 'tiles', which are cut out of larger images");
  Ensemble pictures(published(config::load_text("members: [{name: a, model: {kind: fake, classes: 4}}]\n"
                                                "assignment: cpu\ninput: {resize: 6, crop: 4}\n",
                                                "test")),
                    with_worker());
  const auto resized = error_of([&] { pictures.lease(1); });
  CHECK(resized->kind() == ErrorKind::usage);
  CHECK(resized->message() == "samples of this ensemble cannot be leased");
  CHECK(resized->detail() == "its slots hold each picture in the sizes of its members, which are made when it is read");
}

}  // namespace
}  // namespace tutti::test
