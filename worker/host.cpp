#include "worker/host.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/clock.hpp"
#include "common/kill_point.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/spawn_contract.hpp"
#include "worker/backend_loader.hpp"
#include "worker/control_client.hpp"
#include "worker/failure.hpp"
#include "worker/fork_server.hpp"
#include "worker/launch.hpp"
#include "worker/memory_bound.hpp"
#include "worker/steps.hpp"
#include "worker/unit_loop.hpp"
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

/// Receives the unit. A spare first gets a request to open its libraries, and may wait long for its unit.
std::vector<control::Load> receive_unit(ControlClient& control) {
  control::Message message = next_message(control);
  if (const auto* preload = std::get_if<control::Preload>(&message)) {
    kill_point("worker.preload_received");
    preload_backend(preload->cuda);
    kill_point("worker.preloaded");
    message = next_message(control);
  }
  std::vector<control::Load> unit{as<control::Load>(std::move(message))};
  while (unit.back().more) unit.push_back(as<control::Load>(next_message(control)));
  return unit;
}

/// Loads a model with `load` and warms it up as this member's. The Ready is for one member, but its output and
/// parameters are the model's.
template <class Load>
control::Ready load_and_warm(LoadedModel& loaded, Load load, const MemberRequest& request, int control_fd) {
  control::Ready ready;
  auto begin = std::chrono::steady_clock::now();
  loaded = load();
  ready.load_seconds = seconds_since(begin);
  kill_point("worker.loaded");
  begin = std::chrono::steady_clock::now();
  const WarmUp warm = warm_up(*loaded.model, request, control_fd);
  ready.warm_up_seconds = seconds_since(begin);
  kill_point("worker.warm");
  ready.output = warm.output;
  ready.parts = loaded.model->parts();
  ready.batch_seconds = warm.batch_seconds;
  ready.parameters = loaded.model->parameters();
  ready.backend = loaded.backend;
  ready.note = fmt::format("{}", fmt::join(loaded.model->notes(), "; "));
  return ready;
}

/// A warm model, and what its member makes of its outputs. They are no part of the warm-up: a threshold turns a
/// difference in the last bits, which is no reason to reject a model, into one of 1.
std::optional<RowWork> add_steps(LoadedModel& loaded, const MemberRequest& request, control::Ready& ready) {
  std::optional<RowWork> rows;
  if (!request.steps.empty()) loaded.model = std::make_unique<Stepped>(request, std::move(loaded.model));
  ready.output = loaded.model->output();
  ready.parts = loaded.model->parts();
  if (!RowWork::is_needed(request)) return rows;
  rows.emplace(request, ready.output);
  ready.output = rows->output();
  if (!request.steps.empty()) ready.parts.clear();
  return rows;
}

/// A member of the unit, on the thread that computes for it.
class Member {
 public:
  Member(const control::Load& load, bool alone) : request_(load.member), alone_(alone) {
    if (load.mode == UnitMode::threads) thread_ = std::make_unique<MemberThread>();
  }

  /// Loads the model and warms it up. Throws what they throw; the text says whose it is unless the member is alone.
  control::Ready prepare(int control_fd) {
    control::Ready ready;
    const auto make_ready = [&] {
      const MemberRequest of_model = before_steps(request_);
      ready = load_and_warm(
          loaded_, [&] { return load_model(of_model); }, of_model, control_fd);
    };
    try {
      if (thread_)
        thread_->run(make_ready);
      else
        make_ready();
    } catch (const std::exception& error) {
      if (alone_ && request_.fed_by.empty()) throw;
      const control::Failure failure = failure_of(error);
      throw Error(failure.usage ? ErrorKind::usage : ErrorKind::failed,
                  alone_ ? fmt::format("{}; it takes what {} outputs, {}", failure.text, request_.fed_by,
                                       layout_text(request_.seen()))
                         : fmt::format("{}: {}", request_.name, failure.text),
                  {}, failure.hint);
    }
    rows_ = add_steps(loaded_, request_, ready);
    return ready;
  }

  UnitMember seated() { return {*loaded_.model, request_, thread_.get(), rows_ ? &*rows_ : nullptr}; }

 private:
  const MemberRequest request_;
  const bool alone_;
  LoadedModel loaded_;
  std::optional<RowWork> rows_;
  std::unique_ptr<MemberThread> thread_;  // ends before the model
};

/// Fused members: one model for all of them.
class Fused {
 public:
  explicit Fused(const std::vector<control::Load>& unit) {
    for (const control::Load& load : unit) requests_.push_back(load.member);
  }

  /// One Ready for each member. Throws what loading and the warm-up throw.
  std::vector<control::Ready> prepare(int control_fd) {
    const std::size_t members = requests_.size();
    control::Ready ready = load_and_warm(
        loaded_, [this] { return load_fused(requests_); }, requests_.front(), control_fd);
    ready.output.erase(ready.output.begin());  // the axis of the members
    ready.parameters /= members;
    ready.backend = fmt::format("{}, {} fused", loaded_.backend, members);
    return std::vector<control::Ready>(members, ready);
  }

  std::vector<UnitMember> seated() const {
    std::vector<UnitMember> members;
    for (const MemberRequest& request : requests_) members.push_back({*loaded_.model, request});
    return members;
  }

 private:
  std::vector<MemberRequest> requests_;
  LoadedModel loaded_;
};

void host_unit(ControlClient& control, const LaunchOptions& options) {
  control.send(control::Hello{build_id()});
  kill_point("worker.hello");
  if (options.debug) wait_for_debugger(options.member);
  const std::vector<control::Load> unit = receive_unit(control);
  kill_point("worker.load_received");

  std::vector<std::string> names;
  for (const control::Load& load : unit) names.push_back(load.member.name);
  std::deque<Member> members;
  std::optional<Fused> fused;
  std::vector<const MemberRequest*> requests;
  for (const control::Load& load : unit) requests.push_back(&load.member);
  const MemoryBound memory(memory_bound(requests));
  if (unit.front().mode == UnitMode::fused && unit.size() > 1) {
    const std::vector<control::Ready> all = fused.emplace(unit).prepare(control.fd());
    memory.check_loaded();
    for (const control::Ready& ready : all) control.send(ready);
  } else {
    for (const control::Load& load : unit) {
      const control::Ready ready = members.emplace_back(load, unit.size() == 1).prepare(control.fd());
      memory.check_loaded();
      control.send(ready);
    }
  }
  kill_point("worker.ready");

  const auto start = as<control::Start>(next_message(control));
  kill_point("worker.start_received");
  const MemoryFile arena_file{UniqueFd(kArenaFd)};
  const MemoryFile channel_file{UniqueFd(kChannelFd)};
  // As long as the process lives: a model may keep views of it, which it may look at until it is destroyed.
  static Mapping arena(arena_file, Access::read_only, "the arena");
  arena.exclude_from_core_dumps();  // a core file is for debugging this member and need not hold all images
  guard_against_writes({arena.data(), arena.size()}, fmt::format("{}", fmt::join(names, "', '")), control.fd());
  Channel channel(channel_file, {start.arena.slots, start.arena.images, start.widths, start.rows});
  Doorbell task_bell{UniqueFd(kTaskBellFd)};
  Doorbell completion_bell{UniqueFd(kCompletionBellFd)};
  kill_point("worker.mapped");
  LoopParts parts{{}, fused.has_value(), start, arena.data(), channel, task_bell, completion_bell, control};
  for (Member& member : members) parts.members.push_back(member.seated());
  if (fused) parts.members = fused->seated();
  UnitLoop(std::move(parts)).run();
}

int run(int argc, char** argv, ForeignFds foreign) {
  kill_point("worker.started");
  LaunchOptions options = parse_arguments({argv + 1, argv + argc});
  ControlClient control{UniqueFd(kControlFd)};
  try {
    take_place(options, foreign);
    kill_point("worker.tied");
    if (!options.python.empty()) become_python(options);
    if (options.fork_server) {
      auto forked = serve_forks(control, options.preload, argc, argv);
      if (!forked) return kLeft;
      options = std::move(*forked);
      take_place(options);
    }
    host_unit(control, options);
    return kLeft;
  } catch (const CoordinatorGone&) {
    return kLeft;
  } catch (const std::exception& error) {
    control.send(failure_of(error));
  }
  return kFailed;
}

}  // namespace

int host(int argc, char** argv, ForeignFds foreign) {
  try {
    return run(argc, argv, foreign);
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-worker: {}\n", error.what());
    return kUsage;
  }
}

}  // namespace tutti::worker
