#include "bench/micro/transports.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include <tutti/error.hpp>

namespace tutti::bench::micro {
namespace {

void must(bool fine, const char* what) {
  if (!fine) throw std::logic_error(what);
}

/// Pops if there is something.
template <class Record>
bool pop(RingConsumer<Record>& ring, Record& record) {
  const RingStatus status = ring.pop(record);
  must(status == RingStatus::ok || status == RingStatus::would_block, "a ring is closed or corrupt");
  return status == RingStatus::ok;
}

template <class Record>
void push(RingProducer<Record>& ring, const Record& record) {
  must(ring.push(record) == RingStatus::ok, "a ring is full or corrupt");
}

std::vector<std::unique_ptr<RingEnds>> ends_of(const Channels& channels) {
  std::vector<std::unique_ptr<RingEnds>> ends;
  for (std::size_t w = 0; w < channels.size(); ++w) ends.push_back(std::make_unique<RingEnds>(channels[w]));
  return ends;
}

void poll_all(std::vector<pollfd>& fds) {
  while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
  }
}

template <class Record>
void send(int fd, const Record& record) {
  must(::send(fd, &record, sizeof record, MSG_NOSIGNAL) == ssize_t{sizeof record}, "a socket takes no record");
}

template <class Record>
Record receive(int fd) {
  Record record;
  must(::recv(fd, &record, sizeof record, 0) == ssize_t{sizeof record}, "a socket gives no record");
  return record;
}

}  // namespace

Channels::Channels(std::size_t workers, const ChannelLayout& layout) {
  for (std::size_t w = 0; w < workers; ++w) {
    MemoryFile file = MemoryFile::create("bench");
    file.allocate(layout.bytes(), "a channel");
    channels_.push_back(std::make_unique<Channel>(file, layout));
  }
}

// ---- spinning on rings

SpinningRings::SpinningRings(const Channels& channels) : ends_(ends_of(channels)) {}

void SpinningRings::hand_out(std::size_t worker, const TaskRecord& task) { push(ends_[worker]->tasks_out, task); }

CompletionRecord SpinningRings::await() {
  for (CompletionRecord record;;) {
    for (const auto& ends : ends_)
      if (pop(ends->completions_in, record)) return record;
    __builtin_ia32_pause();
  }
}

TaskRecord SpinningRings::take(std::size_t worker) {
  TaskRecord record;
  while (!pop(ends_[worker]->tasks_in, record)) __builtin_ia32_pause();
  return record;
}

void SpinningRings::answer(std::size_t worker, const CompletionRecord& completion) {
  push(ends_[worker]->completions_out, completion);
}

// ---- rings with doorbells: announce sleep, look once more, and only then sleep

ParkedRings::ParkedRings(const Channels& channels) : ends_(ends_of(channels)) {
  for (std::size_t w = 0; w < ends_.size(); ++w) {
    task_bells_.push_back(Doorbell::create());
    completion_bells_.push_back(Doorbell::create());
  }
}

void ParkedRings::hand_out(std::size_t worker, const TaskRecord& task) {
  push(ends_[worker]->tasks_out, task);
  if (ends_[worker]->tasks_out.consumer_is_parked()) task_bells_[worker].ring();
}

bool ParkedRings::pop_any(CompletionRecord& record) {
  for (const auto& ends : ends_)
    if (pop(ends->completions_in, record)) return true;
  return false;
}

CompletionRecord ParkedRings::await() {
  CompletionRecord record;
  while (!pop_any(record)) {
    for (const auto& ends : ends_) ends->completions_in.park();
    const bool late = pop_any(record);
    std::vector<pollfd> bells;
    for (const Doorbell& bell : completion_bells_) bells.push_back({bell.fd(), POLLIN, 0});
    if (!late) poll_all(bells);
    for (std::size_t w = 0; w < ends_.size(); ++w) {
      ends_[w]->completions_in.unpark();
      if (bells[w].revents != 0) completion_bells_[w].silence();
    }
    if (late) break;
  }
  return record;
}

TaskRecord ParkedRings::take(std::size_t worker) {
  TaskRecord record;
  RingConsumer<TaskRecord>& tasks = ends_[worker]->tasks_in;
  while (!pop(tasks, record)) {
    tasks.park();
    const bool late = pop(tasks, record);
    std::vector<pollfd> bell{{task_bells_[worker].fd(), POLLIN, 0}};
    if (!late) poll_all(bell);
    tasks.unpark();
    task_bells_[worker].silence();
    if (late) break;
  }
  return record;
}

void ParkedRings::answer(std::size_t worker, const CompletionRecord& completion) {
  push(ends_[worker]->completions_out, completion);
  if (ends_[worker]->completions_out.consumer_is_parked()) completion_bells_[worker].ring();
}

// ---- sockets

Sockets::Sockets(const Channels& channels) {
  for (std::size_t w = 0; w < channels.size(); ++w) {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0)
      throw Error(ErrorKind::failed, "could not create a socket", std::strerror(errno));
    ours_.emplace_back(fds[0]);
    theirs_.emplace_back(fds[1]);
  }
}

void Sockets::hand_out(std::size_t worker, const TaskRecord& task) { send(ours_[worker].get(), task); }

CompletionRecord Sockets::await() {
  if (ours_.size() == 1) return receive<CompletionRecord>(ours_.front().get());
  std::vector<pollfd> sockets;
  for (const UniqueFd& fd : ours_) sockets.push_back({fd.get(), POLLIN, 0});
  poll_all(sockets);
  for (const pollfd& socket : sockets)
    if (socket.revents != 0) return receive<CompletionRecord>(socket.fd);
  throw std::logic_error("poll returned without an event");
}

TaskRecord Sockets::take(std::size_t worker) { return receive<TaskRecord>(theirs_[worker].get()); }

void Sockets::answer(std::size_t worker, const CompletionRecord& completion) {
  send(theirs_[worker].get(), completion);
}

// ---- message queues

namespace {

// Its name is removed at once: peers inherit the mapping, and nothing is left behind.
template <class Record>
std::unique_ptr<boost::interprocess::message_queue> make_queue(std::size_t capacity) {
  using boost::interprocess::message_queue;
  static std::atomic<unsigned> number{0};
  const std::string name = fmt::format("tutti-bench-{}-{}", ::getpid(), number++);
  auto queue =
      std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(), capacity, sizeof(Record));
  message_queue::remove(name.c_str());
  return queue;
}

template <class Record>
Record receive(boost::interprocess::message_queue& queue) {
  Record record;
  boost::interprocess::message_queue::size_type size = 0;
  unsigned priority = 0;
  queue.receive(&record, sizeof record, size, priority);
  must(size == sizeof record, "a message queue gives no record");
  return record;
}

}  // namespace

MessageQueues::MessageQueues(const Channels& channels) {
  const std::uint64_t slots = channels[0].layout().slots();
  for (std::size_t w = 0; w < channels.size(); ++w) tasks_.push_back(make_queue<TaskRecord>(slots));
  completions_ = make_queue<CompletionRecord>(slots * channels.size());
}

void MessageQueues::hand_out(std::size_t worker, const TaskRecord& task) {
  tasks_[worker]->send(&task, sizeof task, 0);
}

CompletionRecord MessageQueues::await() { return receive<CompletionRecord>(*completions_); }

TaskRecord MessageQueues::take(std::size_t worker) { return receive<TaskRecord>(*tasks_[worker]); }

void MessageQueues::answer(std::size_t, const CompletionRecord& completion) {
  completions_->send(&completion, sizeof completion, 0);
}

}  // namespace tutti::bench::micro
