// How good predictions are, as named figures for the report: of masks, of numbers, and of several labels per image. The
// figures of one class per image have fields of their own there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/mask_metrics.hpp"
#include "results/multi_label_metrics.hpp"
#include "results/regression_metrics.hpp"

namespace tutti::images {

struct Figure {
  std::string name;             ///< its field in the report
  std::optional<double> value;  ///< nothing if it makes no sense
};

/// One figure for each class or label.
struct FigureList {
  std::string name;
  std::vector<std::optional<double>> values;
};

/// docs/report.md has a table of the names for each kind.
struct Figures {
  std::string kind;            ///< "masks", "values" or "labels"
  std::uint64_t compared = 0;  ///< labels that count: pixels, numbers, images x labels
  std::vector<Figure> figures;
  std::vector<FigureList> lists;
  std::vector<std::vector<std::uint64_t>> confusion_matrix;  ///< [label][predicted]; only of masks
  std::optional<std::string> left_out;                       ///< which figure is missing because of a bound
  std::uint64_t images = 0;  ///< that the model predicted, if the code that compares counts them; not in the report

  /// The value of a figure; nothing if there is no such figure.
  std::optional<double> value(const std::string& name) const;
};

Figures figures_of(const MaskMetrics& metrics);
Figures figures_of(const RegressionMetrics& metrics);
Figures figures_of(const MultiLabelMetrics& metrics);

}  // namespace tutti::images
