#include "program/merge/merge_command.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "common/counted.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/hosted_models.hpp"
#include "evaluation/merge/merge_run.hpp"
#include "program/merge/merge_progress.hpp"
#include "program/progress.hpp"
#include "program/say.hpp"
#include "program/session.hpp"
#include "program/watching.hpp"

namespace tutti::program {
namespace {

/// The user's terminal and signals.
class MergeUser final : public MergeWatcher {
 public:
  MergeUser(Interruption& interruption, bool quiet) : interruption_(interruption), quiet_(quiet) {}
  std::shared_ptr<void> guard(Ensemble& ensemble) override { return watch(interruption_, ensemble); }
  std::unique_ptr<ShownImages> show_images(const Ensemble& ensemble, const ShownWork& work) override {
    return shown_on_terminal(ensemble, work, quiet_);
  }
  std::function<void(std::uint64_t, std::uint64_t)> show_bytes() override {
    auto line = std::make_shared<MergeProgressLine>(style_for(stderr, quiet_));
    return [line](std::uint64_t done, std::uint64_t total) { line->show(done, total); };
  }
  void check() const override { interruption_.check(); }

 private:
  Interruption& interruption_;
  const bool quiet_;
};

std::string summary_of(MergeRun& run) {
  const MergeReport& report = run.report();
  std::string text;
  if (report.soup) {
    for (const SoupStep& step : report.soup->steps)
      text += fmt::format("{:<12}  {}  accuracy {:6.2f} %\n", report.inputs[step.member].name,
                          step.added ? "added   " : "left out", step.accuracy * 100);
  }
  if (report.statistics)
    text += fmt::format("statistics: estimated over {} in {}, {:.2f} s\n", counted(report.statistics->images, "image"),
                        counted(report.statistics->batches, "batch"), report.statistics->seconds);
  const std::uint64_t bytes = report.outcome.bytes_read + report.outcome.bytes_written;
  return text + fmt::format(
                    "{} of {}: {}, {}, {:.2f} s, {}\nmerged: {}\n"
                    "report: {}\n",
                    to_name(run.spec().merge->method), counted(run.chosen().size(), "checkpoint"),
                    counted(report.outcome.tensors, "tensor"), counted(report.outcome.values, "value"),
                    report.merge_seconds, rate_text(bytes, report.merge_seconds), run.folder().model().string(),
                    run.folder().report().string());
}

/// Evaluates the merged model on the tasks, together with base, members and ensemble.
Outcome evaluate_result(MergeRun& run, const CommandLine& merged, Interruption& interruption) {
  CommandLine line = merged;
  line.merged = {fmt::format("merged={}", run.folder().model().string())};
  line.picture = run.folder().folder() / "tasks.svg";
  return evaluate(line, interruption, std::move(run.folder()).release());
}

}  // namespace

Outcome merge(const CommandLine& line, Interruption& interruption) {
  config::EnsembleSpec spec = load(line, "merge");
  if (!spec.merge)
    throw Error(ErrorKind::usage, fmt::format("{} does not say what to merge", line.file.string()), {},
                "add merge: {method: average}");
  MergeUser user(interruption, line.quiet);
  MergeRun run(std::move(spec), line.worker, user);
  const bool has_tasks = !run.spec().tasks.empty();
  if (has_tasks) {  // mistakes in them are reported before anything is measured or merged
    open_tasks(run.spec());
    host_models(run.spec(), {"merged=weights"});
  }
  run.open_folder();
  {
    // On the thread that waits for signals, while no pool is watched. While weights are computed there is a partial
    // file, so that code checks for the signal itself. Any other work is not worth waiting for.
    const Interruption::Watch watch(interruption, [&run](int signal) {
      if (run.computing()) return;
      run.folder().remove_if_empty();
      Interruption::leave(signal, run.written());
    });
    run.perform();
  }
  if (!line.quiet) say(stdout, summary_of(run));
  return has_tasks ? evaluate_result(run, line, interruption) : Outcome::complete;
}

}  // namespace tutti::program
