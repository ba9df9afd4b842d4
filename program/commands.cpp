#include "program/commands.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "common/clock.hpp"
#include "common/counted.hpp"
#include "common/shown.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"
#include "program/evaluate/hosting.hpp"
#include "program/reporting.hpp"
#include "program/say.hpp"
#include "program/session.hpp"

namespace tutti::program {
namespace {

void train_members(Session& session, bool quiet) {
  const std::vector<config::MemberSpec>& members = session.spec().members;
  const auto begin = std::chrono::steady_clock::now();
  const auto on_epoch = [&](const EpochResult& epoch) {
    add_epoch(session.report(), epoch);
    if (quiet) return;
    const config::MemberSpec& member = members[epoch.member];
    say(stdout, fmt::format("{:<12}  epoch {}/{}  loss {:.4f}  accuracy {:6.2f} %  {:.2f} s\n", member.name,
                            epoch.epoch, member.train.epochs, shown(epoch.loss), epoch.accuracy * 100, epoch.seconds));
  };
  const TrainResult trained = session.ensemble().train(session.source(), session.folder(), on_epoch);
  session.report().phases.train = seconds_since(begin);
  session.report().members.resize(members.size());
  for (std::size_t rank = 0; rank < trained.weights.size(); ++rank)
    if (!trained.weights[rank].empty()) session.report().members[rank].weights = trained.weights[rank].string();
}

}  // namespace

Outcome train(const CommandLine& line, Interruption& interruption) {
  Session session("train", line, true, interruption);
  std::unique_ptr<Source> test;
  if (session.spec().input.dataset != config::Dataset::memory) {
    test = open_source(session.spec(), session.spec().input);
    check_same_preparation(session.spec(), session.source(), *test);
  }
  session.perform([] {},
                  [&] {
                    session.measure([&] { train_members(session, line.quiet); });
                    if (test && test->labelled())
                      session.score(test->count(), 0, nullptr, nullptr,
                                    [&](Sink& sink) { session.ensemble().run(*test, sink); });
                  });
  return session.conclude({});
}

void plan(const CommandLine& line) {
  config::EnsembleSpec spec = load(line);
  const std::filesystem::path worker = find_worker(line.worker);
  const Machine machine = look_at_machine(worker, GpuSearch::yes);
  // With tasks and without images to run on, only an evaluation is possible: plan that.
  if (!spec.tasks.empty() && spec.input.dataset == config::Dataset::memory) spec = host_models(spec, {}).hosted;
  const InputForm input = input_form(spec, spec.input);
  const Plan made = make_plan(spec, machine, input, {worker, line.debug_worker, false});
  const std::string images =
      input.images ? fmt::format("{} x {} of {}", *input.images, input.shape.text(), to_name(spec.input.dataset))
                   : input.shape.text() + " from the API";
  say(stdout, plan_text(made, machine, images));
  check_memory(made);
}

void validate(const CommandLine& line) {
  const config::EnsembleSpec spec = load(line);
  say(stdout, fmt::format("{} is valid: {}, {} over {}\n", line.file.string(), counted(spec.members.size(), "member"),
                          to_name(spec.combine.rule), to_name(spec.combine.over)));
}

}  // namespace tutti::program
