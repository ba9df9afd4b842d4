#include "tests/coordinator/decide/supervisor_rig.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/print_ids.hpp"

namespace tutti::test {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

SupervisorSetting rig_setting(std::size_t members, std::uint32_t slots) {
  SupervisorSetting setting;
  for (std::size_t rank = 0; rank < members; ++rank) setting.names.push_back(fmt::format("m{}", rank));
  set_hosting(setting, Hosting::one_each(members));
  setting.slots = slots;
  setting.segment_images = 10;
  setting.checkpoint_segments = std::clamp(slots, 2U, 3U) - 1;
  return setting;
}

void set_hosting(SupervisorSetting& setting, Hosting hosting) {
  setting.devices = {};
  for (std::size_t worker = 0; worker < hosting.workers(); ++worker)
    setting.devices.push_back(fmt::format("cpu:{}", worker));
  setting.hosting = std::move(hosting);
}

Rig::Rig(SupervisorSetting setting)
    : supervisor(setting),
      members_(setting.names.size()),
      slots_(setting.slots),
      tasks_(members_),
      tasks_of_(setting.devices.size()) {}

Rig Rig::running(SupervisorSetting setting) {
  Rig rig(std::move(setting));
  rig.supervisor.start(rig.now);
  for (std::size_t worker = 0; worker < rig.supervisor.hosting().workers(); ++worker) rig.ready(worker);
  rig.take();
  REQUIRE(rig.supervisor.all_running());
  return rig;
}

Texts Rig::take() {
  Texts texts;
  while (const auto action = supervisor.next()) texts.push_back(text_of(*action));
  return texts;
}

std::string Rig::text_of(const Action& action) {
  while (tasks_.size() < supervisor.hosting().members()) tasks_.push_back({});
  return std::visit(
      Overloaded{
          [](const action::Move& a) { return fmt::format("move {} from {} to {}", a.rank, a.from, a.to); },
          [](const action::Retire& a) { return fmt::format("retire {}", a.worker); },
          [](const action::Vacate& a) { return fmt::format("vacate {}", a.worker); },
          [](const action::Superseded& a) { return a.problem.empty() ? "superseded" : "not superseded: " + a.problem; },
          [&](const action::Spawn& a) {
            for (const Rank rank : supervisor.hosting().members_of(a.worker)) tasks_[rank].clear();
            if (a.worker.value() < tasks_of_.size()) tasks_of_[a.worker.value()].clear();
            return fmt::format("spawn {} g{}", a.worker, a.generation);
          },
          [](const action::Begin& a) { return fmt::format("begin {}", a.worker); },
          [](const action::Prepare& a) {
            return fmt::format("prepare {}{}{}", a.rank, a.checkpoint ? fmt::format(" from {}", *a.checkpoint) : "",
                               a.begin && a.checkpoint ? " and begin" : "");
          },
          [](const action::Tell& a) { return fmt::format("tell {}", a.rank); },
          [&](const action::HandOut& a) {
            tasks_[a.rank].push_back(a.task);
            if (tasks_of_.size() <= a.worker.value()) tasks_of_.resize(a.worker.value() + 1);
            tasks_of_[a.worker.value()].push_back(a.task);
            const bool replica = supervisor.hosting().replicated(a.worker);
            return fmt::format("task {}{} s{}{}{}", a.rank, replica ? fmt::format(" to {}", a.worker) : "",
                               a.task.segment, a.second ? " too" : "",
                               a.task.checkpoint == 0 ? "" : fmt::format(" c{}", a.task.checkpoint));
          },
          [](const action::Kill& a) { return fmt::format("kill {}", a.worker); },
          [](const action::Abandon& a) { return fmt::format("abandon {} g{}", a.worker, a.generation); },
          [](const action::Hold& a) { return fmt::format("hold {}", a.slot); },
          [](const action::Release& a) { return fmt::format("release {}", a.slot); },
          [](const action::Judge& a) { return fmt::format("judge {}", a.segment); },
          [&](const action::Finish& a) {
            closed_.emplace(a.segment, supervisor.close(a.segment));
            return fmt::format("finish {}", a.segment);
          },
          [](const action::CommandDone& a) {
            return a.problem ? fmt::format("command done: {}", a.problem->message()) : std::string("command done");
          },
          [&](const action::FailCall& a) {
            error = a.error;
            blamed = a.image;
            return fmt::format("fail call of s{}: {}", a.segment, a.error.message());
          },
          [&](const action::Fail& a) {
            error = a.error;
            return fmt::format("fail: {}", a.error.message());
          },
          [](const action::Say& a) { return a.line; }},
      action);
}

void Rig::pass(double seconds) {
  now += std::chrono::duration_cast<Supervisor::Time::duration>(std::chrono::duration<double>(seconds));
}

std::optional<SegmentId> Rig::open(TaskKind kind, bool last, const Terms& terms) {
  return open(ByRank<bool>(members_, true), kind, last, terms);
}

std::optional<SegmentId> Rig::open(const ByRank<bool>& asked, TaskKind kind, bool last, const Terms& terms) {
  const std::uint32_t number = opened_++;
  return supervisor.open(SlotId(number % slots_), 10, kind, asked, 100 + number, last, now, terms);
}

CompletionRecord Rig::answer_to(const TaskRecord& task, CompletionStatus status) {
  CompletionRecord record{task.sequence, task.segment, task.generation, task.slot, task.images, task.seat};
  record.status = status;
  record.detail = 3;
  return record;
}

Acceptance Rig::answer(std::size_t rank, CompletionStatus status) {
  const TaskRecord task = tasks_[Rank(rank)].front();
  tasks_[Rank(rank)].pop_front();
  return supervisor.completion(supervisor.hosting().only_worker_of(Rank(rank)), task.generation,
                               answer_to(task, status), now);
}

Acceptance Rig::answer_as(std::size_t worker, CompletionStatus status) {
  const TaskRecord task = tasks_of_.at(worker).front();
  tasks_of_[worker].pop_front();
  return supervisor.completion(WorkerId(worker), task.generation, answer_to(task, status), now);
}

void Rig::begin_training() {
  supervisor.command(Supervisor::Command::begin_training, now);
  for (std::size_t rank = 0; rank < members_; ++rank) done(rank);
  take();
}

}  // namespace tutti::test
