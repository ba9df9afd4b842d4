// `tutti evaluate`: an EvaluationRun whose user sits at the program.
#include <optional>

#include "common/log.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/run/evaluation_run.hpp"
#include "program/commands.hpp"
#include "program/evaluate/picture.hpp"
#include "program/evaluate/sweep_text.hpp"
#include "program/say.hpp"
#include "program/session.hpp"
#include "results/table_columns.hpp"

namespace tutti::program {
namespace {

/// For an evaluation that ended early: prints what is finished.
void say_finished(const EvaluationRun& run) {
  const auto& found = run.found();
  if (!found || found->tasks.empty()) return;
  say(stdout, evaluation_table(*found) + unfinished_tasks_text(*found, run.lengths()));
}

void draw(const images::EvaluationReport& found, const std::filesystem::path& picture) {
  if (found.cascade_sweep && !found.cascade_sweep->rows.empty())
    write_sweep_picture(picture, *found.cascade_sweep);
  else if (has_picture(found))
    write_picture(picture, found);
  else
    log::warning("{} was not drawn: no model has a figure to show", picture.string());
}

Outcome evaluate_into(const CommandLine& line, Interruption& interruption, std::optional<images::RunFolder> folder) {
  if (!line.picture.empty()) check_picture(line.picture);
  User user(line, interruption);
  EvaluationRun run(setup_of("evaluate", line), load(line, "evaluate"),
                    {line.merged, images::asked_columns(line.csv), line.cascade_sweep}, user);
  if (folder) run.work_in(*std::move(folder));
  try {
    run.perform();
  } catch (...) {
    if (!line.quiet) say_finished(run);
    throw;
  }
  const images::EvaluationReport& found = *run.found();
  const std::string sweep = found.cascade_sweep ? sweep_table(*found.cascade_sweep) : "";
  const Outcome outcome = conclude(run.session(), line, evaluation_table(found) + sweep, "");
  if (!line.picture.empty()) draw(found, line.picture);
  return outcome;
}

}  // namespace

Outcome evaluate(const CommandLine& line, Interruption& interruption) {
  return evaluate_into(line, interruption, std::nullopt);
}

Outcome evaluate(const CommandLine& line, Interruption& interruption, images::RunFolder folder) {
  return evaluate_into(line, interruption, std::move(folder));
}

}  // namespace tutti::program
