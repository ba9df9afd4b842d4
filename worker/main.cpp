// The program `tutti-worker`: hosts one member. Only the coordinator starts it.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/clock.hpp"
#include "common/kill_point.hpp"
#include "common/standard_streams.hpp"
#include "common/wire/spawn_contract.hpp"
#include "worker/backend_loader.hpp"
#include "worker/control_client.hpp"
#include "worker/failure.hpp"
#include "worker/fork_server.hpp"
#include "worker/launch.hpp"
#include "worker/member_loop.hpp"
#include "worker/warm_up.hpp"
#include "worker/write_guard.hpp"

namespace tutti::worker {
namespace {

/// The coordinator closed its end, or is dead: there is no one to report to.
struct CoordinatorGone {};

control::Message next_message(ControlClient& control) {
  auto message = control.receive();
  if (!message || std::holds_alternative<control::Stop>(*message)) throw CoordinatorGone{};
  return std::move(*message);
}

template <class Expected>
Expected as(control::Message message) {
  if (auto* expected = std::get_if<Expected>(&message)) return std::move(*expected);
  throw Error(ErrorKind::failed, "the coordinator sent a control message out of turn");
}

/// Receives the member. A spare first gets a request to open its libraries, and may wait long for its member.
MemberRequest receive_member(ControlClient& control) {
  control::Message message = next_message(control);
  if (const auto* preload = std::get_if<control::Preload>(&message)) {
    kill_point("worker.preload_received");
    preload_backend(preload->cuda);
    kill_point("worker.preloaded");
    message = next_message(control);
  }
  return as<control::Load>(std::move(message)).member;
}

void host_member(ControlClient& control, const LaunchOptions& options) {
  control.send(control::Hello{build_id()});
  kill_point("worker.hello");
  if (options.debug) wait_for_debugger(options.member);
  const MemberRequest request = receive_member(control);
  kill_point("worker.load_received");

  auto begin = std::chrono::steady_clock::now();
  LoadedModel loaded = load_model(request);
  control::Ready ready;
  ready.load_seconds = seconds_since(begin);
  kill_point("worker.loaded");
  begin = std::chrono::steady_clock::now();
  const WarmUp warm = warm_up(*loaded.model, request, control.fd());
  ready.warm_up_seconds = seconds_since(begin);
  ready.output = warm.output;
  ready.parts = loaded.model->parts();
  ready.batch_seconds = warm.batch_seconds;
  kill_point("worker.warm");
  ready.parameters = loaded.model->parameters();
  ready.backend = loaded.backend;
  ready.note = fmt::format("{}", fmt::join(loaded.model->notes(), "; "));
  control.send(ready);
  kill_point("worker.ready");

  const auto start = as<control::Start>(next_message(control));
  kill_point("worker.start_received");
  const MemoryFile arena_file{UniqueFd(kArenaFd)};
  const MemoryFile channel_file{UniqueFd(kChannelFd)};
  Mapping arena(arena_file, Access::read_only, "the arena");
  arena.exclude_from_core_dumps();  // a core file is for debugging this member and need not hold all images
  guard_against_writes({arena.data(), arena.size()}, request.name, control.fd());
  Channel channel(channel_file, {start.arena.slots, start.arena.images, start.width});
  Doorbell task_bell{UniqueFd(kTaskBellFd)};
  Doorbell completion_bell{UniqueFd(kCompletionBellFd)};
  kill_point("worker.mapped");
  MemberLoop({*loaded.model, request, start, arena.data(), channel, task_bell, completion_bell, control}).run();
}

int run(int argc, char** argv) {
  kill_point("worker.started");
  LaunchOptions options = parse_arguments({argv + 1, argv + argc});
  ControlClient control{UniqueFd(kControlFd)};
  try {
    take_place(options);
    kill_point("worker.tied");
    if (options.fork_server) {
      auto forked = serve_forks(control, options.preload, argc, argv);
      if (!forked) return kLeft;
      options = std::move(*forked);
      take_place(options);
    }
    host_member(control, options);
    return kLeft;
  } catch (const CoordinatorGone&) {
    return kLeft;
  } catch (const std::exception& error) {
    control.send(failure_of(error));
  }
  return kFailed;
}

}  // namespace
}  // namespace tutti::worker

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  int code = tutti::kUsage;
  try {
    code = tutti::worker::run(argc, argv);
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "tutti-worker: {}\n", error.what());
  }
  // Libraries with threads (LibTorch, CUDA) are not shut down: the model is destroyed, and the kernel cleans up.
  std::fflush(nullptr);
  ::_exit(code);
}
