// The coordinator's end of the fork server (worker/fork_server.hpp): starts it, waits until it is ready, and asks it
// for workers. It never blocks the loop: answers, deadlines and the end of the process are events. If anything goes
// wrong with it, workers are spawned instead, which costs only memory and time.
//
// No worker is left running unknown. A worker that the server has made is our child (CLONE_PARENT), but we do not know
// its number until we have read its answer: the server can be stopped or killed at any step, and an answer can come
// after its deadline. So a new worker stays in the server's process group, and we move it into a group of its own when
// we have read its answer. When the server is given up, that group holds the server and any worker whose answer we have
// not read. We kill the group, and since all of its members are our children, waiting for the group reaps them. After
// that a request that was given up can produce no worker, so the member's worker can be spawned at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coordinator/process/child.hpp"
#include "coordinator/process/loop_thread.hpp"

namespace tutti {

/// Used on the loop's thread only, whose children the workers become. A resource: neither copies nor moves.
class ForkServer {
 public:
  using Seconds = std::chrono::duration<double>;
  struct Setting {
    std::filesystem::path program;
    std::vector<std::pair<std::string, std::string>> environment;
    bool preload = true;  ///< whether its workers need LibTorch's plugin, which it opens
    bool core_files = false;
    Seconds start_deadline{120};
    Seconds answer_deadline{0.5};  ///< about 5 ms is normal
    Seconds kill_deadline{10};     ///< from SIGKILL until it counts as stuck in the kernel
    /// Called once, when the server is ready or has failed; perhaps from inside start(). Not after end().
    std::function<void()> settled;
    /// Called when the process has ended or is left behind.
    std::function<void()> gone;
  };
  /// Receives the worker, or nothing if the server did not make one and never will.
  using Made = std::function<void(std::optional<Child>)>;

  explicit ForkServer(boost::asio::io_context& loop);
  /// Kills the process if it is still there.
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// Call it once. If anything goes wrong, now or later, logs one line.
  void start(Setting setting) TUTTI_REQUIRES(on_loop);
  bool usable() const noexcept TUTTI_REQUIRES(on_loop) { return state_ == State::usable; }
  /// 0 before the process exists and after it has ended.
  int pid() const noexcept TUTTI_REQUIRES(on_loop) { return child_ ? child_->pid() : 0; }

  /// Asks for a worker with these arguments and descriptors, as Child::spawn() would start it: one after the other, in
  /// the order of the calls. `made` is called once, later; the descriptors stay open until then. Only while usable().
  void fork(SpawnRequest request, Made made) TUTTI_REQUIRES(on_loop);

  /// Kills the process. Pending requests get no worker, and `gone` is called later.
  void end() TUTTI_REQUIRES(on_loop);

 private:
  enum class State { none, starting, usable, ending };
  /// What one attempt to read found.
  enum class Heard { message, nothing, end };
  struct Request {
    SpawnRequest spawn;
    Made made;
  };

  void launch() TUTTI_REQUIRES(on_loop);
  void watch_socket() TUTTI_REQUIRES(on_loop);
  void watch_process() TUTTI_REQUIRES(on_loop);
  Heard hear() TUTTI_REQUIRES(on_loop);
  void greeted(std::string_view text) TUTTI_REQUIRES(on_loop);
  void answered(std::string_view text) TUTTI_REQUIRES(on_loop);
  void ask() TUTTI_REQUIRES(on_loop);
  void arm(Seconds deadline, void (ForkServer::*late)()) TUTTI_REQUIRES(on_loop);
  void disarm() TUTTI_REQUIRES(on_loop);
  void answer_is_late() TUTTI_REQUIRES(on_loop);
  void end_is_late() TUTTI_REQUIRES(on_loop);
  void exited() TUTTI_REQUIRES(on_loop);
  void await_group() TUTTI_REQUIRES(on_loop);
  void over() TUTTI_REQUIRES(on_loop);
  void give_up(const std::string& why) TUTTI_REQUIRES(on_loop);

  boost::asio::io_context& loop_;

  Setting setting_ TUTTI_GUARDED_BY(on_loop);  // constant after start()
  State state_ TUTTI_GUARDED_BY(on_loop) = State::none;
  std::optional<Child> child_ TUTTI_GUARDED_BY(on_loop);
  std::deque<Request> requests_ TUTTI_GUARDED_BY(on_loop);  // the first one has been sent
  boost::asio::posix::stream_descriptor socket_ TUTTI_GUARDED_BY(on_loop);
  boost::asio::posix::stream_descriptor pidfd_ TUTTI_GUARDED_BY(on_loop);
  boost::asio::steady_timer deadline_ TUTTI_GUARDED_BY(on_loop);  // for the greeting, an answer, or the end
  std::uint64_t armed_ TUTTI_GUARDED_BY(on_loop) = 0;             // only the wait of this number counts
  boost::asio::steady_timer again_ TUTTI_GUARDED_BY(on_loop);     // the next look at the group
};

}  // namespace tutti
