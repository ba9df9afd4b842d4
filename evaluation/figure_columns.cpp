#include "evaluation/figure_columns.hpp"

#include <fmt/format.h>

#include "common/unsigned_nan.hpp"

namespace tutti {

std::string FigureColumn::cell(const std::optional<double>& value) const {
  if (!value) return "-";
  return fmt::format(fmt::runtime(format), unsigned_nan(*value * factor));
}

std::vector<FigureColumn> figure_columns(std::string_view kind) {
  if (kind == "masks") return {{"mIoU", "mean_iou", "{:.2f} %", 100}, {"pixels", "pixel_accuracy", "{:.2f} %", 100}};
  if (kind == "values") return {{"MAE", "mean_absolute_error", "{:.4g}"}, {"R2", "r2", "{:.4f}"}};
  if (kind == "labels")
    return {{"F1", "macro_f1", "{:.2f} %", 100}, {"mAP", "mean_average_precision", "{:.2f} %", 100}};
  return {};
}

}  // namespace tutti
