#include "coordinator/pool/pool.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <boost/asio/post.hpp>

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/kill_point.hpp"
#include "common/log.hpp"
#include "common/tensor_text.hpp"
#include "common/thread.hpp"
#include "coordinator/decide/class_axis.hpp"

namespace tutti {

Error start_given_up() { return Error(ErrorKind::interrupted, "the ensemble was given up while it started"); }

Pool::Pool(Plan plan, const std::filesystem::path& worker_program, std::string debug_member, TraceRecorder* trace,
           Events* events, const std::stop_token& stopped)
    : plan_(std::move(plan)),
      trace_(trace),
      events_(events),
      arena_file_(MemoryFile::create("arena")),
      outputs_(plan_.members.size()),
      parts_(plan_.members.size()),
      outputs_known_(plan_.members.size()),
      board_(plan_),
      roster_(loop_, static_cast<WorkerListener&>(*this),
              {plan_, worker_program, arena_file_.fd(), std::move(debug_member), fork_server_}),
      supervisor_(supervisor_setting()),
      batches_(plan_),
      prepare_answers_(plan_.members.size()) {
  // Rounds of a search are compared, so each is computed once.
  supervisor_.allow_take_over(batches_.settled());
  make_arena();
  keep_running_.emplace(loop_.get_executor());
  started_.emplace();
  std::future<void> started = started_->get_future();
  thread_ = start_thread("tutti-loop", [this] { run_loop(); });
  boost::asio::post(loop_, [this, worker_program] {
    assert_on_loop(loop_);
    start_processes(worker_program);
  });
  try {
    {
      const std::stop_callback giving_up(stopped, [this] { fail(start_given_up()); });
      started.get();
    }
    if (stopped.stop_requested()) throw start_given_up();  // perhaps after the start, which failed the pool
  } catch (...) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

SupervisorSetting Pool::supervisor_setting() const {
  SupervisorSetting setting;
  for (const MemberPlan& member : plan_.members) setting.names.push_back(member.request.name);
  setting.hosting = plan_.hosting();
  setting.chains = plan_.chains();
  for (const WorkerPlan& worker : plan_.workers) {
    setting.devices.push_back(worker.device);
    setting.modes.push_back(worker.mode);
  }
  setting.policy = plan_.failure;
  setting.quorum = plan_.quorum;
  setting.deadlines = !plan_.debugging;
  setting.start_deadline = plan_.start_deadline;
  setting.kill_deadline = std::chrono::duration<double>(plan_.failure.kill_deadline);
  setting.slots = plan_.arena.slots;
  setting.segment_images = plan_.arena.images;
  setting.checkpoint_segments = plan_.checkpoint_segments;
  return setting;
}

void Pool::make_arena() {
  arena_file_.allocate(plan_.arena.bytes(), "the arena");
  arena_file_.seal_size();
  arena_ = std::make_shared<Mapping>(arena_file_, Access::read_write, "the arena");
  // From here on only this mapping can write: a worker that tries gets an error and cannot change the images of others.
  arena_file_.seal_future_write();
  arena_->exclude_from_core_dumps();
  kill_point("coordinator.arena_made");
  const auto submit_on_loop = [this](FilledSegment filled) {
    kill_point("coordinator.segment_filled");
    boost::asio::post(loop_, [this, filled = std::move(filled)] {
      assert_on_loop(loop_);
      submit(filled);
    });
  };
  const auto go_on_loop = [this](SegmentId segment, std::optional<NextRound> next) {
    boost::asio::post(loop_, [this, segment, next] {
      assert_on_loop(loop_);
      go_on(segment, next);
    });
  };
  const auto drop_on_loop = [this](const Stream* stream) {
    boost::asio::post(loop_, [this, stream] {
      assert_on_loop(loop_);
      drop(stream);
    });
  };
  exchange_ = std::make_unique<Exchange>(arena_->data(), plan_.arena, submit_on_loop, trace_, go_on_loop, drop_on_loop);
}

// The fork server first, if there is to be one.
void Pool::start_processes(const std::filesystem::path& worker_program) {
  const WorkerPlan* forked = plan_.first_forked();
  if (forked == nullptr) return start_workers();
  ForkServer::Setting setting;
  setting.program = worker_program;
  setting.environment = forked->environment;
  setting.preload = plan_.libraries_of(*forked).contains(Library::torch);
  setting.core_files = plan_.failure.core_files;
  setting.start_deadline = plan_.start_deadline;
  setting.answer_deadline = plan_.fork_deadline;
  setting.kill_deadline = std::chrono::duration<double>(plan_.failure.kill_deadline);
  setting.settled = [this]() TUTTI_REQUIRES(on_loop) { start_workers(); };
  setting.gone = [this]() TUTTI_REQUIRES(on_loop) {
    refresh_status();
    leave_when_gone();
  };
  fork_server_.start(std::move(setting));
}

void Pool::start_workers() {
  if (over()) return;
  supervisor_.start(Clock::now());
  carry_out();
}

// This thread also spawns, because the workers' parent-death signal follows the thread. An unexpected exception ends
// the pool, not the program.
void Pool::run_loop() {
  become_loop_thread();
  board_.watch_this_thread();
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

/// The same for members that join several outputs: the first value of each, and how many follow, must be the same. What
/// a member without parts has in its row is not known.
std::optional<Error> Pool::unlike_parts() const {
  const std::vector<NamedLayout>* first = nullptr;
  Rank of_first(0);
  for (const Rank rank : IdRange<Rank>(plan_.combined())) {
    if (plan_.combine.rule == CombineRule::none || parts_[rank].empty()) continue;
    if (first == nullptr) {
      first = &parts_[rank];
      of_first = rank;
    }
    const auto same = [](const NamedLayout& a, const NamedLayout& b) { return a.layout == b.layout; };
    if (std::ranges::equal(*first, parts_[rank], same)) continue;
    return Error(ErrorKind::usage,
                 fmt::format("the members cannot be combined: {} joins {}, but {} joins {}",
                             plan_.members[of_first.value()].request.name, sample_text(*first),
                             plan_.members[rank.value()].request.name, sample_text(parts_[rank])),
                 {}, "name outputs of the same shapes, in the same order, in 'output' of each 'model'");
  }
  return std::nullopt;
}

/// Why the members cannot be combined, if they cannot.
std::optional<Error> Pool::unlike_outputs() const {
  for (const Rank rank : IdRange<Rank>(plan_.combined())) {
    TUTTI_CHECK(outputs_known_[rank]);
    if (plan_.combine.rule == CombineRule::none || outputs_[rank] == outputs_[0]) continue;
    return Error(
        ErrorKind::usage,
        fmt::format("the members cannot be combined: {} outputs {} per image, but {} outputs {}",
                    plan_.members[0].request.name,
                    fmt::format("{} value{}", dims_text(outputs_[0]), elements_of(outputs_[0]) == 1 ? "" : "s"),
                    plan_.members[rank.value()].request.name, dims_text(outputs_[rank])),
        {}, "use models with the same classes, or 'combine: {rule: none}'");
  }
  if (const auto unlike = unlike_parts()) return unlike;
  try {
    if (!plan_.combine.decides()) return std::nullopt;
    const ClassAxis axis = ClassAxis::of(outputs_[0], plan_.combine.axis);
    if (!plan_.cascade.empty() && axis.decisions() != 1)
      return Error(ErrorKind::usage, "'cascade' needs one class for each sample",
                   fmt::format("the members output {} per sample", dims_text(outputs_[0])),
                   "leave out the cascade: how sure a mask is differs from place to place");
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

void Pool::all_running() {
  if (const auto unlike = unlike_outputs()) return fail_on_loop(*unlike);
  was_running_ = true;
  refresh_status();  // what events are compared with
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (!board_.all_ready(seconds)) return;
  log::debug("{} ready after {:.2f} s", counted(hosting().workers(), "worker"), seconds);
  kill_point("coordinator.all_ready");
  if (batches_.settled())
    for (const WorkerId worker : hosting().worker_ids()) roster_.make_spare(worker);
  TUTTI_CHECK(started_.has_value(), "the constructor is told only once");
  started_->set_value();
  started_.reset();
}

// ---- batches -------------------------------------------------------------------------------------------------------

// Posted, like every segment that follows: the loop takes both in this order.
void Pool::try_batches(ByRank<std::uint32_t> sizes) {
  TUTTI_CHECK(sizes.size() == plan_.members.size());
  boost::asio::post(loop_, [this, sizes = std::move(sizes)]() mutable {
    assert_on_loop(loop_);
    batches_.try_out(std::move(sizes));
  });
}

void Pool::settle_batches(ByRank<BatchChoice> choices, double seconds) {
  TUTTI_CHECK(choices.size() == plan_.members.size());
  std::promise<void> promise;
  std::future<void> settled = promise.get_future();
  boost::asio::post(loop_, [this, seconds, choices = std::move(choices), promise = std::move(promise)]() mutable {
    assert_on_loop(loop_);
    settle(std::move(choices), seconds);
    promise.set_value();
  });
  settled.get();
}

// Spares are started only now, because they are loaded with these sizes, like every replacement.
void Pool::settle(ByRank<BatchChoice> choices, double seconds) {
  TUTTI_CHECK(running_.empty(), "every trial has ended");
  batches_.settle(choices);
  supervisor_.allow_take_over(true);
  for (const Rank rank : choices.ids())
    for (const WorkerId worker : hosting().workers_of(rank))
      roster_.load_with(worker, hosting().seat_of(rank), choices[rank].batch_images);
  board_.settled(std::move(choices), seconds, supervisor_, exchange_->input_bytes_copied());
  refresh_status();
  if (over()) return;
  for (const WorkerId worker : hosting().worker_ids())
    if (supervisor_.state(worker) != WorkerState::absent) roster_.make_spare(worker);
}

// ---- failure, end --------------------------------------------------------------------------------------------------

void Pool::fail(const Error& error) {
  announce(error);
  boost::asio::post(loop_, [this, error] {
    assert_on_loop(loop_);
    fail_on_loop(error);
  });
}

void Pool::drain(const Error& error) {
  exchange_->drain(error);
  boost::asio::post(loop_, [this, error] {
    assert_on_loop(loop_);
    drain_timer_.expires_after(ticks_of(std::chrono::duration<double>(plan_.failure.drain_deadline)));
    drain_timer_.async_wait([this, error](const boost::system::error_code& cancelled) {
      assert_on_loop(loop_);
      if (!cancelled) fail_on_loop(error);
    });
  });
}

// The state first, so that a thread that the error wakes up sees in the status that the pool failed.
void Pool::announce(const Error& error) {
  board_.failed();
  exchange_->fail(error);
}

// Ends all running work; the workers are no longer needed.
void Pool::fail_on_loop(const Error& error) {
  if (trace_ != nullptr && !failed_) trace_->said(error.message(), Clock::now());
  failed_ = true;
  announce(error);
  for (auto* waiting : {&started_, &command_}) {
    if (!*waiting) continue;
    (*waiting)->set_exception(std::make_exception_ptr(error));
    waiting->reset();
  }
  end_succession(error);
  tick_timer_.cancel();
  kill_all();
}

void Pool::kill_all() {
  roster_.for_each_alive([](WorkerProcess& worker) TUTTI_REQUIRES(on_loop) { worker.kill(); });
}

// Step 1: accept no more work. Step 2: tell idle workers to leave; terminate those that compute, and spares, which may
// be loading: their answers are no longer needed. Step 3, after the deadline: kill. Step 4, long after that: report and
// leave behind.
void Pool::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(loop_, [this] {
    assert_on_loop(loop_);
    const bool computing = supervisor_.busy();
    stopping_ = true;
    tick_timer_.cancel();
    roster_.for_each_alive([&](WorkerProcess& worker) TUTTI_REQUIRES(on_loop) {
      if (computing || !worker.channel())
        worker.terminate();
      else
        worker.send(control::Stop{});
    });
    fork_server_.end();
    stop_timer_.expires_after(ticks_of(plan_.stop_deadline));
    stop_timer_.async_wait([this](const boost::system::error_code& cancelled) {
      assert_on_loop(loop_);
      if (cancelled) return;
      kill_all();
      stop_timer_.expires_after(ticks_of(std::chrono::duration<double>(plan_.failure.kill_deadline)));
      stop_timer_.async_wait([this](const boost::system::error_code& cancelled_too) {
        assert_on_loop(loop_);
        if (cancelled_too) return;
        roster_.for_each_alive([this](WorkerProcess& worker) TUTTI_REQUIRES(on_loop) {
          log::error("worker {} does not end even after SIGKILL; it is left behind", worker.pid());
          board_.left_behind(worker.pid());
        });
        loop_.stop();
      });
    });
    leave_when_gone();
  });
  thread_.join();
  board_.stopped();
}

void Pool::leave_when_gone() {
  if (!stopping_ || roster_.any_alive() || fork_server_.pid() != 0) return;
  for (auto* timer : {&stop_timer_, &drain_timer_, &succession_timer_}) timer->cancel();
  keep_running_.reset();
  // Abandoned processes are not waited for.
  loop_.stop();
}

void Pool::refresh_status() {
  board_.refresh(supervisor_, roster_, batches_.tried_segments(), fork_server_.pid());
  if (events_ != nullptr && events_->wanted() && was_running_ && !over())
    events_->look(status(StatusDetail::counters).members);
}

}  // namespace tutti
