// Which figures of masks, numbers and several labels the tables and pictures show. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/figures.hpp"

namespace tutti {

/// A figure in a table.
struct FigureColumn {
  std::string_view title;
  std::string_view figure;  ///< of images::Figures
  const char* format;       ///< of fmt, after multiplication by:
  double factor = 1;

  /// "81.25 %", "0.1875", or "-" if it is not known.
  std::string cell(const std::optional<double>& value) const;
};

/// The two figures that say most of images::Figures of this kind, the first one most; none of an unknown kind.
std::vector<FigureColumn> figure_columns(std::string_view kind);

}  // namespace tutti
