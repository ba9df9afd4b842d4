// A worker's loop as a thread of the test, and the coordinator's ends of rings, bells and socket. One mapping serves
// both sides, so that ThreadSanitizer sees every access. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/requests.hpp"
#include "worker/fake.hpp"
#include "worker/unit_loop.hpp"

namespace tutti::test {

inline const ArenaLayout kArena = [] {
  ArenaLayout layout{4, 8, kShape};
  layout.later_rounds = 2;
  return layout;
}();

/// A member in a thread, and the coordinator's side of it.
class Rig {
 public:
  /// Without a `model` the fake one of the request.
  explicit Rig(MemberRequest request, bool allow_nan = false, std::unique_ptr<worker::Model> model = nullptr)
      : request_(std::move(request)),
        start_{0, {4}, kArena, allow_nan},
        model_(model ? std::move(model) : worker::make_fake_model(request_)),
        arena_(kArena.bytes() / sizeof(Page) + 1),
        channel_(memory_of(layout()), layout()),
        tasks_(channel_.tasks()),
        completions_(channel_.completions()) {
    Sockets sockets = Sockets::make();
    control_.emplace(std::move(sockets.coordinator));
    client_.emplace(std::move(sockets.worker));
    thread_ = std::thread([this] { run(); });
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig() {
    control_.reset();  // end of file ends the loop in any state
    if (thread_.joinable()) thread_.join();
  }

  void fill(std::uint32_t slot, const std::vector<float>& images, std::uint64_t first_number = 0) {
    const auto count = static_cast<std::uint32_t>(images.size() / kShape.elements());
    const auto view = slot_view(arena(), kArena, SlotId(slot), count);
    std::copy(images.begin(), images.end(), view.floats().begin());
    for (std::uint32_t i = 0; i < count; ++i) {
      view.labels[i] = i % 4;
      view.numbers[i] = first_number + i;
    }
  }
  /// Which samples of the slot a later round asks for.
  void choose(std::uint32_t slot, Round round, const std::vector<std::uint32_t>& samples) {
    std::ranges::copy(
        samples, chosen_view(arena(), kArena, SlotId(slot), round, static_cast<std::uint32_t>(samples.size())).begin());
  }
  void hand_out(std::uint32_t slot, std::uint32_t images, TaskKind kind = TaskKind::predict,
                std::uint32_t checkpoint = 0, std::uint32_t batch_images = 3, Round round = {}) {
    REQUIRE(tasks_.push({Sequence(sequence_), SegmentId(10 + sequence_), 0, SlotId(slot), images, kind, round,
                         checkpoint, batch_images}) == RingStatus::ok);
    ++sequence_;
    if (tasks_.consumer_is_parked()) task_bell_.ring();
  }
  /// Waits for the next completion.
  CompletionRecord answer() {
    for (;;) {
      CompletionRecord record;
      completions_.unpark();
      if (completions_.pop(record) == RingStatus::ok) return record;
      completions_.park();
      if (completions_.pop(record) == RingStatus::ok) return record;
      pollfd end{completion_bell_.fd(), POLLIN, 0};
      if (::poll(&end, 1, 30'000) != 1) throw std::runtime_error("no completion came");
      completion_bell_.silence();
    }
  }
  /// Waits without parking for the next completion; false if none comes.
  bool answer_without_sleep() {
    CompletionRecord record;
    return spin_until([&] { return completions_.pop(record) == RingStatus::ok; });
  }
  bool reaches_progress(std::uint64_t batches) {
    return spin_until([&] { return progress() >= batches; });
  }
  std::vector<float> output(std::uint32_t slot, std::uint32_t images) const {
    const auto span = channel_.output(SlotId(slot), images);
    return {span.begin(), span.end()};
  }
  void send(const control::Message& message) { control_->send(message); }
  void keep_checkpoints_in(std::uint32_t file, const UniqueFd& fd) {
    send_checkpoint_file(control_->fd(), file, fd.get());
  }
  control::Message reply() {
    auto message = control_->receive();
    REQUIRE(message);
    return *message;
  }
  /// The next tasks have segments from 10 + `sequence` on.
  void start_from(std::uint64_t sequence) { sequence_ = sequence; }
  void close_ring() {
    tasks_.close();
    task_bell_.ring();
  }
  void hang_up() { control_.reset(); }
  /// The message of the loop's exception, or "left".
  std::string end() {
    thread_.join();
    return end_;
  }
  std::uint64_t progress() const { return channel_.status().progress; }
  void falsify_tail() { channel_.tasks().header->tail = 1000; }
  void ring_for_nothing() { task_bell_.ring(); }

 private:
  struct alignas(kPageBytes) Page {
    std::byte bytes[kPageBytes];
  };
  template <class Condition>
  static bool spin_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition())
      if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
  }
  static ChannelLayout layout() { return {kArena.slots, kArena.images, {4}}; }
  static MemoryFile memory_of(const ChannelLayout& layout) {
    MemoryFile file = MemoryFile::create("test");
    file.allocate(layout.bytes(), "a test");
    return file;
  }
  std::byte* arena() { return arena_.front().bytes; }
  void run() {
    try {
      worker::UnitLoop(
          {{{*model_, request_}}, false, start_, arena(), channel_, task_bell_, completion_bell_, *client_})
          .run();
      end_ = "left";
    } catch (const std::exception& error) {
      end_ = error.what();
    }
  }

  MemberRequest request_;
  control::Start start_;
  std::unique_ptr<worker::Model> model_;
  std::vector<Page> arena_;
  Channel channel_;
  RingProducer<TaskRecord> tasks_;
  RingConsumer<CompletionRecord> completions_;
  Doorbell task_bell_ = Doorbell::create();
  Doorbell completion_bell_ = Doorbell::create();
  std::optional<worker::ControlClient> control_;
  std::optional<worker::ControlClient> client_;
  std::uint64_t sequence_ = 0;
  std::string end_;
  std::thread thread_;
};

}  // namespace tutti::test
