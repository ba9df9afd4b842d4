// The real worker program, and in the test the coordinator's side of it: socket, memories, bells, checkpoint files. One
// step at a time, and any of them may find that the worker has died. For tests only.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"
#include "common/wire/doorbell.hpp"
#include "common/wire/spawn_contract.hpp"
#include "coordinator/process/checkpoint_file.hpp"
#include "coordinator/process/child.hpp"
#include "tests/support/census.hpp"
#include "tests/worker/requests.hpp"
#include "worker/control_client.hpp"

namespace tutti::test {

/// They outlive the workers that write to them.
struct Checkpoints {
  UniqueFd first = make_checkpoint_file();
  UniqueFd second = make_checkpoint_file();
};

/// The worker has ended, or has reported why it will.
struct Died {
  std::string words;
};

class Hosted {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  /// `arguments` besides those that every worker gets.
  Hosted(const std::string& program, const ArenaLayout& arena, std::uint32_t width, const Checkpoints& files,
         const std::vector<std::string>& arguments = {}, const Environment& environment = {})
      : layout_(arena),
        channel_layout_(arena.slots, arena.images, {width}),
        arena_file_(memory_of("arena", arena.bytes())),
        channel_file_(memory_of("channel", channel_layout_.bytes())),
        arena_(arena_file_, Access::read_write, "the arena"),
        channel_(channel_file_, channel_layout_),
        tasks_(channel_.tasks()),
        completions_(channel_.completions()),
        sockets_(Sockets::make()),
        child_(Child::spawn({program, with_place(arguments), environment, descriptors()})),
        control_(std::move(sockets_.coordinator)),
        files_(files) {
    arena_file_.seal_future_write();
    sockets_.worker.reset();
  }

  int pid() const { return child_.pid(); }
  void send(const control::Message& message) { control_.send(message); }
  /// The next message of this type. Throws Died if the worker ends, with its words if it has any.
  template <class Expected>
  Expected receive() {
    const auto message = control_.receive();
    if (!message) throw Died{};
    if (const auto* failure = std::get_if<control::Failure>(&*message)) throw Died{failure->text};
    return std::get<Expected>(*message);
  }
  /// Sends one, receives the other.
  template <class Expected>
  Expected ask(const control::Message& message) {
    send(message);
    return receive<Expected>();
  }
  control::Ready load(const MemberRequest& request) { return ask<control::Ready>(control::Load{request}); }
  void start(std::uint32_t generation = 0) {
    send(control::Start{Generation(generation), {channel_layout_.width(0)}, layout_, false});
    send_checkpoint_file(control_.fd(), 0, files_.first.get());
    send_checkpoint_file(control_.fd(), 1, files_.second.get());
  }
  /// Puts images into a slot; labels are the numbers of the images modulo the width.
  void fill(std::uint32_t slot, const std::vector<float>& pixels, std::uint64_t first_number) {
    const auto count = static_cast<std::uint32_t>(pixels.size() / layout_.arrays.front().elements());
    const auto view = slot_view(arena_.data(), layout_, SlotId(slot), count);
    std::copy(pixels.begin(), pixels.end(), view.floats().begin());
    for (std::uint32_t i = 0; i < count; ++i) {
      view.numbers[i] = first_number + i;
      view.labels[i] = static_cast<std::int64_t>(view.numbers[i] % channel_layout_.width(0));
    }
  }
  void hand_out(const TaskRecord& task) {
    if (tasks_.push(task) != RingStatus::ok) throw std::runtime_error("the task ring is full");
    if (tasks_.consumer_is_parked()) task_bell_.ring();
  }
  /// The next completion; what was published before a death is found. Throws Died.
  CompletionRecord answer() {
    for (bool ended = false;;) {
      CompletionRecord record;
      completions_.unpark();
      if (completions_.pop(record) == RingStatus::ok) return record;
      completions_.park();
      if (completions_.pop(record) == RingStatus::ok) return record;
      if (ended) throw died();
      pollfd ends[]{{completion_bell_.fd(), POLLIN, 0}, {child_.pidfd(), POLLIN, 0}};
      if (::poll(ends, 2, 60'000) < 1) throw std::runtime_error("no message came");
      completion_bell_.silence();
      ended = ends[1].revents != 0;
    }
  }
  std::vector<float> output(std::uint32_t slot, std::uint32_t images) const {
    const auto span = channel_.output(SlotId(slot), images);
    return {span.begin(), span.end()};
  }
  std::uint64_t progress() const { return channel_.status().progress; }
  ExitStatus end() {
    pollfd exit{child_.pidfd(), POLLIN, 0};
    if (::poll(&exit, 1, 60'000) != 1) throw std::runtime_error("the worker does not end");
    return reap(child_.pidfd()).value_or(GoneUnseen{});
  }
  ~Hosted() {
    send_signal(child_.pidfd(), SIGKILL);
    try {
      end();
    } catch (const std::exception&) {
    }
  }
  Hosted(const Hosted&) = delete;
  Hosted& operator=(const Hosted&) = delete;

 private:
  static MemoryFile memory_of(const char* tag, std::uint64_t bytes) {
    MemoryFile file = MemoryFile::create(tag);
    file.allocate(bytes, "a test");
    return file;
  }
  static std::vector<std::string> with_place(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--member=m0", "--parent=" + std::to_string(::getpid())});
    return arguments;
  }
  std::vector<int> descriptors() const {
    return {
        -1, 1, 2, sockets_.worker.get(), arena_file_.fd(), channel_file_.fd(), task_bell_.fd(), completion_bell_.fd()};
  }
  Died died() {
    const auto message = control_.receive();
    const auto* failure = message ? std::get_if<control::Failure>(&*message) : nullptr;
    return {failure == nullptr ? "" : failure->text};
  }

  ArenaLayout layout_;
  ChannelLayout channel_layout_;
  MemoryFile arena_file_;
  MemoryFile channel_file_;
  Mapping arena_;
  Channel channel_;
  RingProducer<TaskRecord> tasks_;
  RingConsumer<CompletionRecord> completions_;
  Doorbell task_bell_ = Doorbell::create();
  Doorbell completion_bell_ = Doorbell::create();
  Sockets sockets_;
  Child child_;
  worker::ControlClient control_;
  const Checkpoints& files_;
};

}  // namespace tutti::test
