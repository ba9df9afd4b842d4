// Members as threads of this process, and this thread as the coordinator: it fills slots, hands out, parks and sleeps
// on its bells as the coordinator's loop does. Each channel and the arena are one mapping that both ends use, so that
// ThreadSanitizer sees every access; the predictions, their order and the progress are checked too. A mistake in the
// handshake of parking shows here only by chance: scripts/model-check finds it for certain.
#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/thread.hpp"
#include "common/wire/channel.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/requests.hpp"
#include "worker/fake.hpp"
#include "worker/unit_loop.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kMembers = 2;
constexpr std::uint32_t kClasses = 4;
const ArenaLayout kOneArena{4, 8, kShape};
const ChannelLayout kChannel{kOneArena.slots, kOneArena.images, {kClasses}};
constexpr int kOversleptMilliseconds = 30'000;

/// Lets the other threads run ahead by some random time: mostly little, at times a scheduler's turn.
class Pauses {
 public:
  explicit Pauses(std::uint64_t seed) : random_(seed) {}
  void pause() {
    const std::uint64_t kind = random_() % 12;
    if (kind == 0) return std::this_thread::yield();
    const std::uint64_t turns = random_() % (std::uint64_t{1} << (kind - 1));
    for (std::uint64_t i = 0; i < turns; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  std::mt19937_64 random_;
};

/// The fake model with pauses.
class HesitantModel final : public worker::Model {
 public:
  HesitantModel(const MemberRequest& request, std::uint64_t seed)
      : model_(worker::make_fake_model(request)), pauses_(seed) {}
  Dims output() const override { return model_->output(); }
  std::uint64_t parameters() const override { return model_->parameters(); }
  void predict(const worker::Samples& samples, std::uint32_t count, std::span<float> output) override {
    pauses_.pause();
    model_->predict(samples, count, output);
    pauses_.pause();
  }
  std::span<const float> probe(const worker::Samples& samples, std::uint32_t count) override {
    return model_->probe(samples, count);
  }
  worker::Trainable* trainable() override { return model_->trainable(); }

 private:
  std::unique_ptr<worker::Model> model_;
  Pauses pauses_;
};

MemoryFile memory(std::uint64_t bytes) {
  MemoryFile file = MemoryFile::create("test");
  file.allocate(bytes, "a test");
  return file;
}

/// One member in its thread, and the coordinator's ends towards it. A completion is judged as the ledger does: it
/// completes the oldest task that is open.
class Member {
 public:
  Member(std::uint32_t rank, std::byte* arena, std::uint64_t seed)
      : request_(fake_request()),
        start_{.widths = {kClasses}, .arena = kOneArena},
        arena_(arena),
        channel_(memory(kChannel.bytes()), kChannel),
        tasks_(channel_.tasks()),
        completions_(channel_.completions()) {
    request_.seed = 100 + rank;
    model_.emplace(request_, seed);
    Sockets sockets = Sockets::make();
    control_.emplace(std::move(sockets.coordinator));
    client_.emplace(std::move(sockets.worker));
    thread_ = start_thread("member", [this] { run(); });
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() { end(); }

  void hand_out(const TaskRecord& task) {
    open_.push_back(task);
    REQUIRE(tasks_.push(task) == RingStatus::ok);
    if (tasks_.consumer_is_parked()) task_bell_.ring();
  }
  /// As WorkerProcess::drain_completions: until the ring is empty after this end was parked.
  template <class OnAnswer>
  void drain(OnAnswer on_answer) {
    completions_.unpark();
    bool parked = false;
    for (std::uint64_t left = 2 * kChannel.ring_capacity() + 1; left > 0; --left) {
      CompletionRecord record;
      const RingStatus status = completions_.pop(record);
      if (status == RingStatus::ok) {
        check(record);
        on_answer(record);
      } else if (status != RingStatus::would_block) {
        FAIL("the completion ring is corrupt or closed");
      } else if (parked) {
        return;
      } else {
        completions_.park();
        parked = true;
      }
    }
    FAIL("the member completes more tasks than it got");
  }

  const Channel& channel() const { return channel_; }
  Doorbell& completion_bell() { return completion_bell_; }
  std::size_t open() const { return open_.size(); }
  std::uint64_t progress() const { return channel_.status().progress.load(std::memory_order_acquire); }
  void stop() { control_->send(control::Stop{}); }
  void hang_up() { control_.reset(); }
  void close_ring() {
    tasks_.close();
    if (tasks_.consumer_is_parked()) task_bell_.ring();
  }
  /// Ends the loop, if it has not ended by itself, and returns what it threw, or "left".
  std::string end() {
    hang_up();
    if (thread_.joinable()) thread_.join();
    return end_;
  }
  /// As end(), for a loop that has a reason to leave: the socket stays open until it has.
  std::string wait() {
    thread_.join();
    return end_;
  }

 private:
  void check(const CompletionRecord& record) {
    REQUIRE_FALSE(open_.empty());
    const TaskRecord& task = open_.front();
    REQUIRE(record.sequence == task.sequence);
    REQUIRE(record.segment == task.segment);
    REQUIRE(record.slot == task.slot);
    REQUIRE(record.images == task.images);
    REQUIRE(record.status == CompletionStatus::done);
    open_.pop_front();
  }
  void run() {
    try {
      worker::UnitLoop({{{*model_, request_}}, false, start_, arena_, channel_, task_bell_, completion_bell_, *client_})
          .run();
    } catch (const std::exception& error) {
      end_ = error.what();
    }
  }

  MemberRequest request_;
  control::Start start_;
  std::byte* arena_;
  Channel channel_;
  RingProducer<TaskRecord> tasks_;
  RingConsumer<CompletionRecord> completions_;
  Doorbell task_bell_ = Doorbell::create();
  Doorbell completion_bell_ = Doorbell::create();
  std::optional<HesitantModel> model_;
  std::optional<worker::ControlClient> control_;
  std::optional<worker::ControlClient> client_;
  std::deque<TaskRecord> open_;
  std::string end_ = "left";
  std::thread thread_;
};

/// The coordinator's side of it all. Segment n has the images of set n % kSets, as many as its length says.
class Ends {
 public:
  explicit Ends(std::uint64_t seed) : pauses_(seed), arena_(memory(kOneArena.bytes()), Access::read_write, "a test") {
    for (std::uint64_t set = 0; set < kSets; ++set) {
      images_.push_back(random_images(kOneArena.images, set));
      for (std::uint32_t rank = 0; rank < kMembers; ++rank)
        expected_[rank].push_back(naive_answer(fake_spec(kMembers), rank, images_.back()));
    }
    for (std::uint32_t slot = 0; slot < kOneArena.slots; ++slot) free_slots_.push_back(SlotId(slot));
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) {
      members_[rank] = std::make_unique<Member>(rank, arena_.data(), seed + 1 + rank);
      drain(rank);  // parks this end, so that the first completion rings
    }
  }

  /// Hands out `count` segments in groups that are completed before the next one: then nothing else wakes an end
  /// that has missed its bell.
  void run(std::uint64_t count) {
    for (const std::uint64_t end = handed_out_ + count; handed_out_ < end;) {
      const std::uint64_t turn = 1 + pauses_.below(std::min<std::uint64_t>(free_slots_.size(), end - handed_out_));
      for (std::uint64_t i = 0; i < turn; ++i) hand_out();
      if (handed_out_ < end) finish();
    }
  }
  void finish() {
    while (!slot_owners_.empty()) {
      if (pauses_.below(2) == 0)
        look_for_answers();
      else
        wait_for_answers();
    }
  }
  /// Takes what member `rank` published before it left.
  void drain(std::uint32_t rank) {
    members_[rank]->drain([&](const CompletionRecord& record) { accept(rank, record); });
  }

  Member& member(std::uint32_t rank) { return *members_[rank]; }
  std::uint64_t batches(std::uint32_t rank) const { return batches_[rank]; }

 private:
  static constexpr std::uint64_t kSets = 16;
  /// How many members have not completed it yet.
  struct Open {
    SlotId slot;
    std::uint32_t left;
  };

  void hand_out() {
    const SlotId slot = free_slots_.front();
    free_slots_.pop_front();
    const auto count = static_cast<std::uint32_t>(1 + pauses_.below(kOneArena.images));
    const auto view = slot_view(arena_.data(), kOneArena, slot, count);
    std::copy_n(images_[handed_out_ % kSets].begin(), view.floats().size(), view.floats().begin());
    const std::uint64_t who = pauses_.below(kMembers + 1);  // one of them, or all
    slot_owners_.emplace(SegmentId(handed_out_), Open{slot, who < kMembers ? 1 : kMembers});
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) {
      if (who < kMembers && who != rank) continue;
      batches_[rank] += (count + 2) / 3;
      members_[rank]->hand_out({.sequence = Sequence(handed_out_),
                                .segment = SegmentId(handed_out_),
                                .slot = slot,
                                .images = count,
                                .batch_images = 3});
      pauses_.pause();
    }
    ++handed_out_;
  }

  // Sees completions sooner than a sleeper would: the next task then meets members on their way to sleep.
  void look_for_answers() {
    for (int looks = 0; looks < 20 && !slot_owners_.empty(); ++looks) {
      pauses_.pause();
      for (std::uint32_t rank = 0; rank < kMembers; ++rank) drain(rank);
    }
  }

  // With a task in flight a member computes, or its bell rings: a member that sleeps here for long has missed a bell.
  void wait_for_answers() {
    std::array<pollfd, kMembers> ends{};
    for (std::uint32_t rank = 0; rank < kMembers; ++rank)
      ends[rank] = {members_[rank]->completion_bell().fd(), POLLIN, 0};
    const int rung = ::poll(ends.data(), ends.size(), kOversleptMilliseconds);
    REQUIRE_MESSAGE(rung > 0, "a task or a completion waits and no thread was woken");
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) {
      if (ends[rank].revents == 0) continue;
      members_[rank]->completion_bell().silence();
      drain(rank);
    }
  }

  void accept(std::uint32_t rank, const CompletionRecord& record) {
    const auto output = members_[rank]->channel().output(record.slot, record.images);
    const auto& expected = expected_[rank][record.segment.value() % kSets];
    REQUIRE(std::equal(output.begin(), output.end(), expected.begin()));
    const auto owner = slot_owners_.find(record.segment);
    REQUIRE(owner != slot_owners_.end());
    if (--owner->second.left > 0) return;
    free_slots_.push_back(owner->second.slot);
    slot_owners_.erase(owner);
  }

  Pauses pauses_;
  Mapping arena_;
  std::vector<std::vector<float>> images_;
  std::array<std::vector<std::vector<float>>, kMembers> expected_;
  std::deque<SlotId> free_slots_;
  std::map<SegmentId, Open> slot_owners_;
  std::uint64_t handed_out_ = 0;
  std::array<std::uint64_t, kMembers> batches_{};
  std::array<std::unique_ptr<Member>, kMembers> members_;
};

TEST_CASE("two members and their coordinator complete every segment in order whatever pauses they make") {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    CAPTURE(seed);
    Ends ends(seed);
    ends.run(5000);
    ends.finish();
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) {
      CHECK(ends.member(rank).open() == 0);
      CHECK(ends.member(rank).progress() == ends.batches(rank));
      ends.member(rank).stop();
      CHECK(ends.member(rank).wait() == "left");
    }
  }
}

TEST_CASE("a ring that is closed behind segments in flight is emptied and its tasks are completed") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Ends ends(seed);
    ends.run(1 + seed % 7);
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) ends.member(rank).close_ring();
    for (std::uint32_t rank = 0; rank < kMembers; ++rank) {
      CHECK(ends.member(rank).wait() == "left");
      ends.drain(rank);
      CHECK(ends.member(rank).open() == 0);
    }
  }
}

TEST_CASE("a member that loses its coordinator leaves and what it published can be read") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Ends ends(seed);
    ends.run(1 + seed % 7);
    ends.member(0).hang_up();
    CHECK(ends.member(0).wait() == "left");
    ends.drain(0);
    ends.member(1).stop();
    CHECK(ends.member(1).wait() == "left");
    ends.drain(1);
  }
}

}  // namespace
}  // namespace tutti::test
