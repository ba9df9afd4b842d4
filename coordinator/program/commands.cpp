#include "coordinator/program/commands.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <tuple>

#include "common/log.hpp"
#include "config/load.hpp"
#include "coordinator/find_worker.hpp"
#include "coordinator/input.hpp"
#include "coordinator/machine.hpp"
#include "coordinator/plan.hpp"
#include "coordinator/program/progress.hpp"
#include "coordinator/program/reporting.hpp"
#include "coordinator/program/say.hpp"
#include "coordinator/program/scoreboard.hpp"
#include "images/run_folder.hpp"
#include "images/sinks.hpp"

namespace tutti::program {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

config::EnsembleSpec load(const CommandLine& line) {
  return config::load_file(line.file, {line.overrides, line.assign});
}

bool readable(const std::filesystem::path& file) { return ::access(file.c_str(), R_OK) == 0; }

/// Everything that can be found wrong before a process is started.
void check_files(const config::EnsembleSpec& spec, bool training) {
  for (const config::MemberSpec& member : spec.members) {
    const auto* script = std::get_if<TorchScriptModel>(&member.model.kind);
    for (const auto& [file, what, hint] :
         {std::tuple{training ? std::filesystem::path{} : member.model.weights, "weights",
                     "train them first: tutti train"},
          std::tuple{training ? member.train.init : std::filesystem::path{}, "train.init", ""},
          std::tuple{script != nullptr ? std::filesystem::path(script->path) : std::filesystem::path{}, "model.path",
                     ""}})
      if (!file.empty() && !readable(file))
        throw Error(ErrorKind::usage, fmt::format("{}: there is no readable file '{}'", member.name, file.string()),
                    fmt::format("named by its '{}'; relative paths start at the current folder", what), hint);
  }
}

/// One command on its way: description, plan, source and report, and the ensemble once it is started.
class Session {
 public:
  Session(const std::string& command, const CommandLine& line, bool training, Interruption& interruption)
      : line_(line), interruption_(interruption), spec_(std::make_shared<config::EnsembleSpec>(load(line))) {
    options_ = {find_worker(line.worker), line.debug_worker, training};
    check_files(*spec_, training);
    source_ = open_source(training ? spec_->train_input : spec_->input);
    const Machine machine = look_at_machine(options_.worker, gpus_wanted(*spec_));
    const Plan plan = make_plan(*spec_, machine, {source_->shape(), source_->count()}, options_);
    for (const std::string& note : plan.notes) log::info("{}", note);
    report_ = begin_report(command, *spec_, plan, machine);
  }

  const config::EnsembleSpec& spec() const { return *spec_; }
  Source& source() { return *source_; }
  images::Report& report() { return report_; }
  const std::filesystem::path& folder() const { return folder_; }
  Ensemble& ensemble() { return *ensemble_; }
  bool quiet() const { return line_.quiet; }

  /// Starts the workers, runs `work`, and writes the report whether it ended well or not.
  template <class RunWork>
  void perform(RunWork work) {
    const Clock::time_point begin = Clock::now();
    log::info("starting {} workers", spec_->members.size());
    ensemble_.emplace(Spec(spec_), options_);
    const Interruption::Watch watch(interruption_, *ensemble_);
    folder_ = images::make_run_folder(spec_->output, "runs");
    try {
      work();
      report_.completed = true;
    } catch (...) {
      report_failure(begin);
      throw;
    }
    write_report(begin);
  }

  /// Runs `images` through the ensemble; scores go into the report.
  void score(Source& images, Sink* next) {
    Progress progress(style_for(stderr, line_.quiet), "predict", images.count(), spec_->members.size());
    Scoreboard scoreboard(spec_->combine, *ensemble_, progress, next);
    const Clock::time_point begin = Clock::now();
    ensemble_->run(images, scoreboard);
    add_scores(report_, scoreboard, spec_->combine, seconds_since(begin));
  }

  /// Runs `work`; what the members compute meanwhile gives their speeds in the report.
  template <class Measured>
  void measure(Measured work) {
    const Status before = ensemble_->status();
    work();
    add_speeds(report_, before, ensemble_->status());
  }

 private:
  // What is known of a run that failed. The first error is the one that the user must see.
  void report_failure(Clock::time_point begin) noexcept {
    try {
      write_report(begin);
      if (!line_.quiet) say(stderr, fmt::format("report: {}\n", (folder_ / "report.json").string()));
    } catch (const std::exception& error) {
      log::error("no report of this run could be written: {}", error.what());
    }
  }

  void write_report(Clock::time_point begin) {
    add_status(report_, ensemble_->status(StatusDetail::memory));
    report_.phases.total = seconds_since(begin);
    images::write_report(folder_ / "report.json", report_);
  }

  const CommandLine& line_;
  Interruption& interruption_;
  std::shared_ptr<const config::EnsembleSpec> spec_;
  Options options_;
  std::unique_ptr<Source> source_;
  images::Report report_;
  std::filesystem::path folder_;
  std::optional<Ensemble> ensemble_;
};

images::ResultForm result_form(const config::EnsembleSpec& spec, const Status& status, std::uint64_t images) {
  const bool combined = spec.combine.rule != CombineRule::none;
  images::ResultForm form{
      images, combined ? status.members.front().width : 0, combined && spec.combine.over != OutputKind::features, {}};
  if (spec.save_members || !combined)
    for (const MemberStatus& member : status.members) form.members.push_back({member.name, member.width});
  return form;
}

void train_members(Session& session, bool quiet) {
  const std::vector<config::MemberSpec>& members = session.spec().members;
  const Clock::time_point begin = Clock::now();
  const auto on_epoch = [&](const EpochResult& epoch) {
    add_epoch(session.report(), epoch);
    if (quiet) return;
    const config::MemberSpec& member = members[epoch.member];
    say(stdout, fmt::format("{:<12}  epoch {}/{}  loss {:.4f}  accuracy {:6.2f} %  {:.2f} s\n", member.name,
                            epoch.epoch, member.train.epochs, epoch.loss, epoch.accuracy * 100, epoch.seconds));
  };
  const TrainResult trained = session.ensemble().train(session.source(), session.folder(), on_epoch);
  session.report().phases.train = seconds_since(begin);
  session.report().members.resize(members.size());
  for (std::size_t rank = 0; rank < trained.weights.size(); ++rank)
    session.report().members[rank].weights = trained.weights[rank].string();
}

void print_results(Session& session) {
  if (session.quiet()) return;
  say(stdout,
      fmt::format("{}report: {}\n", results_table(session.report()), (session.folder() / "report.json").string()));
}

}  // namespace

void run(const CommandLine& line, Interruption& interruption) {
  Session session("run", line, false, interruption);
  session.perform([&] {
    images::NpySink results(session.folder(),
                            result_form(session.spec(), session.ensemble().status(), session.source().count()));
    session.measure([&] { session.score(session.source(), &results); });
    results.finish();
  });
  print_results(session);
}

void train(const CommandLine& line, Interruption& interruption) {
  Session session("train", line, true, interruption);
  const config::EnsembleSpec& spec = session.spec();
  std::unique_ptr<Source> test;
  if (spec.input.dataset != config::Dataset::memory) test = open_source(spec.input);
  session.perform([&] {
    session.measure([&] { train_members(session, line.quiet); });
    if (test && test->labelled()) session.score(*test, nullptr);
  });
  print_results(session);
}

void plan(const CommandLine& line) {
  const config::EnsembleSpec spec = load(line);
  const std::filesystem::path worker = find_worker(line.worker);
  const Machine machine = look_at_machine(worker, GpuSearch::yes);
  const InputForm input = input_form(spec.input);
  const Plan made = make_plan(spec, machine, input, {worker, line.debug_worker, false});
  const std::string images =
      input.images ? fmt::format("{} x {} of {}", *input.images, input.shape.text(), to_name(spec.input.dataset))
                   : input.shape.text() + " from the API";
  say(stdout, plan_text(made, machine, images));
  check_memory(made);
}

void validate(const CommandLine& line) {
  const config::EnsembleSpec spec = load(line);
  say(stdout, fmt::format("{} is valid: {} members, {} over {}\n", line.file.string(), spec.members.size(),
                          to_name(spec.combine.rule), to_name(spec.combine.over)));
}

}  // namespace tutti::program
