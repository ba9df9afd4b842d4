#include "program/session.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "common/log.hpp"
#include "config/load.hpp"
#include "evaluation/run/lacking.hpp"
#include "program/quick_start.hpp"
#include "program/resume_command.hpp"
#include "program/say.hpp"
#include "program/summary.hpp"
#include "program/watching.hpp"

namespace tutti::program {

config::EnsembleSpec load(const CommandLine& line, const std::string& command) {
  refuse_models(line.file, command);
  return config::load_file(line.file, {line.overrides, line.assign});
}

Loaded load_or_describe(const CommandLine& line) {
  if (!names_models(line)) {
    refuse_folder_or_weights(line.file, true);
    refuse_options_of_models(line);
    return {config::load_file(line.file, {line.overrides, line.assign}), {}};
  }
  if (!line.save.empty()) check_save(line.save);
  CommandLine rest = line;
  const std::string yaml = description_of_models(rest);
  config::EnsembleSpec spec = config::load_text(yaml, kDescriptionOfModels);
  log::info("these models stand for a description{}:\n{}", line.save.empty() ? ", which --save FILE.yaml writes" : "",
            yaml);
  // `plan --measure` saves what it has measured instead.
  return {std::move(spec), line.save.empty() || line.measure ? "" : yaml};
}

void save_if_asked(const Loaded& loaded, const std::filesystem::path& file) {
  if (loaded.to_save.empty()) return;
  save_description(loaded.to_save, file);
  log::info("the description of these models is now in {}", file.string());
}

std::shared_ptr<void> User::guard(Ensemble& ensemble) { return watch(interruption_, ensemble); }

std::unique_ptr<ShownImages> User::show_images(const Ensemble& ensemble, const ShownWork& work) {
  if (loaded_ != nullptr) save_if_asked(*std::exchange(loaded_, nullptr), line_.save);
  return shown_on_terminal(ensemble, work, line_.quiet);
}

void User::keep(const std::string& detail) { interruption_.keep(detail); }

std::string User::interrupted_by() const {
  return interruption_.signal() == 0 ? "" : signal_name(interruption_.signal());
}

void User::reported(const std::filesystem::path& report) {
  if (!line_.quiet) say(stderr, fmt::format("report: {}\n", report.string()));
}

std::string User::resume_command(const std::filesystem::path& folder, bool named) const {
  return program::resume_command(line_, folder, named);
}

SessionSetup setup_of(const std::string& command, const CommandLine& line, bool training) {
  SessionSetup setup{command, {line.worker, line.debug_worker, training, line.trace}, line.resume, line.rules};
  setup.options.cache = line.cache;
  return setup;
}

Outcome conclude(const Session& session, const CommandLine& line, const std::string& table, const std::string& advice) {
  const images::Report& report = session.report();
  const std::string missing = missing_text(report, session.spec().segment_images) + advice;
  // A user who asked for errors only must still learn that the results are incomplete.
  if (line.quiet)
    say(stderr, missing);
  else
    say(stdout, fmt::format("{}{}{}{}report: {}\n", table, cascade_text(report), faults_text(report.faults), missing,
                            (session.folder() / "report.json").string()));
  return is_incomplete(report) ? Outcome::incomplete : Outcome::complete;
}

}  // namespace tutti::program
