// `tutti run`: a PredictionRun whose user sits at the program.
#include <fmt/format.h>

#include "evaluation/evaluation_report.hpp"
#include "evaluation/run/prediction_run.hpp"
#include "program/commands.hpp"
#include "program/reporting.hpp"
#include "program/session.hpp"
#include "results/table_columns.hpp"

namespace tutti::program {

Outcome run(const CommandLine& line, Interruption& interruption) {
  const Loaded loaded = load_or_describe(line);
  User user(line, interruption, &loaded);
  PredictionRun run(setup_of("run", line), loaded.spec, images::asked_columns(line.csv), user);
  run.perform();
  const images::Report& report = run.session().report();
  const std::string rules = run.has_rules() ? fmt::format("\n{}\n", evaluation_table(*report.evaluation)) : "";
  std::string again;
  if (!run.whole())  // with the same quorum the same members might be late again
    again = fmt::format("to compute these segments again: {}{}\n", run.command(),
                        run.session().spec().quorum ? " quorum=null" : "");
  return conclude(run.session(), line, results_table(report) + rules, again);
}

}  // namespace tutti::program
