// The workers of one ensemble and the loop that drives them. All of its state lives on the loop's thread; other
// threads reach it by posting, through the exchange, and by reading the status under its mutex.
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <tutti/ensemble.hpp>

#include "coordinator/exchange.hpp"
#include "coordinator/ledger.hpp"
#include "coordinator/plan.hpp"
#include "coordinator/worker_process.hpp"

namespace tutti {

class Pool final : private WorkerListener {
 public:
  /// Allocates the arena, starts the loop's thread and the workers, and returns when all are ready. Throws Error;
  /// nothing is left behind then.
  Pool(Plan plan, std::filesystem::path worker_program, std::string debug_member);
  /// Stops the workers in named steps: intake, leave (or terminate, where they are computing), kill, abandon.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Exchange& exchange() noexcept { return *exchange_; }
  const Plan& plan() const noexcept { return plan_; }
  /// Values per image of each member.
  const std::vector<std::uint32_t>& widths() const noexcept { return widths_; }

  /// Sends messages[rank] to each worker and waits until every one has answered `done`. Not on the loop's thread; one
  /// at a time, and only while no task is in flight. Throws the pool's failure, or what the first of them could not do;
  /// the others have done it then, and the pool lives.
  void command(std::vector<control::Message> messages);

  /// Ends everything that runs or is asked for later with this error.
  void fail(const Error& error);
  /// Refuses what is asked for later, lets what is in flight finish, and then, after the drain deadline at the latest,
  /// ends everything with this error.
  void drain(const Error& error);
  Status status(StatusDetail detail) const;

 private:
  using Clock = std::chrono::steady_clock;

  // ---- events of the workers, on the loop's thread
  void on_ready(std::size_t rank, const control::Ready& ready) override;
  void on_completion(std::size_t rank, const CompletionRecord& record) override;
  void on_done(std::size_t rank, const control::Done& done) override;
  void on_gone(std::size_t rank, const ExitStatus& status, const std::optional<control::Failure>& reason) override;
  void on_violation(std::size_t rank, const std::string& what) override;

  void make_arena();
  void run_loop();
  void spawn_workers();
  void all_ready();
  void submit(const std::shared_ptr<Stream>& stream, std::uint64_t index, std::uint32_t slot, std::uint32_t images);
  void finish_segment(std::uint64_t segment);
  void announce(const Error& error);
  void fail_on_loop(const Error& error);

  void stop();
  void kill_all();
  void leave_when_gone();
  Error death(std::size_t rank, const ExitStatus& status, const std::optional<control::Failure>& reason) const;
  Error not_finite(std::size_t rank, const CompletionRecord& record) const;
  std::string place_of(std::size_t rank) const;
  double loop_cpu_seconds() const;

  struct Running {
    std::shared_ptr<Stream> stream;
    std::uint64_t index = 0;
  };

  const Plan plan_;
  const std::filesystem::path program_;
  const std::string debug_member_;
  const Clock::time_point begin_ = Clock::now();

  MemoryFile arena_file_;
  Mapping arena_;
  std::unique_ptr<Exchange> exchange_;

  // The loop's own.
  boost::asio::io_context loop_{1};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> keep_running_;
  boost::asio::steady_timer timer_{loop_};  // start-up, then shutdown; never while the pool is idle
  boost::asio::steady_timer drain_timer_{loop_};
  std::vector<std::shared_ptr<WorkerProcess>> workers_;
  std::vector<std::uint32_t> widths_;
  std::size_t ready_count_ = 0;
  Ledger ledger_;
  std::map<std::uint64_t, Running> running_;  // by segment
  bool stopping_ = false;
  std::optional<std::promise<void>> started_;
  std::optional<std::promise<void>> command_;
  std::optional<Error> command_problem_;
  std::vector<bool> command_open_;  // by rank: who has not answered

  mutable std::mutex status_mutex_;
  Status status_;
  std::thread thread_;
  std::optional<std::thread::native_handle_type> loop_thread_;
};

}  // namespace tutti
