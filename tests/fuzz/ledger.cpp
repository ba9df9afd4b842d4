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

/// A ledger, and next to it a simple list of the tasks that a member may still complete.
class Game {
 public:
  void step(fuzz::Input& input) {
    switch (input.below(4)) {
      case 0:
        return open(input);
      case 1:
        return replace(input.below(kMembers));
      case 2:
        return answer(input.below(kMembers), arbitrary(input));
      default:
        const std::size_t rank = input.below(kMembers);
        return answer(rank, nearly_right(input, rank));
    }
  }

 private:
  struct Member {
    std::uint32_t generation = 0;
    std::map<std::uint64_t, TaskRecord> owed;  ///< by segment
  };

  void open(fuzz::Input& input) {
    const std::uint32_t who = 1 + input.below((1U << kMembers) - 1);
    const std::uint32_t slot = input.below(4);
    const std::uint32_t images = 1 + input.below(8);
    std::vector<bool> asked;
    for (std::size_t rank = 0; rank < kMembers; ++rank) asked.push_back((who >> rank & 1U) != 0);
    const std::uint64_t segment = ledger_.open(slot, images, TaskKind::predict, asked);
    for (std::size_t rank = 0; rank < kMembers; ++rank)
      if (asked[rank]) hand_out(segment, rank);
  }
  void hand_out(std::uint64_t segment, std::size_t rank) {
    Member& member = members_[rank];
    member.owed[segment] = ledger_.hand_out(segment, rank, member.generation);
  }
  /// The worker died: its replacement gets the open tasks.
  void replace(std::size_t rank) {
    ++members_[rank].generation;
    for (const auto& [segment, task] : std::map(members_[rank].owed)) hand_out(segment, rank);
  }

  static CompletionRecord arbitrary(fuzz::Input& input) { return input.take<CompletionRecord>(); }
  /// The completion of an open task, with at most one wrong field.
  CompletionRecord nearly_right(fuzz::Input& input, std::size_t rank) const {
    CompletionRecord record = last_;
    const auto& owed = members_[input.below(2) == 0 ? rank : kMembers - 1 - rank].owed;
    if (!owed.empty()) {
      const TaskRecord& task = std::next(owed.begin(), input.below(static_cast<std::uint32_t>(owed.size())))->second;
      record = {task.sequence, task.segment, task.generation, task.slot, task.images};
    }
    const auto by = static_cast<std::uint32_t>(input.take<std::int8_t>());
    switch (input.below(12)) {
      case 0:
        record.sequence += by;
        break;
      case 1:
        record.segment += by;
        break;
      case 2:
        record.generation += by;
        break;
      case 3:
        record.slot += by;
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

  bool is_owed(std::size_t rank, const CompletionRecord& record) const {
    const auto found = members_[rank].owed.find(record.segment);
    if (found == members_[rank].owed.end()) return false;
    const TaskRecord& task = found->second;
    const bool status = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite;
    return status && record.sequence == task.sequence && record.generation == members_[rank].generation &&
           record.slot == task.slot && record.images == task.images;
  }

  void answer(std::size_t rank, const CompletionRecord& record) {
    last_ = record;
    const bool owed = is_owed(rank, record);
    const Verdict verdict = ledger_.accept(rank, members_[rank].generation, record);
    const bool accepted = verdict == Verdict::accepted || verdict == Verdict::segment_done;
    must(accepted == owed, "exactly the open tasks are accepted");
    if (!accepted) return;
    members_[rank].owed.erase(record.segment);
    bool open = false;
    for (const Member& member : members_) open = open || member.owed.contains(record.segment);
    must((verdict == Verdict::segment_done) == !open, "a segment is done with its last completion");
    if (verdict == Verdict::segment_done) ledger_.close(record.segment);
  }

  Ledger ledger_{kMembers};
  std::array<Member, kMembers> members_;
  CompletionRecord last_;  ///< the previous record, which is sent again if no task is open
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Game game;
  while (!input.empty()) game.step(input);
  return 0;
}
