// Which worker hosts which member, and at which seat: the members of a unit sit in one worker, in order. Plain tables;
// nothing else assumes that there are as many workers as members.
#pragma once

#include <utility>
#include <vector>

#include "common/check.hpp"
#include "common/ids.hpp"

namespace tutti {

class Hosting {
 public:
  /// The ranks of each worker's unit: every member once.
  explicit Hosting(ByWorker<std::vector<Rank>> units) : units_(std::move(units)) {
    std::size_t members = 0;
    for (const auto& unit : units_) members += unit.size();
    workers_ = ByRank<WorkerId>(members);
    seats_ = ByRank<Seat>(members);
    ByRank<bool> seated(members);
    for (const WorkerId worker : units_.ids()) {
      TUTTI_CHECK(!units_[worker].empty(), "a worker hosts a member");
      for (std::size_t seat = 0; seat < units_[worker].size(); ++seat) {
        const Rank rank = units_[worker][seat];
        TUTTI_CHECK(!seated[rank], "a member is hosted once");
        seated[rank] = true;
        workers_[rank] = worker;
        seats_[rank] = Seat(seat);
      }
    }
  }
  /// A worker for each member.
  static Hosting one_each(std::size_t members) {
    ByWorker<std::vector<Rank>> units;
    for (const Rank rank : IdRange<Rank>(members)) units.push_back({rank});
    return Hosting(std::move(units));
  }

  std::size_t members() const noexcept { return workers_.size(); }
  std::size_t workers() const noexcept { return units_.size(); }
  IdRange<WorkerId> worker_ids() const { return units_.ids(); }
  WorkerId worker_of(Rank rank) const { return workers_[rank]; }
  Seat seat_of(Rank rank) const { return seats_[rank]; }
  /// By seat.
  const std::vector<Rank>& members_of(WorkerId worker) const { return units_[worker]; }
  bool shared(WorkerId worker) const { return units_[worker].size() > 1; }
  /// The same, but for a member that had shared a worker and now has a new one, the last, of its own.
  Hosting with_own_worker(Rank rank) const {
    TUTTI_CHECK(shared(worker_of(rank)), "a member that is alone stays");
    ByWorker<std::vector<Rank>> units = units_;
    std::erase(units[worker_of(rank)], rank);
    units.push_back({rank});
    return Hosting(std::move(units));
  }

 private:
  ByWorker<std::vector<Rank>> units_;
  ByRank<WorkerId> workers_;
  ByRank<Seat> seats_;
};

}  // namespace tutti
