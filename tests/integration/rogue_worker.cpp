// A worker that does one thing wrong, named by the environment variable TUTTI_ROGUE. For tests only.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "common/build_id.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/doorbell.hpp"
#include "common/wire/spawn_contract.hpp"
#include "worker/control_client.hpp"
#include "worker/launch.hpp"

namespace tutti {
namespace {

[[noreturn]] void wait_for_the_end() {
  for (;;) ::pause();
}

/// Waits for the bell, and exits at any message from the coordinator, which can only be the order to stop.
void wait_for(int bell) {
  std::array<pollfd, 2> ends{{{bell, POLLIN, 0}, {kControlFd, POLLIN, 0}}};
  ::poll(ends.data(), ends.size(), -1);
  if (ends[1].revents != 0) ::_exit(0);
}

TaskRecord first_task(RingConsumer<TaskRecord>& tasks, int bell) {
  TaskRecord task;
  for (tasks.park(); tasks.pop(task) != RingStatus::ok;) wait_for(bell);
  return task;
}

void answer(RingProducer<CompletionRecord>& completions, const TaskRecord& task, Doorbell& bell) {
  completions.push({task.sequence, task.segment, task.generation, task.slot, task.images, task.seat});
  bell.ring();
}

void say(const std::string& line) { (void)!::write(STDOUT_FILENO, line.data(), line.size()); }

/// Leaves a process behind that only the test ends, logs its number, and exits.
[[noreturn]] void leave_grandchild(bool in_own_session) {
  std::array<int, 2> ready{};
  (void)!::pipe(ready.data());
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (in_own_session) ::setsid();
    ::signal(SIGPIPE, SIG_IGN);
    // As much as a pipe holds at once, in lines too short to be read as fast. Ends when the reader is gone.
    std::string noise;
    while (noise.size() < 65536) noise += "x\n";
    if (in_own_session) (void)!::write(STDOUT_FILENO, noise.data(), noise.size());
    (void)!::write(ready[1], "x", 1);
    while (in_own_session && ::write(STDOUT_FILENO, noise.data(), noise.size()) > 0) {
    }
    wait_for_the_end();
  }
  say("grandchild " + std::to_string(pid) + "\n");
  char byte = 0;
  (void)!::read(ready[0], &byte, 1);
  std::exit(9);
}

/// Answers everything without ringing the bell.
[[noreturn]] void answer_in_silence(RingConsumer<TaskRecord>& tasks, RingProducer<CompletionRecord>& completions) {
  Doorbell bell{UniqueFd(kTaskBellFd)};
  for (;;) {
    const TaskRecord task = first_task(tasks, kTaskBellFd);
    completions.push({task.sequence, task.segment, task.generation, task.slot, task.images, task.seat});
    bell.silence();
  }
}

/// Takes the first ring back and sleeps on, as if it had never come. Answers once it is woken again.
[[noreturn]] void sleep_through_the_bell(RingConsumer<TaskRecord>& tasks, RingProducer<CompletionRecord>& completions,
                                         Doorbell& completion_bell) {
  Doorbell bell{UniqueFd(kTaskBellFd)};
  tasks.park();
  wait_for(kTaskBellFd);
  bell.silence();
  wait_for(kTaskBellFd);
  answer(completions, first_task(tasks, kTaskBellFd), completion_bell);
  bell.silence();
  for (;;) wait_for(kTaskBellFd);
}

void misbehave(const std::string& how, const control::Start& start) {
  const ChannelLayout layout{start.arena.slots, start.arena.images, start.widths};
  const Channel channel(MemoryFile(UniqueFd(kChannelFd)), layout);
  RingConsumer<TaskRecord> tasks(channel.tasks());
  RingProducer<CompletionRecord> completions(channel.completions());
  Doorbell bell{UniqueFd(kCompletionBellFd)};
  if (how == "answers-in-silence") answer_in_silence(tasks, completions);
  if (how == "sleeps-through-the-bell") sleep_through_the_bell(tasks, completions, bell);
  TaskRecord task = first_task(tasks, kTaskBellFd);
  if (how == "stops-before-bell") {
    completions.push({task.sequence, task.segment, task.generation, task.slot, task.images, task.seat});
    ::raise(SIGSTOP);
  }
  if (how == "answers-and-exits") {
    first_task(tasks, kTaskBellFd);  // the second is in the ring, and stays unanswered
    completions.push({task.sequence, task.segment, task.generation, task.slot, task.images, task.seat});
    ::_exit(5);  // without the bell: the answer is found only by looking again
  }
  if (how == "wrong-slot") ++task.slot;
  if (how == "wrong-seat") ++task.seat;
  if (how == "wrong-images") task.images = 1'000'000;
  if (how == "later-generation") ++task.generation;
  if (how == "nonsense-tasks") channel.tasks().header->head = 1000;
  if (how == "nonsense-completions") {
    channel.completions().header->tail = 1000;
    bell.ring();
  } else if (how == "closes-ring") {
    completions.close();
    bell.ring();
  } else {
    answer(completions, task, bell);
  }
  if (how == "twice") answer(completions, task, bell);
  wait_for_the_end();
}

void run(const std::string& how, int argc, char** argv) {
  worker::take_place(parse_arguments({argv + 1, argv + argc}));
  worker::ControlClient control{UniqueFd(kControlFd)};
  if (how == "another-build") control.send(control::Hello{"0.0.0-anotherbuild"});
  if (how == "garbage") (void)!::write(kControlFd, "\x01\x02 not JSON", 11);
  if (how == "no-hello") control.send(control::Ready{{4}, 0, 0, 0, "rogue", {}, {}});
  if (how == "order-of-coordinator") {
    control.send(control::Hello{build_id()});
    control.send(control::Stop{});
  }
  if (how == "closes-socket") ::close(kControlFd);
  if (how == "leaves-grandchild" || how == "leaves-writer") leave_grandchild(how == "leaves-writer");
  if (how == "fails-and-stays") control.send(control::Failure{"its own words", "its own hint", true});
  if (how == "fails-and-stays" || how == "another-build" || how == "garbage" || how == "no-hello" ||
      how == "order-of-coordinator" || how == "closes-socket")
    wait_for_the_end();
  if (how == "writes-lines") {
    (void)!::write(STDOUT_FILENO, "hello out\nrest", 14);
    (void)!::write(STDERR_FILENO, "hello err\n", 10);
    std::exit(9);
  }
  if (how == "words-and-exit") {
    const std::string line = "pid " + std::to_string(::getpid()) + "\n";
    (void)!::write(STDOUT_FILENO, line.data(), line.size());
  }
  control.send(control::Hello{build_id()});
  if (how == "words-and-exit") {
    control.send(control::Failure{"the first words", "", false});
    control.send(control::Failure{"the second", "", false});
    ::_exit(1);
  }
  if (how == "closes-socket-unread") {
    pollfd end{kControlFd, POLLIN, 0};
    ::poll(&end, 1, -1);
    ::close(kControlFd);
    wait_for_the_end();
  }
  control.receive();
  if (how == "seals-channel") ::fcntl(kChannelFd, F_ADD_SEALS, F_SEAL_SEAL);
  const std::uint32_t width = how == "no-width"        ? 0
                              : how == "largest-width" ? 1U << 24
                              : how == "huge-width"    ? (1U << 24) + 1
                                                       : 4;
  control::Ready ready{{width}, 0, 0, 0, "rogue", {}, {}};
  if (how == "other-parts") ready.parts = {{"a", {Dtype::float32, {2}}}, {"b", {Dtype::float32, {3}}}};
  control.send(ready);
  if (how == "ready-twice") control.send(control::Ready{{width}, 0, 0, 0, "rogue", {}, {}});
  if (how == "done-unasked") control.send(control::Done{});
  const auto message = control.receive();
  if (message && std::holds_alternative<control::Start>(*message)) misbehave(how, std::get<control::Start>(*message));
}

}  // namespace
}  // namespace tutti

// With TUTTI_ROGUE_TOKEN only the process that removes that file is rogue; the others are the worker of
// TUTTI_REAL_WORKER.
int main(int argc, char** argv) {
  const char* token = std::getenv("TUTTI_ROGUE_TOKEN");
  if (token != nullptr && ::unlink(token) != 0) ::execv(std::getenv("TUTTI_REAL_WORKER"), argv);
  const char* how = std::getenv("TUTTI_ROGUE");
  tutti::run(how != nullptr ? how : "", argc, argv);
}
