// Completion records as a broken worker could write them, against a ledger with segments in flight: only what was
// handed out, to this member and in this generation, is accepted, and only once.
#include "coordinator/decide/ledger.hpp"

#include <array>
#include <map>
#include <optional>

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

constexpr std::size_t kMembers = 2;

/// A ledger, and next to it what a member may still answer, kept in the plainest way.
class Game {
 public:
  void step(fuzz::Input& input) {
    switch (input.below(4)) {
      case 0:
        return open(input);
      case 1:
        return replace(Rank(input.below(kMembers)));
      case 2:
        return answer(Rank(input.below(kMembers)), arbitrary(input));
      default:
        const Rank rank(input.below(kMembers));
        return answer(rank, nearly_right(input, rank));
    }
  }

 private:
  struct Member {
    Generation generation{};
    std::map<SegmentId, TaskRecord> owed;
  };

  void open(fuzz::Input& input) {
    const std::uint32_t who = 1 + input.below((1U << kMembers) - 1);
    const SlotId slot(input.below(4));
    const std::uint32_t images = 1 + input.below(8);
    ByRank<bool> asked(kMembers);
    for (const Rank rank : asked.ids()) asked[rank] = (who >> rank.value() & 1U) != 0;
    const SegmentId segment = ledger_.open(slot, images, TaskKind::predict, asked);
    for (const Rank rank : asked.ids())
      if (asked[rank]) hand_out(segment, rank);
  }
  void hand_out(SegmentId segment, Rank rank) {
    Member& member = members_[rank];
    member.owed[segment] = ledger_.hand_out(segment, rank, member.generation);
  }
  /// The worker died: its replacement gets what is unanswered.
  void replace(Rank rank) {
    ++members_[rank].generation;
    for (const auto& [segment, task] : std::map(members_[rank].owed)) hand_out(segment, rank);
  }

  static CompletionRecord arbitrary(fuzz::Input& input) { return input.take<CompletionRecord>(); }
  /// The answer to a task that is open for somebody, with at most one field wrong.
  CompletionRecord nearly_right(fuzz::Input& input, Rank rank) const {
    CompletionRecord record = last_;
    const auto& owed = members_[input.below(2) == 0 ? rank : Rank(kMembers - 1 - rank.value())].owed;
    if (!owed.empty()) {
      const TaskRecord& task = std::next(owed.begin(), input.below(static_cast<std::uint32_t>(owed.size())))->second;
      record = {task.sequence, task.segment, task.generation, task.slot, task.images};
    }
    const auto by = static_cast<std::uint32_t>(input.take<std::int8_t>());
    switch (input.below(12)) {
      case 0:
        record.sequence = Sequence(record.sequence.value() + by);
        break;
      case 1:
        record.segment = SegmentId(record.segment.value() + by);
        break;
      case 2:
        record.generation = Generation(record.generation.value() + by);
        break;
      case 3:
        record.slot = SlotId(record.slot.value() + by);
        break;
      case 4:
        record.images += by;
        break;
      case 5:
        record.status = static_cast<CompletionStatus>(by);
        break;
      default:
        break;
    }
    return record;
  }

  bool is_owed(Rank rank, const CompletionRecord& record) const {
    const auto found = members_[rank].owed.find(record.segment);
    if (found == members_[rank].owed.end()) return false;
    const TaskRecord& task = found->second;
    const bool status = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite;
    return status && record.sequence == task.sequence && record.generation == members_[rank].generation &&
           record.slot == task.slot && record.images == task.images;
  }

  void answer(Rank rank, const CompletionRecord& record) {
    last_ = record;
    const bool owed = is_owed(rank, record);
    const Verdict verdict = ledger_.accept(rank, members_[rank].generation, record);
    const bool accepted = verdict == Verdict::accepted || verdict == Verdict::segment_done;
    must(accepted == owed, "exactly what was handed out and is unanswered is accepted");
    if (!accepted) return;
    members_[rank].owed.erase(record.segment);
    bool open = false;
    for (const Member& member : members_) open = open || member.owed.contains(record.segment);
    must((verdict == Verdict::segment_done) == !open, "a segment is done with its last answer");
    if (verdict == Verdict::segment_done) ledger_.close(record.segment);
  }

  Ledger ledger_{kMembers};
  ByRank<Member> members_ = ByRank<Member>(kMembers);
  CompletionRecord last_;  ///< what came before, which is told again where nothing is owed
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Game game;
  while (!input.empty()) game.step(input);
  return 0;
}
