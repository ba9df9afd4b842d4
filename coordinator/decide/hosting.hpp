// Which workers host which member, and at which seat: the members of a unit sit in one worker, in order. A unit may
// have several workers, its replicas, each of which can do every task of its members. Plain tables; nothing else
// assumes that there are as many workers as members.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/check.hpp"
#include "common/ids.hpp"

namespace tutti {

class Hosting {
 public:
  /// The ranks of each worker's unit. Every member is in one unit; workers of the same unit are replicas.
  explicit Hosting(ByWorker<std::vector<Rank>> units) : units_(std::move(units)) {
    std::size_t members = 0;
    for (const auto& unit : units_)
      for (const Rank rank : unit) members = std::max<std::size_t>(members, rank.value() + 1);
    workers_ = ByRank<std::vector<WorkerId>>(members);
    seats_ = ByRank<Seat>(members);
    for (const WorkerId worker : units_.ids()) {
      TUTTI_CHECK(!units_[worker].empty(), "a worker hosts a member");
      for (std::size_t seat = 0; seat < units_[worker].size(); ++seat) {
        const Rank rank = units_[worker][seat];
        std::vector<WorkerId>& hosts = workers_[rank];
        TUTTI_CHECK(hosts.empty() || (hosts.back() < worker && units_[hosts.back()] == units_[worker]),
                    "a member is in one unit, once");
        hosts.push_back(worker);
        any_replicated_ = any_replicated_ || hosts.size() > 1;
        seats_[rank] = Seat(seat);
      }
    }
    for (const auto& hosts : workers_) TUTTI_CHECK(!hosts.empty(), "every member is hosted");
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
  /// At least one, in order.
  const std::vector<WorkerId>& workers_of(Rank rank) const { return workers_[rank]; }
  /// Of a member without replicas.
  WorkerId only_worker_of(Rank rank) const {
    TUTTI_CHECK(workers_[rank].size() == 1, "a member with replicas has several workers");
    return workers_[rank].front();
  }
  /// The same in all of its workers.
  Seat seat_of(Rank rank) const { return seats_[rank]; }
  /// By seat.
  const std::vector<Rank>& members_of(WorkerId worker) const { return units_[worker]; }
  bool shared(WorkerId worker) const { return units_[worker].size() > 1; }
  /// The worker and its sisters: all that host its unit.
  const std::vector<WorkerId>& replicas_of(WorkerId worker) const { return workers_[units_[worker].front()]; }
  bool replicated(WorkerId worker) const { return replicas_of(worker).size() > 1; }
  bool any_replicated() const noexcept { return any_replicated_; }
  /// The same, and a further member, the last, in a worker of its own, the last.
  Hosting with_member() const {
    ByWorker<std::vector<Rank>> units = units_;
    units.push_back({Rank(members())});
    return Hosting(std::move(units));
  }
  /// The same, but for a member that had shared a worker and now has a new one, the last, of its own.
  Hosting with_own_worker(Rank rank) const {
    const WorkerId worker = only_worker_of(rank);
    TUTTI_CHECK(shared(worker), "a member that is alone stays");
    ByWorker<std::vector<Rank>> units = units_;
    std::erase(units[worker], rank);
    units.push_back({rank});
    return Hosting(std::move(units));
  }

 private:
  ByWorker<std::vector<Rank>> units_;
  ByRank<std::vector<WorkerId>> workers_;
  ByRank<Seat> seats_;
  bool any_replicated_ = false;
};

}  // namespace tutti
