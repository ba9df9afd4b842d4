// Reads `views:`, of a member or of the whole ensemble. checks.hpp checks whether they fit the images.
#pragma once

#include <vector>

#include "common/views.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Views, and where each is written.
struct ReadViews {
  std::vector<View> views;
  std::vector<SourcePosition> positions;
};

/// A list such as [identity, hflip, {crops: 5, size: 224}, {scale: 1.25}], which may be empty. Mistakes become
/// violations.
ReadViews read_views(const Tree& tree, Violations& violations);

}  // namespace tutti::config
