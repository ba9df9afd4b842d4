#include "coordinator/pool.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include <boost/asio/post.hpp>

#include "common/log.hpp"
#include "common/thread.hpp"

namespace tutti {
namespace {

// A process that is still there so long after SIGKILL is stuck in the kernel.
constexpr std::chrono::seconds kKillDeadline{10};
// Values per image that a member may answer; with the bounds of the configuration no sum of bytes can overflow.
constexpr std::uint32_t kMaxWidth = 1U << 24;

}  // namespace

Pool::Pool(Plan plan, std::filesystem::path worker_program, std::string debug_member)
    : plan_(std::move(plan)),
      program_(std::move(worker_program)),
      debug_member_(std::move(debug_member)),
      arena_file_(MemoryFile::create("arena")),
      widths_(plan_.workers.size()),
      ledger_(plan_.workers.size()) {
  make_arena();
  for (const WorkerPlan& worker : plan_.workers) {
    MemberStatus member;
    member.name = worker.request.name;
    member.kind = kind_name(worker.request.model);
    member.device = worker.device;
    member.cores = worker.cores;
    member.threads = worker.request.threads;
    status_.members.push_back(std::move(member));
  }
  status_.arena_bytes = plan_.arena.bytes();
  keep_running_.emplace(loop_.get_executor());
  started_.emplace();
  std::future<void> started = started_->get_future();
  thread_ = start_thread("tutti-loop", [this] { run_loop(); });
  loop_thread_ = thread_.native_handle();
  boost::asio::post(loop_, [this] { spawn_workers(); });
  try {
    started.get();
  } catch (...) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::make_arena() {
  arena_file_.allocate(plan_.arena.bytes(), "the arena");
  arena_file_.seal_size();
  arena_ = Mapping(arena_file_, Access::read_write, "the arena");
  // From here on only this mapping can write: a worker that tries gets an error, not somebody else's images.
  arena_file_.seal_future_write();
  arena_.exclude_from_core_dumps();
  exchange_ = std::make_unique<Exchange>(
      arena_.data(), plan_.arena,
      [this](std::shared_ptr<Stream> stream, std::uint64_t index, std::uint32_t slot, std::uint32_t images) {
        boost::asio::post(
            loop_, [this, stream = std::move(stream), index, slot, images] { submit(stream, index, slot, images); });
      });
}

// This thread also spawns: the workers' death signal follows it. What nobody foresaw ends the pool, not the program.
void Pool::run_loop() {
  for (;;) {
    try {
      loop_.run();
      return;
    } catch (const Error& error) {
      fail_on_loop(error);
    } catch (const std::exception& error) {
      fail_on_loop(Error(ErrorKind::failed, fmt::format("the coordinator's loop failed: {}", error.what())));
    }
  }
}

void Pool::spawn_workers() {
  try {
    for (std::size_t rank = 0; rank < plan_.workers.size(); ++rank) {
      const WorkerPlan& worker = plan_.workers[rank];
      workers_.push_back(std::make_shared<WorkerProcess>(
          loop_, static_cast<WorkerListener&>(*this),
          WorkerProcess::Setting{rank, 0, &worker, program_, arena_file_.fd(), worker.request.name == debug_member_}));
      workers_.back()->spawn();
      const std::lock_guard lock(status_mutex_);
      status_.members[rank].pid = workers_.back()->pid();
      status_.members[rank].alive = true;
    }
  } catch (const Error& error) {
    return fail_on_loop(error);
  }
  if (plan_.debugging) return;
  timer_.expires_after(std::chrono::duration_cast<Clock::duration>(plan_.start_deadline));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || ready_count_ == workers_.size()) return;
    std::string late;
    for (std::size_t rank = 0; rank < widths_.size(); ++rank)
      if (widths_[rank] == 0) late += (late.empty() ? "" : ", ") + place_of(rank);
    fail_on_loop(Error(ErrorKind::failed, fmt::format("not ready within {} s: {}", plan_.start_deadline.count(), late),
                       {}, "raise 'start_deadline_s' if loading and warm-up take that long"));
  });
}

void Pool::on_ready(std::size_t rank, const control::Ready& ready) {
  if (widths_[rank] != 0) return on_violation(rank, "it is ready twice");
  if (ready.width == 0 || ready.width > kMaxWidth)
    return on_violation(rank, fmt::format("it says that it answers {} values per image", ready.width));
  widths_[rank] = ready.width;
  {
    const std::lock_guard lock(status_mutex_);
    MemberStatus& member = status_.members[rank];
    member.backend = ready.backend;
    member.width = ready.width;
    member.parameters = ready.parameters;
    member.load_seconds = ready.load_seconds;
    member.warm_up_seconds = ready.warm_up_seconds;
  }
  try {
    workers_[rank]->start({workers_[rank]->generation(), ready.width, plan_.arena, plan_.failure.on_nan == OnNan::allow});
  } catch (const Error& error) {
    return fail_on_loop(error);
  }
  if (++ready_count_ == workers_.size()) all_ready();
}

void Pool::all_ready() {
  if (stopping_) return;  // the timer is shutdown's now
  timer_.cancel();
  for (std::size_t rank = 1; rank < widths_.size() && plan_.combine.rule != CombineRule::none; ++rank) {
    if (widths_[rank] == widths_[0]) continue;
    return fail_on_loop(
        Error(ErrorKind::usage,
              fmt::format("the members cannot be combined: {} answers {} values per image, {} answers {}",
                          plan_.workers[0].request.name, widths_[0], plan_.workers[rank].request.name, widths_[rank]),
              {}, "use models of the same classes, or 'combine: {rule: none}'"));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  {
    const std::lock_guard lock(status_mutex_);
    if (status_.state != PoolState::starting) return;
    status_.state = PoolState::ready;
    status_.start_up_seconds = seconds;
  }
  log::debug("{} workers ready after {:.2f} s", workers_.size(), seconds);
  started_->set_value();
  started_.reset();
}

void Pool::submit(const std::shared_ptr<Stream>& stream, std::uint64_t index, std::uint32_t slot,
                  std::uint32_t images) {
  if (stopping_ || exchange_->failure()) return;
  const std::uint64_t segment = ledger_.open(slot, images, stream->kind, stream->asked);
  running_.emplace(segment, Running{stream, index});
  for (std::size_t rank = 0; rank < workers_.size(); ++rank) {
    if (!stream->asked[rank]) continue;
    workers_[rank]->hand_out(ledger_.hand_out(segment, rank, workers_[rank]->generation()));
    const std::lock_guard lock(status_mutex_);
    ++status_.members[rank].segments_handed_out;
  }
}

void Pool::on_completion(std::size_t rank, const CompletionRecord& record) {
  const Verdict verdict = ledger_.accept(rank, workers_[rank]->generation(), record);
  if (verdict == Verdict::stale) return;
  if (verdict == Verdict::violation) {
    workers_[rank]->kill();
    return on_violation(rank, "it answered a task that it was not given");
  }
  {
    const std::lock_guard lock(status_mutex_);
    MemberStatus& member = status_.members[rank];
    ++member.segments_answered;
    member.images += record.images;
    member.busy_seconds += static_cast<double>(record.busy_nanoseconds) * 1e-9;
  }
  if (record.status == CompletionStatus::not_finite) return fail_on_loop(not_finite(rank, record));
  if (verdict == Verdict::segment_done) finish_segment(record.segment);
}

Error Pool::not_finite(std::size_t rank, const CompletionRecord& record) const {
  const Running& running = running_.at(record.segment);
  if (running.stream->kind == TaskKind::train)
    return Error(ErrorKind::failed, fmt::format("{} diverged: its loss is NaN or infinite", place_of(rank)), {},
                 "lower its 'learning_rate', or look at the images and their labels");
  return Error(ErrorKind::failed,
               fmt::format("{} answered with NaN or infinity on segment {}", place_of(rank), running.index),
               fmt::format("first in image {} of the segment", record.detail),
               "check the model and its input; 'on_nan: allow' lets such values into the result");
}

void Pool::finish_segment(std::uint64_t segment) {
  const auto found = running_.find(segment);
  assert(found != running_.end());
  FinishedSegment finished{ledger_.close(segment), {}};
  for (const auto& worker : workers_) finished.channels.push_back(worker->channel());
  exchange_->finish(*found->second.stream, found->second.index, std::move(finished));
  running_.erase(found);
}

void Pool::command(std::vector<control::Message> messages) {
  assert(messages.size() == plan_.workers.size());
  std::vector<std::string> texts;
  for (const control::Message& message : messages) texts.push_back(control::encode(message));
  std::promise<void> promise;
  std::future<void> answered = promise.get_future();
  boost::asio::post(loop_, [this, texts = std::move(texts), promise = std::move(promise)]() mutable {
    command_ = std::move(promise);
    command_problem_.reset();
    command_open_.assign(workers_.size(), true);
    if (const auto failure = exchange_->failure()) return fail_on_loop(*failure);
    for (std::size_t rank = 0; rank < workers_.size(); ++rank) workers_[rank]->send_text(texts[rank]);
  });
  answered.get();
}

void Pool::on_done(std::size_t rank, const control::Done& done) {
  if (!command_ || !command_open_[rank]) {
    workers_[rank]->kill();
    return on_violation(rank, "it answered a command that it was not given");
  }
  command_open_[rank] = false;
  if (!done.problem.empty() && !command_problem_)
    command_problem_ = Error(ErrorKind::failed, fmt::format("{}: {}", place_of(rank), done.problem), {}, done.hint);
  if (std::find(command_open_.begin(), command_open_.end(), true) != command_open_.end()) return;
  if (command_problem_)
    command_->set_exception(std::make_exception_ptr(*command_problem_));
  else
    command_->set_value();
  command_.reset();
}

void Pool::on_violation(std::size_t rank, const std::string& what) {
  fail_on_loop(Error(ErrorKind::failed, fmt::format("{} broke the protocol: {}", place_of(rank), what),
                     "the worker was killed", "its memory may be corrupted; report it if it happens again"));
}

void Pool::on_gone(std::size_t rank, const ExitStatus& status, const std::optional<control::Failure>& reason) {
  {
    const std::lock_guard lock(status_mutex_);
    status_.members[rank].alive = false;
    status_.members[rank].pid = 0;
  }
  if (!stopping_ && !exchange_->failure()) fail_on_loop(death(rank, status, reason));
  leave_when_gone();
}

Error Pool::death(std::size_t rank, const ExitStatus& status, const std::optional<control::Failure>& reason) const {
  const auto open = ledger_.unanswered(rank);
  const std::string where = open.empty() ? std::string(started_ ? " while starting" : "")
                            : running_.contains(open.front())
                                ? fmt::format(" on segment {}", running_.at(open.front()).index)
                                : "";
  if (!reason) return Error(ErrorKind::failed, fmt::format("{} died{}: it {}", place_of(rank), where, to_text(status)));
  return Error(reason->usage ? ErrorKind::usage : ErrorKind::failed,
               fmt::format("{} failed{}: {}", place_of(rank), where, reason->text), {}, reason->hint);
}

std::string Pool::place_of(std::size_t rank) const {
  return fmt::format("{} on {}", plan_.workers[rank].request.name, plan_.workers[rank].device);
}

void Pool::fail(const Error& error) {
  announce(error);
  boost::asio::post(loop_, [this, error] { fail_on_loop(error); });
}

void Pool::drain(const Error& error) {
  exchange_->drain(error);
  boost::asio::post(loop_, [this, error] {
    drain_timer_.expires_after(
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(plan_.failure.drain_deadline)));
    drain_timer_.async_wait([this, error](const boost::system::error_code& cancelled) {
      if (!cancelled) fail_on_loop(error);
    });
  });
}

// The state first: whoever is woken by the error and looks at the status finds the pool failed.
void Pool::announce(const Error& error) {
  {
    const std::lock_guard lock(status_mutex_);
    status_.state = PoolState::failed;
  }
  exchange_->fail(error);
}

// What runs ends now; the workers are of no use any more.
void Pool::fail_on_loop(const Error& error) {
  announce(error);
  for (auto* waiting : {&started_, &command_}) {
    if (!*waiting) continue;
    (*waiting)->set_exception(std::make_exception_ptr(error));
    waiting->reset();
  }
  kill_all();
}

void Pool::kill_all() {
  for (const auto& worker : workers_) worker->kill();
}

// Step 1: no intake. Step 2: idle workers are told to leave, computing ones are terminated: nobody waits for their
// answers. Step 3, after the deadline: kill. Step 4, long after that: report and abandon.
void Pool::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(loop_, [this] {
    stopping_ = true;
    const bool computing = !ledger_.idle();
    for (const auto& worker : workers_) {
      if (!worker->alive()) continue;
      if (computing)
        worker->terminate();
      else
        worker->send(control::Stop{});
    }
    timer_.expires_after(std::chrono::duration_cast<Clock::duration>(plan_.stop_deadline));
    timer_.async_wait([this](const boost::system::error_code& cancelled) {
      if (cancelled) return;
      kill_all();
      timer_.expires_after(kKillDeadline);
      timer_.async_wait([this](const boost::system::error_code& cancelled_too) {
        if (cancelled_too) return;
        for (const auto& worker : workers_) {
          if (!worker->alive()) continue;
          log::error("worker {} does not end even after SIGKILL; it is left behind", worker->pid());
          worker->abandon();
        }
        leave_when_gone();
      });
    });
    leave_when_gone();
  });
  thread_.join();
  const std::lock_guard lock(status_mutex_);
  if (status_.state != PoolState::failed) status_.state = PoolState::stopped;
}

void Pool::leave_when_gone() {
  const bool any = std::any_of(workers_.begin(), workers_.end(), [](const auto& worker) { return worker->alive(); });
  if (!stopping_ || any) return;
  timer_.cancel();
  drain_timer_.cancel();
  keep_running_.reset();
}

Status Pool::status(StatusDetail detail) const {
  Status status;
  {
    const std::lock_guard lock(status_mutex_);
    status = status_;
  }
  status.input_bytes_copied = exchange_->input_bytes_copied();
  status.coordinator_cpu_seconds = loop_cpu_seconds();
  if (detail == StatusDetail::counters) return status;
  status.pss_bytes = pss_bytes(::getpid());
  for (MemberStatus& member : status.members) {
    if (!member.alive) continue;
    member.pss_bytes = pss_bytes(member.pid);
    if (status.pss_bytes && member.pss_bytes) *status.pss_bytes += *member.pss_bytes;
  }
  return status;
}

double Pool::loop_cpu_seconds() const {
  clockid_t clock{};
  timespec time{};
  if (!loop_thread_ || ::pthread_getcpuclockid(*loop_thread_, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace tutti
