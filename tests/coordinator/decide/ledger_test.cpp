// The ledger: every verdict, and a simulation with seeds in which workers answer in any order, twice, late and wrong.
#include "coordinator/decide/ledger.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "tests/common/death.hpp"
#include "tests/common/seed_of_crash.hpp"

namespace tutti::test {
namespace {

/// The segments that the member was asked and has not answered, oldest first.
std::vector<SegmentId> unanswered(const Ledger& ledger, Rank rank) {
  std::vector<SegmentId> numbers;
  for (const auto& [number, segment] : ledger.segments())
    if (segment.rows[rank].asked && !segment.rows[rank].answered) numbers.push_back(number);
  return numbers;
}

CompletionRecord answer_to(const TaskRecord& task) {
  CompletionRecord record;
  record.sequence = task.sequence;
  record.segment = task.segment;
  record.generation = task.generation;
  record.slot = task.slot;
  record.images = task.images;
  return record;
}

TEST_CASE("a task carries what was opened and counts per member") {
  Ledger ledger(2);
  const auto first = ledger.open(3, 20, TaskKind::train, {true, true});
  const auto second = ledger.open(1, 7, TaskKind::predict, {false, true});
  const TaskRecord a = ledger.hand_out(first, 1, 1, 5);
  const TaskRecord b = ledger.hand_out(second, 1, 1, 5);
  CHECK(a.sequence == Sequence(0));
  CHECK(a.segment == first);
  CHECK(a.generation == Generation(5));
  CHECK(a.slot == SlotId(3));
  CHECK(a.images == 20);
  CHECK(a.kind == TaskKind::train);
  CHECK(b.sequence == Sequence(1));
  CHECK(b.segment == second);
  CHECK(b.kind == TaskKind::predict);
  CHECK(ledger.hand_out(first, 0, 0, 0).sequence == Sequence(0));
}

TEST_CASE("a segment is done with the last answer of the members asked") {
  Ledger ledger(3);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true, false, true});
  const TaskRecord a = ledger.hand_out(segment, 0, 0, 0);
  const TaskRecord c = ledger.hand_out(segment, 2, 2, 0);
  CHECK_FALSE(ledger.segments().empty());
  CHECK(ledger.accept(2, 0, answer_to(c)) == Verdict::accepted);
  CompletionRecord last = answer_to(a);
  last.loss_sum = 2.5;
  CHECK(ledger.accept(0, 0, last) == Verdict::segment_done);
  const Ledger::Segment closed = ledger.close(segment);
  CHECK(closed.slot == SlotId(0));
  CHECK(closed.images == 5);
  CHECK(closed.rows[0].completion.loss_sum == 2.5);
  CHECK_FALSE(closed.rows[1].asked);
  CHECK(ledger.segments().empty());
}

TEST_CASE("an answer that comes twice is a violation") {
  Ledger ledger(2);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true, true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  ledger.hand_out(segment, 1, 1, 0);
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::accepted);
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::violation);
}

TEST_CASE("an answer to a segment that is closed or was never opened is a violation") {
  Ledger ledger(1);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::segment_done);
  ledger.close(segment);
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::violation);
  CompletionRecord unknown = answer_to(task);
  unknown.segment = 1000;
  CHECK(ledger.accept(0, 0, unknown) == Verdict::violation);
}

TEST_CASE("an answer of a member that was not asked or not handed the task is a violation") {
  Ledger ledger(3);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true, false, true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  CHECK(ledger.accept(1, 0, answer_to(task)) == Verdict::violation);
  CHECK(ledger.accept(2, 0, answer_to(task)) == Verdict::violation);
}

TEST_CASE("an answer with any wrong field is a violation and changes nothing") {
  Ledger ledger(1);
  const auto segment = ledger.open(2, 5, TaskKind::predict, {true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 4);
  for (int field = 0; field < 5; ++field) {
    CAPTURE(field);
    CompletionRecord record = answer_to(task);
    if (field == 0) ++record.sequence;
    if (field == 1) ++record.slot;
    if (field == 2) ++record.images;
    if (field == 3) record.status = static_cast<CompletionStatus>(0);
    if (field == 4) record.status = static_cast<CompletionStatus>(3);
    CHECK(ledger.accept(0, 4, record) == Verdict::violation);
    CHECK(unanswered(ledger, 0) == std::vector{segment});
  }
  CompletionRecord nan = answer_to(task);
  nan.status = CompletionStatus::not_finite;
  CHECK(ledger.accept(0, 4, nan) == Verdict::segment_done);
}

TEST_CASE("an answer from an earlier generation is stale and one from a later is a violation") {
  Ledger ledger(1);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true});
  const auto other = ledger.open(1, 5, TaskKind::predict, {true});
  const TaskRecord old = ledger.hand_out(segment, 0, 0, 0);
  CHECK(ledger.hand_out(other, 0, 0, 1).sequence == Sequence(0));  // counted from 0 in each generation
  ledger.take_back(segment, 0, 0);
  const TaskRecord present = ledger.hand_out(segment, 0, 0, 1);
  CHECK(ledger.accept(0, 1, answer_to(old)) == Verdict::stale);
  CompletionRecord later = answer_to(present);
  later.generation = 2;
  CHECK(ledger.accept(0, 1, later) == Verdict::violation);
  // The old answer under the new generation.
  CompletionRecord forged = answer_to(old);
  forged.generation = 1;
  CHECK(ledger.accept(0, 1, forged) == Verdict::violation);
  CHECK(ledger.accept(0, 1, answer_to(present)) == Verdict::segment_done);
}

TEST_CASE("of two replicas with a task the first that answers counts and the slot stays for the other") {
  Ledger ledger(Hosting(ByWorker<std::vector<Rank>>{{0}, {0}, {0}}));
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true});
  const TaskRecord slow = ledger.hand_out(segment, 0, 0, 0);
  CHECK_FALSE(ledger.at(segment).held);
  const TaskRecord quick = ledger.hand_out(segment, 0, 1, 3);
  CHECK(ledger.at(segment).held);
  CHECK(failed_check([&] { ledger.hand_out(segment, 0, 2, 0); }).ends_with("a task is taken over once"));
  CHECK(ledger.accept(0, 3, answer_to(quick)) == Verdict::violation);  // it is not this worker's
  CHECK(ledger.accept(1, 3, answer_to(quick)) == Verdict::segment_done);
  CHECK(ledger.close(segment).rows[0].by == WorkerId(1));
  ledger.check_invariants();
  CHECK_FALSE(ledger.release(segment).has_value());
  CHECK(ledger.accept(0, 0, answer_to(slow)) == Verdict::repeated);
  CHECK(ledger.release(segment) == SlotId(0));
  CHECK(ledger.segments().empty());
}

TEST_CASE("the slot of a task that two had is free as soon as the one that is left has answered") {
  Ledger ledger(Hosting(ByWorker<std::vector<Rank>>{{0}, {0}}));
  const auto segment = ledger.open(3, 5, TaskKind::predict, {true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  ledger.hand_out(segment, 0, 1, 0);
  ledger.take_back(segment, 0, 1);
  CHECK_FALSE(ledger.release(segment).has_value());
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::segment_done);
  CHECK(ledger.release(segment) == SlotId(3));
  CHECK(ledger.close(segment).rows[0].by == WorkerId(0));
}

TEST_CASE("the unanswered tasks of a member are listed from the oldest on") {
  Ledger ledger(2);
  std::vector<SegmentId> segments;
  std::vector<TaskRecord> tasks;
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    segments.push_back(ledger.open(SlotId(slot), 1, TaskKind::predict, {true, slot != 2}));
    tasks.push_back(ledger.hand_out(segments.back(), 0, 0, 0));
    if (slot != 2) ledger.hand_out(segments.back(), 1, 1, 0);
  }
  ledger.accept(0, 0, answer_to(tasks[1]));
  CHECK(unanswered(ledger, 0) == std::vector{segments[0], segments[2], segments[3]});
  CHECK(unanswered(ledger, 1) == std::vector{segments[0], segments[1], segments[3]});
}

TEST_CASE("a segment is also done when the last open member is given up") {
  Ledger ledger(2);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true, true}, 17, true);
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  CHECK(ledger.at(segment).index == 17);
  CHECK(ledger.at(segment).last);
  CHECK_FALSE(ledger.abandon(segment, 1));
  CHECK_FALSE(ledger.abandon(segment, 1));
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::segment_done);
  CHECK_FALSE(ledger.abandon(segment, 0));  // it has answered
  const auto closed = ledger.close(segment);
  CHECK(closed.rows[1].abandoned);
  CHECK_FALSE(closed.rows[1].answered);
  const auto second = ledger.open(0, 5, TaskKind::predict, {false, true});
  CHECK(ledger.abandon(second, 1));
}

TEST_CASE("what is taken back cannot be answered until it is handed out again") {
  Ledger ledger(1);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true});
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 0);
  ledger.take_back(segment, 0, 0);
  CHECK(ledger.accept(0, 0, answer_to(task)) == Verdict::violation);
  const TaskRecord again = ledger.hand_out(segment, 0, 0, 1);
  CHECK(ledger.at(segment).rows[0].times == 2);
  CHECK(ledger.accept(0, 1, answer_to(again)) == Verdict::segment_done);
}

TEST_CASE("an answer that can no longer be read is asked for again") {
  Ledger ledger(2);
  const auto segment = ledger.open(0, 5, TaskKind::predict, {true, true});
  ledger.accept(0, 0, answer_to(ledger.hand_out(segment, 0, 0, 0)));
  ledger.ask_again(segment, 0);
  CHECK_FALSE(ledger.at(segment).rows[0].present);
  CHECK(ledger.accept(0, 1, answer_to(ledger.hand_out(segment, 0, 0, 1))) == Verdict::accepted);
  CHECK(ledger.at(segment).open == 1);
}

TEST_CASE("a held segment outlives its closing and is repeated without counting twice") {
  Ledger ledger(2);
  const auto segment = ledger.open(3, 5, TaskKind::train, {true, true});
  ledger.hold(segment);
  CHECK(ledger.hand_out(segment, 0, 0, 0, 2).checkpoint == 2);
  CompletionRecord first = answer_to(ledger.at(segment).rows[0].outs.front().task);
  first.loss_sum = 1.5;
  CHECK(ledger.accept(0, 0, first) == Verdict::accepted);
  CHECK(ledger.accept(1, 0, answer_to(ledger.hand_out(segment, 1, 1, 0))) == Verdict::segment_done);
  CHECK_FALSE(ledger.release(segment));
  CHECK(ledger.close(segment).rows[0].completion.loss_sum == 1.5);
  CompletionRecord again = answer_to(ledger.hand_out(segment, 0, 0, 1));
  again.loss_sum = 2.5;
  CHECK(ledger.accept(0, 1, again) == Verdict::repeated);
  CHECK(ledger.at(segment).rows[0].completion.loss_sum == 1.5);
  ledger.settle(segment, 0);
  CHECK_FALSE(ledger.release(segment));
  ledger.settle(segment, 1);
  CHECK(ledger.release(segment) == SlotId(3));
  CHECK(ledger.segments().empty());
}

TEST_CASE("a decision that does not fit a segment is a failed check") {
  Ledger ledger(2);
  const auto segment = ledger.open(0, 5, TaskKind::train, {true, true});
  ledger.hold(segment);
  CHECK(failed_check([&] { ledger.close(segment); }).ends_with("results are complete when they are taken"));
  CHECK(failed_check([&] { ledger.take_back(segment, 0, 0); }) == "found != row.outs.end()");
  const TaskRecord task = ledger.hand_out(segment, 0, 0, 1);
  CHECK(failed_check([&] { ledger.settle(segment, 0); }).ends_with("what a member has settled it has answered"));
  ledger.accept(0, 1, answer_to(task));
  CHECK(failed_check([&] { ledger.hand_out(segment, 0, 0, 0); }).ends_with("a later worker is of a later generation"));
  ledger.settle(segment, 0);
  CHECK(failed_check([&] { ledger.settle(segment, 0); }).ends_with("a member settles a segment only once"));
  ledger.at(segment).set_aside = true;
  CHECK(failed_check([&] {
          ledger.hand_out(segment, 1, 1, 0);
        }).ends_with("no further worker gets a segment that was set aside"));
}

TEST_CASE("a row that does not agree with the others is a failed check") {
  const auto after = [](const std::function<void(Ledger::Segment&)>& change) {
    Ledger ledger(2);
    const auto segment = ledger.open(0, 5, TaskKind::predict, {true, false});
    ledger.hand_out(segment, 0, 0, 0);
    ledger.check_invariants();
    change(ledger.at(segment));
    return failed_check([&] { ledger.check_invariants(); });
  };
  CHECK(after([](Ledger::Segment& segment) { ++segment.open; }) == "segment.open == open (2 == 1)");
  CHECK(after([](Ledger::Segment& segment) {
          segment.closed = true;
        }).ends_with("only a held segment outlives its closing"));
  CHECK(after([](Ledger::Segment& segment) { segment.rows[0].present = true; }) == "row.answered || !row.present");
  CHECK(after([](Ledger::Segment& segment) {
          segment.rows[0].answered = true;
        }).ends_with("what is answered is done again only if it is held"));
  CHECK(after([](Ledger::Segment& segment) {
          segment.rows[0].abandoned = true;
        }).ends_with("the slot is held for what is not waited for"));
  CHECK(after([](Ledger::Segment& segment) {
          segment.rows[1].answered = true;
        }).ends_with("a member that was not asked has no part in the segment"));
}

/// One run of a made-up pool: answers come in any order, some twice, some from dead generations, some forged.
struct Simulation {
  explicit Simulation(std::uint64_t simulation_seed) : seed(simulation_seed), ledger(kMembers), generation(kMembers) {}
  static constexpr std::size_t kMembers = 3;
  static constexpr std::uint64_t kSegments = 60;

  std::uint64_t draw(std::uint64_t below) { return random_at(seed, counter++) % below; }

  void open_segment() {
    ByRank<bool> asked(kMembers);
    for (const Rank m : asked.ids()) asked[m] = draw(4) != 0;
    asked[Rank(draw(kMembers))] = true;
    const SegmentId number =
        ledger.open(SlotId(draw(4)), static_cast<std::uint32_t>(1 + draw(9)), TaskKind::predict, asked);
    for (const Rank m : asked.ids())
      if (asked[m]) pending.emplace_back(m, ledger.hand_out(number, m, WorkerId(m.value()), generation[m]));
    for (const Rank m : asked.ids())
      if (asked[m]) owed.insert({number, m});
    ++opened;
  }
  /// The member's worker is replaced: its unanswered tasks are handed out again.
  void replace(Rank member) {
    ++generation[member];
    for (const SegmentId number : unanswered(ledger, member)) {
      ledger.take_back(number, member, WorkerId(member.value()));
      pending.emplace_back(member, ledger.hand_out(number, member, WorkerId(member.value()), generation[member]));
    }
  }
  void answer() {
    const std::size_t at = draw(pending.size());
    const auto [member, task] = pending[at];
    CompletionRecord record = answer_to(task);
    if (draw(10) == 0) {
      ++record.slot;
      CHECK(ledger.accept(WorkerId(member.value()), generation[member], record) != Verdict::accepted);
      return;
    }
    const Verdict verdict = ledger.accept(WorkerId(member.value()), generation[member], record);
    const bool counts = verdict == Verdict::accepted || verdict == Verdict::segment_done;
    if (task.generation < generation[member]) CHECK(verdict == Verdict::stale);
    if (counts) {
      CHECK(owed.erase({task.segment, member}) == 1);  // exactly once
      answered.push_back({member, task});
    }
    if (verdict == Verdict::segment_done) {
      ledger.close(task.segment);
      ++closed;
    }
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void answer_again() {
    if (answered.empty()) return;
    const auto& [member, task] = answered[draw(answered.size())];
    const Verdict verdict = ledger.accept(WorkerId(member.value()), generation[member], answer_to(task));
    CHECK((verdict == Verdict::violation || verdict == Verdict::stale));
  }
  void run() {
    while (opened < kSegments || !pending.empty()) {
      const std::uint64_t what = draw(20);
      if (opened < kSegments && what < 6)
        open_segment();
      else if (what == 6)
        replace(Rank(draw(kMembers)));
      else if (what == 7)
        answer_again();
      else if (!pending.empty())
        answer();
      ledger.check_invariants();
    }
  }

  std::uint64_t seed;
  std::uint64_t counter = 0;
  Ledger ledger;
  ByRank<Generation> generation;
  std::vector<std::pair<Rank, TaskRecord>> pending;
  std::vector<std::pair<Rank, TaskRecord>> answered;
  std::set<std::pair<SegmentId, Rank>> owed;
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
};

TEST_CASE("in any order of answers and deaths every segment is answered exactly once by each member") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const SeedOfCrash seed_of_crash(seed);
    Simulation simulation(seed);
    simulation.run();
    CHECK(simulation.owed.empty());
    CHECK(simulation.closed == Simulation::kSegments);
    CHECK(simulation.ledger.segments().empty());
  }
}

}  // namespace
}  // namespace tutti::test
