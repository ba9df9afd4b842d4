#include "coordinator/process/worker_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/bytes_text.hpp"
#include "common/check.hpp"
#include "common/kill_point.hpp"
#include "common/log.hpp"
#include "common/wire/descriptor_passing.hpp"

namespace tutti {
namespace {

// How much can still be unread when a worker has ended: a pipe's capacity in reads of 4 KiB, and some messages.
constexpr int kMaxLastReads = 16;
constexpr int kMaxLastMessages = 64;
// A large process takes long to end: 60 ms per GB, measured.
constexpr std::chrono::seconds kHangUpGrace{2};

std::vector<std::string> encoded(const std::vector<control::Load>& unit) {
  std::vector<std::string> texts;
  for (const control::Load& load : unit) texts.push_back(control::encode(load));
  return texts;
}

/// The worker reports the width of its outputs itself, and allocating more than there is would wake the OOM killer.
void check_available(std::uint64_t bytes, const std::string& name) {
  const AvailableMemory available = available_memory();
  if (bytes <= available.bytes) return;
  throw Error(ErrorKind::failed,
              fmt::format("the outputs of '{}' do not fit into memory: {} needed, {} available ({})", name,
                          bytes_text(bytes), bytes_text(available.bytes), available.limited_by),
              {}, "lower 'slots' or 'segment_images'");
}

}  // namespace

WorkerProcess::WorkerProcess(boost::asio::io_context& loop, WorkerListener& listener, Setting setting)
    : loop_(loop),
      listener_(listener),
      setting_(std::move(setting)),
      loads_(encoded(setting_.unit)),
      load_wanted_(setting_.load),
      channel_file_(MemoryFile::create("channel-" + setting_.name)),
      task_bell_(Doorbell::create()),
      pidfd_(loop),
      control_(loop),
      completion_bell_(loop),
      stdout_(loop),
      stderr_(loop),
      hang_up_(loop),
      stdout_lines_([name = setting_.name](std::string_view line) { log::info("[{}] {}", name, line); }),
      stderr_lines_([name = setting_.name](std::string_view line) { log::warning("[{}] {}", name, line); }) {}

/// Calls `on_readable` each time the descriptor can be read, until it returns `end` or the descriptor is closed.
template <class OnReadable>
void WorkerProcess::watch(Descriptor& descriptor, OnReadable on_readable) {
  if (!descriptor.is_open()) return;
  descriptor.async_wait(Descriptor::wait_read, [self = shared_from_this(), &descriptor,
                                                on_readable](const boost::system::error_code& error) mutable {
    assert_on_loop(self->loop_);
    if (error || !descriptor.is_open()) return;
    if (on_readable() != Read::end) self->watch(descriptor, std::move(on_readable));
  });
}

void WorkerProcess::listen() {
  watch(pidfd_, [this]() TUTTI_REQUIRES(on_loop) {
    exited();
    return alive_ ? Read::some : Read::end;
  });
  watch(control_, [this]() TUTTI_REQUIRES(on_loop) { return read_control(); });
  watch(stdout_, [this]() TUTTI_REQUIRES(on_loop) { return read_lines(stdout_, stdout_lines_); });
  watch(stderr_, [this]() TUTTI_REQUIRES(on_loop) { return read_lines(stderr_, stderr_lines_); });
}

// Reads one message, if there is one.
WorkerProcess::Read WorkerProcess::read_control() {
  if (distrusted_) return Read::end;
  std::array<char, control::kMaxBytes + 1> buffer;
  const ssize_t length = ::recv(control_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  // If the peer ended with unread messages, the socket reports an error once, before the peer's messages and its end.
  if (length < 0 && errno == ECONNRESET) return Read::some;
  if (length < 0) return errno == EAGAIN || errno == EINTR ? Read::nothing : Read::end;
  if (length == 0) {
    hung_up();
    return Read::end;
  }
  try {
    obey(control::decode({buffer.data(), static_cast<std::size_t>(length)}));
  } catch (const Error& error) {
    violate(fmt::format("{} ({})", error.message(), error.detail()));
    return Read::end;
  }
  return Read::some;
}

void WorkerProcess::obey(const control::Message& message) {
  if (const auto* hello = std::get_if<control::Hello>(&message)) {
    greeted_ = hello->build_id == build_id();
    if (greeted_) return greet_back();
    return give_up({fmt::format("tutti-worker is from another build: {}, this is {}", hello->build_id, build_id()),
                    "build or install Tutti again, or check TUTTI_WORKER", true});
  }
  if (!greeted_ && !std::holds_alternative<control::Failure>(message)) return violate("it did not say hello");
  if (const auto* ready = std::get_if<control::Ready>(&message)) return take_ready(*ready);
  if (const auto* done = std::get_if<control::Done>(&message)) return listener_.on_done(*this, *done);
  if (const auto* failure = std::get_if<control::Failure>(&message)) return give_up(*failure);
  violate("it sent a control message that only the coordinator sends");
}

// A process that ends closes its socket a moment before its pidfd is readable; one that lives on can no longer be
// reached.
void WorkerProcess::hung_up() {
  if (!alive_) return;
  hang_up_.expires_after(kHangUpGrace);
  hang_up_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    assert_on_loop(self->loop_);
    if (!cancelled) self->violate("it closed its control socket");
  });
}

void WorkerProcess::greet_back() {
  if (load_wanted_) return send_loads();
  if (setting_.preload) send(*setting_.preload);
}

void WorkerProcess::take_ready(const control::Ready& ready) {
  if (ready_.size() == loads_.size()) return violate("it said twice that it is ready");
  ready_.push_back(ready);
  if (ready_.size() == loads_.size()) listener_.on_ready(*this, ready_);
}

// A spare may already be loading its unit when it takes over. A second order would end it.
void WorkerProcess::load() {
  if (std::exchange(load_wanted_, true)) return;
  if (greeted_) send_loads();
}

// A socket holds some of many messages. The rest follow as the worker reads; a worker that never does is late.
void WorkerProcess::send_loads() {
  for (; loads_sent_ < loads_.size() && control_.is_open(); ++loads_sent_) {
    const std::string& load = loads_[loads_sent_];
    const ssize_t sent = ::send(control_.native_handle(), load.data(), load.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) return;  // a dead worker is reported by its pidfd
    kill_point("coordinator.load_sent");
  }
  if (loads_sent_ == loads_.size() || !control_.is_open()) return;
  control_.async_wait(Descriptor::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    assert_on_loop(self->loop_);
    if (!error) self->send_loads();
  });
}

// A worker that reported a failure ends by itself, but there is no need to wait for that. The first report counts.
void WorkerProcess::give_up(const control::Failure& reason) {
  if (!reason_) reason_ = reason;
  kill();
}

WorkerProcess::Read WorkerProcess::read_lines(Descriptor& pipe, LineReader& lines) {
  std::array<char, 4096> buffer;
  const ssize_t length = ::read(pipe.native_handle(), buffer.data(), buffer.size());
  if (length < 0) return errno == EAGAIN || errno == EINTR ? Read::nothing : Read::end;
  if (length == 0) return Read::end;
  lines.add({buffer.data(), static_cast<std::size_t>(length)});
  return Read::some;
}

void WorkerProcess::start(const control::Start& start) {
  generation_ = start.generation;
  const ChannelLayout layout(start.arena.slots, start.arena.images, start.widths, start.rows);
  check_available(layout.bytes(), setting_.name);
  channel_file_.allocate(layout.bytes(), fmt::format("the channel of '{}'", setting_.name));
  channel_file_.seal_size();
  auto channel = std::make_shared<Channel>(channel_file_, layout);
  if (setting_.feeds) channel->let_read(channel_file_.for_reader());
  channel_ = std::move(channel);
  kill_point("coordinator.channel_made");
  tasks_.emplace(channel_->tasks());
  completions_.emplace(channel_->completions());
  listen_to_bell();
  drain_completions();  // parks this end, so that the first completion rings the bell
  send(start);
  kill_point("coordinator.start_sent");
}

// By a read, not by watch(): a wait tells the kernel each time what it waits for, which costs more than a read in vain.
void WorkerProcess::listen_to_bell() {
  if (!completion_bell_.is_open()) return;
  completion_bell_.async_read_some(boost::asio::buffer(&rung_, sizeof rung_),
                                   [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
                                     assert_on_loop(self->loop_);
                                     if (error || !self->completion_bell_.is_open()) return;
                                     self->drain_completions();
                                     self->listen_to_bell();
                                   });
}

std::uint64_t WorkerProcess::progress() const noexcept {
  return channel_ ? channel_->status().progress.load(std::memory_order_relaxed) : 0;
}

void WorkerProcess::hand_out(TaskRecord task, const std::shared_ptr<const Channel>& feed, Seat seat) {
  if (!alive_ || distrusted_ || !tasks_) return;
  if (feed) {
    forget_feeds();
    task.feed = number_of(feed, seat);
    fed_.push_back(feed);
    if (distrusted_) return;
  }
  switch (tasks_->push(task)) {
    case RingStatus::ok:
      kill_point("coordinator.task_pushed");
      if (tasks_->consumer_is_parked()) task_bell_.ring();
      return;
    case RingStatus::would_block:
    case RingStatus::corrupt:
      return violate("it wrote nonsense into its task ring");
    case RingStatus::closed:
      TUTTI_UNREACHABLE("the task ring is never closed while the worker is used");
  }
}

// Pops until the ring is empty after this end was parked: see ring.hpp.
void WorkerProcess::drain_completions() {
  if (!completions_ || distrusted_) return;
  completions_->unpark();
  bool parked = false;
  // A peer that publishes without end must not block the loop. A correct one has at most as many answers as its ring
  // has places, including tasks that it gets meanwhile: every task in flight or pending has a slot, and slots are
  // filled again only by a posted submit(). Each may be refused once before it is answered, if rows were written again.
  for (std::uint64_t left = 2 * channel_->layout().ring_capacity() + 2; left > 0; --left) {
    CompletionRecord record;
    const RingStatus status = completions_->pop(record);
    if (status == RingStatus::ok) {
      if (!fed_.empty()) fed_.pop_front();  // a worker answers in order; of one that does not, nothing counts
      listener_.on_completion(*this, record);
      if (distrusted_) return;
    } else if (status == RingStatus::corrupt) {
      return violate("it wrote nonsense into its completion ring");
    } else if (status == RingStatus::closed) {
      return violate("it closed its completion ring");
    } else if (parked) {
      return;
    } else {
      completions_->park();
      parked = true;
    }
  }
  violate("it sent more answers than it was given tasks");
}

// A bell that was rung stays in its eventfd until the sleeper takes it. So a ring with something in it, a parked peer
// and a silent bell, twice in a row, mean a lost wake-up. A process that was stopped before it rang, or just before its
// second look, would look the same, so this checks for stopped processes.
int WorkerProcess::count_missed_wake_ups() {
  if (!alive_ || distrusted_ || !completions_) return 0;
  int missed = 0;
  const bool completion_waits =
      completions_->ready() && !Doorbell::is_rung(completion_bell_.native_handle()) && !is_stopped(pid_);
  if (completion_waits && completion_waited_) {
    ++missed;
    // Posted, so that the missed wake-up is counted before the thread that waits for the answer continues.
    boost::asio::post(loop_, [self = shared_from_this()] {
      assert_on_loop(self->loop_);
      self->drain_completions();
    });
  }
  completion_waited_ = completion_waits;
  const bool task_waits =
      tasks_->unread() && tasks_->consumer_is_parked() && !Doorbell::is_rung(task_bell_.fd()) && !is_stopped(pid_);
  if (task_waits && task_waited_) {
    ++missed;
    task_bell_.ring();
  }
  task_waited_ = task_waits;
  return missed;
}

void WorkerProcess::send(const control::Message& message) {
  if (!control_.is_open()) return;
  const std::string text = control::encode(message);
  const ssize_t sent = ::send(control_.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) not_sent(errno);
}

void WorkerProcess::not_sent(int error) {
  if (error == EPIPE || error == ECONNRESET) return;  // a dead worker is reported by its pidfd
  violate(error == EAGAIN ? "it does not read its control messages"
                          : fmt::format("it cannot be sent a control message: {}", std::strerror(error)));
}

void WorkerProcess::terminate() noexcept {
  if (pid_ == 0) return kill();
  if (alive_ && pidfd_.is_open()) send_signal(pidfd_.native_handle(), SIGTERM);
}

void WorkerProcess::kill() noexcept {
  killed_ = true;
  if (alive_ && pidfd_.is_open()) send_signal(pidfd_.native_handle(), SIGKILL);
}

void WorkerProcess::violate(const std::string& what) {
  if (!alive_ || distrusted_) return;
  distrusted_ = true;
  kill();
  listener_.on_violation(*this, what);
}

void WorkerProcess::exited() {
  kill_group(pid_, pidfd_.native_handle());
  const auto status = reap(pidfd_.native_handle());
  if (status) gone(*status);
}

// All its threads are gone: everything that it published can be read, and nothing more will come.
void WorkerProcess::gone(const ExitStatus& status) {
  if (!alive_) return;
  const auto self = shared_from_this();
  // Bounded: a process that it started itself, in another group, may hold the other ends and never stop writing.
  for (int left = kMaxLastMessages; left > 0 && read_control() == Read::some;) --left;
  drain_completions();
  kill_point("coordinator.death_seen");
  alive_ = false;
  for (int left = kMaxLastReads; left > 0 && read_lines(stdout_, stdout_lines_) == Read::some;) --left;
  for (int left = kMaxLastReads; left > 0 && read_lines(stderr_, stderr_lines_) == Read::some;) --left;
  stdout_lines_.finish();
  stderr_lines_.finish();
  close_all();
  listener_.on_gone(*this, status, reason_);
}

void WorkerProcess::abandon() {
  distrusted_ = true;
  hang_up_.cancel();
  boost::system::error_code ignored;
  for (Descriptor* descriptor : {&control_, &completion_bell_, &stdout_, &stderr_}) descriptor->close(ignored);
}

void WorkerProcess::close_all() {
  fed_.clear();
  hang_up_.cancel();
  boost::system::error_code ignored;
  for (Descriptor* descriptor : {&pidfd_, &control_, &completion_bell_, &stdout_, &stderr_}) descriptor->close(ignored);
}

}  // namespace tutti
