// tutti::combine(): what combine_saved() wrote, as values.
#include <tutti/combine.hpp>

#include <utility>

#include "common/json.hpp"
#include "evaluation/combining.hpp"
#include "evaluation/evaluated_row.hpp"
#include "evaluation/evaluation_report.hpp"

namespace tutti {
namespace {

Combined combined_of(const CombineInput& input, const CombineOptions& options) {
  const CombineResult result = combine_saved(input, options, [] { return std::string("a stop"); });
  const images::EvaluationReport& report = *result.report.evaluation;
  Combined combined;
  combined.folder = result.folder;
  for (std::size_t number = 0; number < report.tasks.size(); ++number) {
    const images::TaskReport& task = report.tasks[number];
    CombinedTask& row = combined.tasks.emplace_back();
    row.name = task.name;
    row.folder = input.run.tasks[number].in_own_folder ? result.folder / "tasks" / task.name : result.folder;
    row.images = task.images;
    for (const images::ModelReport& model : report.models) row.rows.push_back(row_of(model, number));
    row.incomplete = task.incomplete;
  }
  combined.table = evaluation_table(report);
  combined.json = json::serialize(images::to_json(result.report));
  return combined;
}

}  // namespace

Combined combine(const std::filesystem::path& run, const CombineOptions& options) {
  return combined_of(saved_input(run, options), options);
}

Combined combine(const Spec& run, const CombineOptions& options) {
  if (!options.settings.empty())
    throw Error(ErrorKind::usage, "the settings of a description belong to where it is read",
                "combine() applies them to the description of a run, or to arrays",
                "give them to load_spec(), or combine the folder of the run");
  return combined_of(described_input(run.checked(), "the description", options), options);
}

Combined combine(const SavedPredictions& predictions, const CombineOptions& options) {
  return combined_of(given_input(predictions, options), options);
}

}  // namespace tutti
