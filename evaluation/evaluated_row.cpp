#include "evaluation/evaluated_row.hpp"

#include <optional>
#include <string>

namespace tutti {
namespace {

EvaluatedRow row_with(const images::ModelReport& model, const images::ScoreReport& score) {
  EvaluatedRow row{model.name, model.role == "ensemble", score.images, {}};
  const auto add = [&](const std::string& name, const std::optional<double>& value) {
    if (value) row.figures.emplace_back(name, *value);
  };
  add("accuracy", score.accuracy);
  add("loss", score.loss);
  add("calibration_error", score.calibration_error);
  if (score.scores)
    for (const images::Figure& figure : score.scores->figures) add(figure.name, figure.value);
  return row;
}

}  // namespace

EvaluatedRow row_of(const images::ModelReport& model, std::size_t task) {
  return row_with(model, model.tasks.at(task));
}

EvaluatedRow average_row(const images::ModelReport& model) { return row_with(model, images::average_of(model.tasks)); }

}  // namespace tutti
