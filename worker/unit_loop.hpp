// The loop of a ready worker: it takes tasks from its ring, has the members of its unit carry them out, publishes the
// completions, and sleeps when there is nothing to do.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "common/mutex.hpp"
#include "common/wire/doorbell.hpp"
#include "worker/control_client.hpp"
#include "worker/feeds.hpp"
#include "worker/fused_members.hpp"
#include "worker/hosted_member.hpp"
#include "worker/member_thread.hpp"
#include "worker/memory_bound.hpp"

namespace tutti::worker {

/// A loaded and warm member.
struct UnitMember {
  Model& model;
  const MemberRequest& request;
  MemberThread* thread = nullptr;  ///< computes for it; null: the thread of the loop does
  RowWork* rows = nullptr;         ///< see MemberParts
};

/// What the loop works on; all of it must outlive the loop.
struct LoopParts {
  std::vector<UnitMember> members;  ///< by seat; of fused members, `model` is that of all of them
  bool fused = false;
  const control::Start& start;
  const std::byte* arena;  ///< mapped read-only
  Channel& channel;
  Doorbell& task_bell;
  Doorbell& completion_bell;
  ControlClient& control;
};

/// Used by one thread.
class UnitLoop {
 public:
  /// Throws Error(usage) if the `input` of a member does not fit the arena.
  explicit UnitLoop(LoopParts parts);
  /// Waits for the members' threads.
  ~UnitLoop();
  UnitLoop(const UnitLoop&) = delete;
  UnitLoop& operator=(const UnitLoop&) = delete;

  /// Returns when told to stop or when the coordinator is gone. Throws what a model throws on this thread, and what
  /// MemoryBound throws between segments; what one
  /// throws on its own thread is reported to the coordinator, which ends the process.
  void run();

 private:
  bool sleep();  ///< false: leave
  bool obey(const control::Message& message);
  bool perform(const TaskRecord& task);  ///< false: leave
  bool await_feed(std::uint32_t number);
  void answer(const CompletionRecord& completion) TUTTI_EXCLUDES(publishing_);
  template <class Deed>
  void command(Seat seat, Deed deed);
  template <class Deed>
  void give(Seat seat, Deed deed);
  HostedMember& member_at(Seat seat);

  const LoopParts parts_;
  Feeds feeds_;
  std::vector<std::unique_ptr<HostedMember>> members_;  // by seat; none if they are fused
  std::optional<FusedMembers> fused_;
  std::vector<TaskRecord> together_;  // for fused members, of one segment: more will come
  RingConsumer<TaskRecord> tasks_;
  MemoryBound memory_;
  std::atomic<bool> failed_ = false;  // a model has thrown on its own thread: nothing more is answered
  Mutex publishing_;                  // the members' threads publish in turn
  RingProducer<CompletionRecord> completions_ TUTTI_GUARDED_BY(publishing_);
};

}  // namespace tutti::worker
