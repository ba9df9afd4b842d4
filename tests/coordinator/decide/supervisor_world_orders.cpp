// The part of the world in which members are told to begin a training, to continue one, and to save.
#include <algorithm>

#include "tests/coordinator/decide/supervisor_world.hpp"

namespace tutti::test {

void World::perform(const action::Prepare& prepare) {
  Process& process = process_of(prepare.rank);
  must(process.begun && process.orders.empty() && process.unread == 0, "an order too early");
  must(prepare.checkpoint || prepare.begin, "an empty preparation");
  const Seat seat = supervisor_.hosting().seat_of(prepare.rank);
  if (prepare.checkpoint) process.orders.push_back({Order::Kind::restore, seat, *prepare.checkpoint});
  if (prepare.begin) process.orders.push_back({Order::Kind::begin, seat});
}

void World::perform(const action::Tell& tell) {
  Process& process = process_of(tell.rank);
  const Seat seat = supervisor_.hosting().seat_of(tell.rank);
  must(process.begun && process.orders.empty(), "a command too early");
  must(std::ranges::count(process.ring, seat, &TaskRecord::seat) == 0 &&
           std::ranges::count(process.published, seat, &CompletionRecord::seat) == 0,
       "a command before the tasks that came before it were answered");
  must(commanded_, "a command that was not given");
  process.orders.push_back({command_ == Supervisor::Command::save ? Order::Kind::save : Order::Kind::begin, seat});
}

/// A loop looks for orders when its ring is empty. The thread of a member obeys when it comes to it.
bool World::may_obey(const Process& process) {
  if (process.orders.empty()) return false;
  if (process.ring.empty()) return true;
  if (setting_.supervisor.modes.at(process.worker.value()) == UnitMode::loop || process.computed) return false;
  const Seat seat = process.orders.front().seat;
  return std::ranges::count(process.ring, seat, &TaskRecord::seat) == 0 && chance(50);
}

void World::obey(Process& process) {
  const Order order = process.orders.front();
  process.orders.pop_front();
  const Rank rank = rank_of(process, order.seat);
  Member& member = members_[rank];
  Learnt& learnt = process.learnt[order.seat];
  if (order.kind == Order::Kind::begin) learnt.begin();
  if (order.kind == Order::Kind::save) member.saved = learnt;
  if (order.kind == Order::Kind::restore) {
    must(!member.files[order.file].torn, "a checkpoint is used that is not whole");
    learnt = member.files[order.file].learnt;
    ++checkpoints_used_;
  }
  if (process.orders.empty()) supervisor_.done(rank, {}, now_);
}

}  // namespace tutti::test
