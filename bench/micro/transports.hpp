// Four ways to carry the records between a coordinator and its workers: Tutti's rings, spinning or parking, and two
// alternatives, a socket per worker and Boost.Interprocess's message queue. All carry the same records; images and
// predictions stay in shared memory. Records only: no ledger, no deaths, no deadlines.
//
// Each class has the same five functions:
//   hand_out, await             the coordinator's end: one thread
//   take, answer                worker w's end: one thread, perhaps of a forked process
// and is created before any peer starts. A record that breaks the protocol throws std::logic_error.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "common/wire/channel.hpp"
#include "common/wire/doorbell.hpp"

namespace tutti::bench::micro {

/// The memory between the coordinator and each worker: rings, and predictions of `images` x `width` in `slots` slots.
class Channels {
 public:
  Channels(std::size_t workers, const ChannelLayout& layout);
  std::size_t size() const noexcept { return channels_.size(); }
  const Channel& operator[](std::size_t worker) const { return *channels_[worker]; }

 private:
  std::vector<std::unique_ptr<Channel>> channels_;
};

/// The two ends of a worker's rings, apart from each other, since two threads may use them.
struct RingEnds {
  explicit RingEnds(const Channel& channel)
      : tasks_in(channel.tasks()),
        completions_out(channel.completions()),
        tasks_out(channel.tasks()),
        completions_in(channel.completions()) {}
  alignas(kCacheLineBytes) RingConsumer<TaskRecord> tasks_in;
  RingProducer<CompletionRecord> completions_out;
  alignas(kCacheLineBytes) RingProducer<TaskRecord> tasks_out;
  RingConsumer<CompletionRecord> completions_in;
};

/// Rings whose consumers spin.
class SpinningRings {
 public:
  explicit SpinningRings(const Channels& channels);
  void hand_out(std::size_t worker, const TaskRecord& task);
  CompletionRecord await();
  TaskRecord take(std::size_t worker);
  void answer(std::size_t worker, const CompletionRecord& completion);

 private:
  std::vector<std::unique_ptr<RingEnds>> ends_;
};

/// Rings whose consumers park and are woken by doorbells, as in the product.
class ParkedRings {
 public:
  explicit ParkedRings(const Channels& channels);
  void hand_out(std::size_t worker, const TaskRecord& task);
  CompletionRecord await();
  TaskRecord take(std::size_t worker);
  void answer(std::size_t worker, const CompletionRecord& completion);

 private:
  bool pop_any(CompletionRecord& record);

  std::vector<std::unique_ptr<RingEnds>> ends_;
  std::vector<Doorbell> task_bells_;
  std::vector<Doorbell> completion_bells_;
};

/// An AF_UNIX SEQPACKET socket per worker; the coordinator polls them.
class Sockets {
 public:
  explicit Sockets(const Channels& channels);
  void hand_out(std::size_t worker, const TaskRecord& task);
  CompletionRecord await();
  TaskRecord take(std::size_t worker);
  void answer(std::size_t worker, const CompletionRecord& completion);

 private:
  std::vector<UniqueFd> ours_;
  std::vector<UniqueFd> theirs_;
};

/// Boost.Interprocess's message queue: one of tasks per worker, one of completions for all.
class MessageQueues {
 public:
  explicit MessageQueues(const Channels& channels);
  void hand_out(std::size_t worker, const TaskRecord& task);
  CompletionRecord await();
  TaskRecord take(std::size_t worker);
  void answer(std::size_t worker, const CompletionRecord& completion);

 private:
  using Queue = boost::interprocess::message_queue;
  std::vector<std::unique_ptr<Queue>> tasks_;
  std::unique_ptr<Queue> completions_;
};

/// A worker, at the other end of any of them: writes a prediction for each image, then the completion. A task without
/// images ends it.
template <class Transport>
void serve(Transport& transport, const Channels& channels, std::size_t worker) {
  for (;;) {
    const TaskRecord task = transport.take(worker);
    if (task.images == 0) return;
    std::ranges::fill(channels[worker].output(task.slot, task.images), static_cast<float>(worker + 1));
    transport.answer(worker, {task.sequence, task.segment, task.generation, task.slot, task.images});
  }
}

}  // namespace tutti::bench::micro
