// The processes of a pool: for each worker its current process, a spare if spares are wanted, a successor while a new
// version of its unit is loaded, and separately the processes that were dismissed and those that were abandoned because
// they do not end. It keeps track of them; the supervisor decides about them.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/ids.hpp"
#include "coordinator/process/loop_thread.hpp"
#include "coordinator/process/worker_process.hpp"

namespace tutti {

/// Used on the loop's thread only.
class Roster {
 public:
  struct Setting {
    const Plan& plan;
    std::filesystem::path program;
    int arena_fd = -1;
    std::string debug_member;
    ForkServer& fork_server;
  };
  Roster(boost::asio::io_context& loop, WorkerListener& listener, Setting setting);

  /// Makes the spare the worker's process, or starts one, which may take a while to appear. Returns what the spare
  /// said when it was ready; nothing if it was not yet. Throws Error(failed) if no process can be started.
  std::vector<control::Ready> take_worker(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// Workers that are started from now on load the member with this batch.
  void load_with(WorkerId worker, Seat seat, std::uint32_t batch_images) TUTTI_REQUIRES(on_loop);
  /// The stage at the seat computes on tensors like this one, from its next process on.
  void feed_with(WorkerId worker, Seat seat, const TensorLayout& tensor) TUTTI_REQUIRES(on_loop);
  /// A member gets a worker of its own, `to`, which is new. Neither has a process; a spare of `from` is ended.
  void move(WorkerId from, Rank rank, WorkerId to) TUTTI_REQUIRES(on_loop);
  /// Starts a spare for the worker if spares are wanted and it has none. If that fails, only logs a warning: the worker
  /// has a process.
  void make_spare(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// The spare is loaded and warm.
  void keep_ready(const WorkerProcess& spare, const std::vector<control::Ready>& ready) TUTTI_REQUIRES(on_loop);
  /// The spare could not be started after all.
  void spare_failed(const WorkerProcess& spare, const Error& error) TUTTI_REQUIRES(on_loop);
  void drop_spare(const WorkerProcess& spare) TUTTI_REQUIRES(on_loop);
  /// Ends the worker's spare, if it has one; it stays the spare until it is gone.
  void dismiss_spare(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// Starts a process for the worker that loads its unit with this member in place of the one at the seat, on the
  /// worker's device; in this interpreter, if they are Python members. The worker has no successor yet. Throws
  /// Error(failed) if no process can be started.
  void prepare_successor(WorkerId worker, Seat seat, const MemberRequest& member, const std::string& python)
      TUTTI_REQUIRES(on_loop);
  /// Starts a process that loads this member as `plan` says, for a worker that has none: one whose place is vacant, or
  /// the next one. It is the worker's successor then. Throws Error(failed) if no process can be started.
  void prepare_newcomer(WorkerId worker, WorkerPlan plan, const MemberRequest& member) TUTTI_REQUIRES(on_loop);
  /// The successor is loaded and warm.
  void successor_ready(const WorkerProcess& successor, const std::vector<control::Ready>& ready)
      TUTTI_REQUIRES(on_loop);
  bool has_successor(WorkerId worker) const TUTTI_REQUIRES(on_loop) { return posts_[worker].successor.has_value(); }
  /// Whether every worker that has a successor has one that is ready.
  bool successors_ready() const TUTTI_REQUIRES(on_loop);
  /// Ends all successors: the workers stay what they are.
  void dismiss_successors() TUTTI_REQUIRES(on_loop);
  /// The worker hosts what its successor has loaded from now on. Its process, which has nothing to do, and its spare
  /// are told to leave, and killed if they have not after this time; take_worker() takes the successor.
  void hand_over(WorkerId worker, std::chrono::steady_clock::duration patience) TUTTI_REQUIRES(on_loop);
  /// The worker hosts nothing more: its process, which has nothing to do, and its spare are told to leave, as above.
  void vacate(WorkerId worker, std::chrono::steady_clock::duration patience) TUTTI_REQUIRES(on_loop);
  /// What the member at this seat is loaded as.
  const MemberRequest& request_of(WorkerId worker, Seat seat) const TUTTI_REQUIRES(on_loop) {
    return posts_[worker].unit.at(seat.value()).member;
  }
  /// Removes a process that had been told to leave and has ended; false if it is not one.
  bool forget_leaving(const WorkerProcess& process) TUTTI_REQUIRES(on_loop);
  /// Abandons the worker's process.
  void abandon(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// Removes an abandoned process that has ended from the list; false if it is not on the list.
  bool forget(const WorkerProcess& worker) TUTTI_REQUIRES(on_loop);

  /// Null before take_worker() and after abandon(), and for a worker that move() will add.
  std::shared_ptr<WorkerProcess> worker(WorkerId worker) const TUTTI_REQUIRES(on_loop) {
    return worker.value() < posts_.size() ? posts_[worker].worker : nullptr;
  }
  bool is_worker(const WorkerProcess& process) const TUTTI_REQUIRES(on_loop) {
    return posts_[process.id()].worker.get() == &process;
  }
  bool is_spare(const WorkerProcess& process) const TUTTI_REQUIRES(on_loop) {
    return posts_[process.id()].spare.get() == &process;
  }
  bool is_successor(const WorkerProcess& process) const TUTTI_REQUIRES(on_loop) {
    const auto& successor = posts_[process.id()].successor;
    return successor && successor->process.get() == &process;
  }

  /// Calls `deed` for every process that is running or being started, including spares, excluding abandoned ones.
  void for_each_alive(const std::function<void(WorkerProcess&)>& deed) const TUTTI_REQUIRES(on_loop);
  bool any_alive() const TUTTI_REQUIRES(on_loop);

 private:
  struct Successor {
    WorkerPlan plan;
    std::vector<control::Load> unit;
    std::shared_ptr<WorkerProcess> process;
    std::vector<control::Ready> ready;  ///< by seat; none if it is not ready yet
  };
  struct Post {
    WorkerPlan plan;
    std::vector<control::Load> unit;
    bool feeds = false;  ///< others compute on what it outputs
    std::shared_ptr<WorkerProcess> worker;
    std::shared_ptr<WorkerProcess> spare;
    std::vector<control::Ready> spare_ready;  ///< by seat; none if it is not ready yet
    std::optional<Successor> successor;
  };
  void say_no_spare(WorkerId worker, const Error& error) const TUTTI_REQUIRES(on_loop);
  void check_post(WorkerId worker) const TUTTI_REQUIRES(on_loop);
  /// Has no post any more.
  struct Leaving {
    std::shared_ptr<WorkerProcess> process;
    boost::asio::steady_timer patience;
  };
  void let_go(std::shared_ptr<WorkerProcess> process, std::chrono::steady_clock::duration patience)
      TUTTI_REQUIRES(on_loop);
  std::shared_ptr<WorkerProcess> start(WorkerId worker, bool load) TUTTI_REQUIRES(on_loop);
  std::shared_ptr<WorkerProcess> start(WorkerId worker, const WorkerPlan& plan, const std::vector<control::Load>& unit,
                                       bool load) TUTTI_REQUIRES(on_loop);

  // Constant after construction.
  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  const Setting setting_;

  ByWorker<Post> posts_ TUTTI_GUARDED_BY(on_loop);
  std::vector<Leaving> leaving_ TUTTI_GUARDED_BY(on_loop);
  std::vector<std::shared_ptr<WorkerProcess>> abandoned_ TUTTI_GUARDED_BY(on_loop);
};

}  // namespace tutti
