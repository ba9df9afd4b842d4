// Completion records as a broken worker could write them, against a ledger with segments in flight: only what was
// handed out, to this member at its seat and in this generation of this worker, is accepted, and only once, also if a
// replica has it, too.
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

/// The first two members share a worker, and the third has two.
Hosting hosting() { return Hosting(ByWorker<std::vector<Rank>>{{0, 1}, {2}, {2}}); }

/// A ledger, and next to it a simple list of the tasks that a member may still complete.
class Game {
 public:
  void step(fuzz::Input& input) {
    switch (input.below(5)) {
      case 0:
        return open(input);
      case 1:
        return replace(any_worker(input));
      case 2:
        return answer(any_worker(input), arbitrary(input));
      case 3: {
        const WorkerId worker = any_worker(input);
        return answer(worker, nearly_right(input, worker));
      }
      default:
        return take_over(input);
    }
  }

 private:
  /// What a worker has not answered.
  using Owed = std::map<std::pair<SegmentId, Rank>, TaskRecord>;

  WorkerId any_worker(fuzz::Input& input) const {
    return WorkerId(input.below(static_cast<std::uint32_t>(hosting_.workers())));
  }
  void open(fuzz::Input& input) {
    const std::uint32_t who = 1 + input.below((1U << kMembers) - 1);
    const SlotId slot(input.below(4));
    const std::uint32_t images = 1 + input.below(8);
    ByRank<bool> asked(kMembers);
    for (const Rank rank : asked.ids()) asked[rank] = (who >> rank.value() & 1U) != 0;
    const SegmentId segment = ledger_.open(slot, images, TaskKind::predict, asked);
    for (const Rank rank : asked.ids())
      if (asked[rank]) hand_out(segment, rank, hosting_.workers_of(rank).front());
  }
  void hand_out(SegmentId segment, Rank rank, WorkerId worker) {
    owed_[worker][{segment, rank}] = ledger_.hand_out(segment, rank, worker, generations_[worker]);
  }
  /// The worker died: its replacement gets what it had, unless a sister has answered.
  void replace(WorkerId worker) {
    ++generations_[worker];
    for (const auto& [what, task] : std::exchange(owed_[worker], {})) {
      const auto [segment, rank] = what;
      ledger_.take_back(segment, rank, worker);
      if (ledger_.at(segment).rows[rank].is_open())
        hand_out(segment, rank, worker);
      else
        ledger_.release(segment);
    }
  }
  /// The second worker of the third member gets what the first has, too.
  void take_over(fuzz::Input& input) {
    if (owed_[1].empty()) return;
    const auto at = input.below(static_cast<std::uint32_t>(owed_[1].size()));
    const auto [segment, rank] = std::next(owed_[1].begin(), at)->first;
    const Ledger::Row& row = ledger_.at(segment).rows[rank];
    if (row.is_open() && row.outs.size() == 1) hand_out(segment, rank, 2);
  }

  static CompletionRecord arbitrary(fuzz::Input& input) { return input.take<CompletionRecord>(); }
  /// The answer to a task that is open for somebody, with at most one field wrong.
  CompletionRecord nearly_right(fuzz::Input& input, WorkerId worker) const {
    CompletionRecord record = last_;
    const auto workers = static_cast<std::uint32_t>(hosting_.workers());
    const Owed& owed = owed_[WorkerId((worker.value() + input.below(workers)) % workers)];
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

  /// The task that this answers.
  Owed::iterator find_owed(WorkerId worker, const CompletionRecord& record) {
    Owed& owed = owed_[worker];
    const auto& unit = hosting_.members_of(worker);
    if (record.seat.value() >= unit.size()) return owed.end();
    const auto found = owed.find({record.segment, unit[record.seat.value()]});
    if (found == owed.end()) return found;
    const TaskRecord& task = found->second;
    const bool status = record.status == CompletionStatus::done || record.status == CompletionStatus::not_finite;
    const bool same = status && record.sequence == task.sequence && record.generation == generations_[worker] &&
                      record.slot == task.slot && record.images == task.images;
    return same ? found : owed.end();
  }

  void answer(WorkerId worker, const CompletionRecord& record) {
    last_ = record;
    const auto owed = find_owed(worker, record);
    const bool is_owed = owed != owed_[worker].end();
    const bool known = is_owed && !ledger_.at(record.segment).rows[owed->first.second].is_open();
    const Verdict verdict = ledger_.accept(worker, generations_[worker], record);
    const bool accepted = verdict == Verdict::accepted || verdict == Verdict::segment_done;
    must(accepted == (is_owed && !known), "exactly the open tasks are accepted");
    must((verdict == Verdict::repeated) == known, "what a sister has answered is repeated");
    if (!is_owed) return;
    owed_[worker].erase(owed);
    if (known) {
      ledger_.release(record.segment);
      return ledger_.check_invariants();
    }
    bool open = false;
    for (const auto& row : ledger_.at(record.segment).rows) open = open || row.is_open();
    must((verdict == Verdict::segment_done) == !open, "a segment is done with its last completion");
    if (verdict == Verdict::segment_done) ledger_.close(record.segment);
    ledger_.check_invariants();
  }

  Hosting hosting_ = hosting();
  Ledger ledger_{hosting_};
  ByWorker<Generation> generations_ = ByWorker<Generation>(hosting_.workers());
  ByWorker<Owed> owed_ = ByWorker<Owed>(hosting_.workers());
  CompletionRecord last_;  ///< what came before, which is told again where nothing is owed
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Game game;
  while (!input.empty()) game.step(input);
  return 0;
}
