// The processes of a pool: for each member its current worker, a spare if spares are wanted, and separately the
// processes that were abandoned because they do not end. It keeps track of them; the supervisor decides about them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>

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

  /// Makes the member's spare its worker, or starts a worker, whose process may take a while to appear. Returns the
  /// spare's Ready if it is already warm. Throws Error(failed) if no process can be started.
  std::optional<control::Ready> take_worker(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// Workers that are started from now on load their member with this batch.
  void load_with(WorkerId worker, std::uint32_t batch_images) TUTTI_REQUIRES(on_loop);
  /// Starts a spare for the member if spares are wanted and it has none. If that fails, only logs a warning: the member
  /// has a worker.
  void make_spare(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// The spare is loaded and warm.
  void keep_ready(const WorkerProcess& spare, const control::Ready& ready) TUTTI_REQUIRES(on_loop);
  /// The spare could not be started after all.
  void spare_failed(const WorkerProcess& spare, const Error& error) TUTTI_REQUIRES(on_loop);
  void drop_spare(const WorkerProcess& spare) TUTTI_REQUIRES(on_loop);
  /// Ends the member's spare, if it has one; it stays the spare until it is gone.
  void dismiss_spare(WorkerId worker) TUTTI_REQUIRES(on_loop);
  /// Abandons the member's worker. It may still write to a checkpoint file at any time, so all files but the valid one
  /// are replaced, and a spare that has inherited them is ended.
  void abandon(WorkerId worker, std::optional<std::uint32_t> checkpoint) TUTTI_REQUIRES(on_loop);
  /// Removes an abandoned process that has ended from the list; false if it is not on the list.
  bool forget(const WorkerProcess& worker) TUTTI_REQUIRES(on_loop);

  /// Null before take_worker() and after abandon().
  const std::shared_ptr<WorkerProcess>& worker(WorkerId worker) const TUTTI_REQUIRES(on_loop) {
    return posts_[worker].worker;
  }
  bool is_worker(const WorkerProcess& process) const TUTTI_REQUIRES(on_loop) {
    return posts_[process.id()].worker.get() == &process;
  }
  bool is_spare(const WorkerProcess& process) const TUTTI_REQUIRES(on_loop) {
    return posts_[process.id()].spare.get() == &process;
  }

  /// Calls `deed` for every process that is running or being started, including spares, excluding abandoned ones.
  void for_each_alive(const std::function<void(WorkerProcess&)>& deed) const TUTTI_REQUIRES(on_loop);
  bool any_alive() const TUTTI_REQUIRES(on_loop);

 private:
  struct Post {
    WorkerPlan plan;
    std::shared_ptr<WorkerProcess> worker;
    std::shared_ptr<WorkerProcess> spare;
    std::optional<control::Ready> spare_ready;
    std::array<UniqueFd, 2> checkpoints;
  };
  void say_no_spare(WorkerId worker, const Error& error) const;
  void check_post(WorkerId worker) const TUTTI_REQUIRES(on_loop);
  std::shared_ptr<WorkerProcess> start(WorkerId worker, bool load) TUTTI_REQUIRES(on_loop);

  // Constant after construction.
  boost::asio::io_context& loop_;
  WorkerListener& listener_;
  const Setting setting_;

  ByWorker<Post> posts_ TUTTI_GUARDED_BY(on_loop);
  std::vector<std::shared_ptr<WorkerProcess>> abandoned_ TUTTI_GUARDED_BY(on_loop);
};

}  // namespace tutti
