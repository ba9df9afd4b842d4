#include "results/figures.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "results/known_mean.hpp"

namespace tutti::images {

std::optional<double> Figures::value(const std::string& name) const {
  const auto found = std::ranges::find(figures, name, &Figure::name);
  return found == figures.end() ? std::nullopt : found->value;
}

Figures figures_of(const MaskMetrics& metrics) {
  Figures result;
  result.kind = "masks";
  result.compared = metrics.places();
  const auto iou = metrics.iou();
  const auto dice = metrics.dice();
  result.figures = {
      {"pixel_accuracy", metrics.accuracy()}, {"mean_iou", known_mean(iou)}, {"mean_dice", known_mean(dice)}};
  result.lists = {{"iou_per_class", iou}, {"dice_per_class", dice}};
  const auto& counts = metrics.confusion();
  for (auto row = counts.begin(); row != counts.end(); row += metrics.classes())
    result.confusion_matrix.emplace_back(row, row + metrics.classes());
  return result;
}

Figures figures_of(const RegressionMetrics& metrics) {
  Figures result;
  result.kind = "values";
  result.compared = metrics.values();
  result.figures = {{"mean_absolute_error", metrics.mean_absolute_error()},
                    {"mean_squared_error", metrics.mean_squared_error()},
                    {"r2", metrics.r2()}};
  return result;
}

Figures figures_of(const MultiLabelMetrics& metrics) {
  Figures result;
  result.kind = "labels";
  result.compared = metrics.values();
  const auto accuracy = metrics.accuracy();
  const auto f1 = metrics.f1();
  const auto precision = metrics.average_precision();
  result.figures = {{"mean_accuracy", known_mean(accuracy)},
                    {"macro_f1", known_mean(f1)},
                    {"micro_f1", metrics.micro_f1()},
                    {"mean_average_precision", known_mean(precision)}};
  result.lists = {{"accuracy_per_label", accuracy}, {"f1_per_label", f1}, {"average_precision_per_label", precision}};
  if (!metrics.holds_scores())
    result.left_out = fmt::format("average precision: it needs all scores at once, and at most {} are held for a run",
                                  kMaxHeldScores);
  return result;
}

}  // namespace tutti::images
