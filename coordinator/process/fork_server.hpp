// The coordinator's end of the fork server (worker/fork_server.hpp): starts it, waits until it is ready, and asks it
// for workers. Whatever goes wrong with it, workers are spawned instead; nothing depends on it but memory and time.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coordinator/process/child.hpp"
#include "coordinator/process/loop_thread.hpp"

namespace tutti {

/// Lives on the loop's thread, whose children the workers become. A resource: neither copies nor moves.
class ForkServer {
 public:
  explicit ForkServer(boost::asio::io_context& loop);
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  /// Starts the process, and calls `settled` once: when it is ready, or has failed, or `deadline` has passed. usable()
  /// tells which; what went wrong is logged. Not called after end().
  void start(const std::filesystem::path& program, std::vector<std::pair<std::string, std::string>> environment,
             bool core_files, std::chrono::duration<double> deadline, std::function<void()> settled)
      TUTTI_REQUIRES(on_loop);

  bool usable() const noexcept TUTTI_REQUIRES(on_loop) { return usable_; }
  /// 0 where there is none.
  int pid() const noexcept TUTTI_REQUIRES(on_loop) { return child_ ? child_->pid() : 0; }

  /// A worker with these arguments and descriptors, as Child::spawn() would start it. Waits for the answer, half a
  /// second at most (some 5 ms are normal): a server that does not answer is ended, and not usable any more, which is
  /// logged. Nothing where it made no worker.
  std::optional<Child> fork(const SpawnRequest& request) TUTTI_REQUIRES(on_loop);

  /// Ends the process and waits for its end.
  void end() noexcept TUTTI_REQUIRES(on_loop);

 private:
  void give_up(const std::string& why) TUTTI_REQUIRES(on_loop);

  boost::asio::io_context& loop_;
  boost::asio::posix::stream_descriptor socket_ TUTTI_GUARDED_BY(on_loop);
  boost::asio::steady_timer deadline_ TUTTI_GUARDED_BY(on_loop);
  std::optional<Child> child_ TUTTI_GUARDED_BY(on_loop);
  bool usable_ TUTTI_GUARDED_BY(on_loop) = false;
};

}  // namespace tutti
