// The program `tutti-worker`: hosts one member. Started by the coordinator alone.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/spawn_contract.hpp"
#include "worker/backend_loader.hpp"
#include "worker/control_client.hpp"
#include "worker/launch.hpp"
#include "worker/member_loop.hpp"
#include "worker/warm_up.hpp"
#include "worker/write_guard.hpp"

namespace tutti::worker {
namespace {

/// The coordinator closed its end, or is dead: nobody is there to be told anything.
struct CoordinatorGone {};

template <class Expected>
Expected expect(ControlClient& control) {
  auto message = control.receive();
  if (!message || std::holds_alternative<control::Stop>(*message)) throw CoordinatorGone{};
  if (auto* expected = std::get_if<Expected>(&*message)) return std::move(*expected);
  throw Error(ErrorKind::failed, "the coordinator sent a control message out of turn");
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void host_member(ControlClient& control, const LaunchOptions& options) {
  control.send(control::Hello{build_id()});
  if (options.debug) wait_for_debugger(options.member);
  const MemberRequest request = expect<control::Load>(control).member;

  auto begin = std::chrono::steady_clock::now();
  LoadedModel loaded = load_model(request);
  control::Ready ready;
  ready.load_seconds = seconds_since(begin);
  begin = std::chrono::steady_clock::now();
  ready.width = warm_up(*loaded.model, request, control.fd());
  ready.warm_up_seconds = seconds_since(begin);
  ready.parameters = loaded.model->parameters();
  ready.backend = loaded.backend;
  control.send(ready);

  const auto start = expect<control::Start>(control);
  const MemoryFile arena_file{UniqueFd(kArenaFd)};
  const MemoryFile channel_file{UniqueFd(kChannelFd)};
  const Mapping arena(arena_file, Access::read_only, "the arena");
  guard_against_writes({arena.data(), arena.size()}, request.name, control.fd());
  Channel channel(channel_file, {start.arena.slots, start.arena.images, start.width});
  Doorbell task_bell{UniqueFd(kTaskBellFd)};
  Doorbell completion_bell{UniqueFd(kCompletionBellFd)};
  MemberLoop({*loaded.model, request, start, arena.data(), channel, task_bell, completion_bell, control}).run();
}

int run(int argc, char** argv) {
  const LaunchOptions options = parse_arguments({argv + 1, argv + argc});
  ControlClient control{UniqueFd(kControlFd)};
  try {
    take_place(options);
    host_member(control, options);
    return kLeft;
  } catch (const CoordinatorGone&) {
    return kLeft;
  } catch (const Error& error) {
    std::string text = error.message();
    if (!error.detail().empty()) text += ": " + error.detail();
    control.send(control::Failure{text, error.hint(), error.kind() == ErrorKind::usage});
  } catch (const std::exception& error) {
    control.send(control::Failure{error.what(), "", false});
  }
  return kFailed;
}

}  // namespace
}  // namespace tutti::worker

int main(int argc, char** argv) {
  int code = tutti::kUsage;
  try {
    code = tutti::worker::run(argc, argv);
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "tutti-worker: {}\n", error.what());
  }
  // Libraries with threads of their own (LibTorch, CUDA) are not torn down: the model is gone, the kernel does the
  // rest.
  std::fflush(nullptr);
  ::_exit(code);
}
