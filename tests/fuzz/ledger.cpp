// Completion records as a broken worker could write them, against a ledger with segments in flight: only what was
// handed out, to this member at its seat and in this generation of its worker, is accepted, and only once.
#include "coordinator/decide/ledger.hpp"

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

using namespace tutti;
using fuzz::must;

namespace {

constexpr std::size_t kMembers = 3;

/// The first two members share a worker.
Hosting hosting() {
  ByWorker<std::vector<Rank>> units;
  units.push_back({Rank(0), Rank(1)});
  units.push_back({Rank(2)});
  return Hosting(std::move(units));
}

/// A ledger, and next to it a simple list of the tasks that a member may still complete.
class Game {
 public:
  void step(fuzz::Input& input) {
    switch (input.below(4)) {
      case 0:
        return open(input);
      case 1:
        return replace(WorkerId(input.below(static_cast<std::uint32_t>(hosting_.workers()))));
      case 2:
        return answer(Rank(input.below(kMembers)), arbitrary(input));
      default:
        const Rank rank(input.below(kMembers));
        return answer(rank, nearly_right(input, rank));
    }
  }

 private:
  using Owed = std::map<SegmentId, TaskRecord>;

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
    owed_[rank][segment] = ledger_.hand_out(segment, rank, generation_of(rank));
  }
  /// The worker died: its replacement gets what is unanswered.
  void replace(WorkerId worker) {
    ++generations_[worker];
    for (const Rank rank : hosting_.members_of(worker))
      for (const auto& [segment, task] : Owed(owed_[rank])) hand_out(segment, rank);
  }
  Generation generation_of(Rank rank) const { return generations_[hosting_.worker_of(rank)]; }

  static CompletionRecord arbitrary(fuzz::Input& input) { return input.take<CompletionRecord>(); }
  /// The answer to a task that is open for somebody, with at most one field wrong.
  CompletionRecord nearly_right(fuzz::Input& input, Rank rank) const {
    CompletionRecord record = last_;
    const Owed& owed = owed_[Rank((rank.value() + input.below(kMembers)) % kMembers)];
    if (!owed.empty()) {
      const TaskRecord& task = std::next(owed.begin(), input.below(static_cast<std::uint32_t>(owed.size())))->second;
      record = {task.sequence, task.segment, task.generation, task.slot, task.images, task.seat};
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
      case 6:
        record.seat = Seat(record.seat.value() + by);
        break;
      default:
        break;
    }
    return record;
  }

  bool is_owed(Rank rank, const CompletionRecord& record) const {
    const auto found = owed_[rank].find(record.segment);
    if (found == owed_[rank].end()) return false;
    const TaskRecord& task = found->second;
    const bool status = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite;
    return status && record.sequence == task.sequence && record.generation == generation_of(rank) &&
           record.slot == task.slot && record.images == task.images && record.seat == hosting_.seat_of(rank);
  }

  void answer(Rank rank, const CompletionRecord& record) {
    last_ = record;
    const bool owed = is_owed(rank, record);
    const Verdict verdict = ledger_.accept(rank, generation_of(rank), record);
    const bool accepted = verdict == Verdict::accepted || verdict == Verdict::segment_done;
    must(accepted == owed, "exactly the open tasks are accepted");
    if (!accepted) return;
    owed_[rank].erase(record.segment);
    bool open = false;
    for (const Owed& others : owed_) open = open || others.contains(record.segment);
    must((verdict == Verdict::segment_done) == !open, "a segment is done with its last completion");
    if (verdict == Verdict::segment_done) ledger_.close(record.segment);
  }

  Hosting hosting_ = hosting();
  Ledger ledger_{hosting_};
  ByWorker<Generation> generations_ = ByWorker<Generation>(hosting_.workers());
  ByRank<Owed> owed_ = ByRank<Owed>(kMembers);
  CompletionRecord last_;  ///< what came before, which is told again where nothing is owed
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Game game;
  while (!input.empty()) game.step(input);
  return 0;
}
