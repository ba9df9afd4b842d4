// Reads `tasks:`, the images that `tutti evaluate` measures the ensemble on. Files that it names are opened later,
// except for lists of class names, which are part of the configuration.
#pragma once

#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// The most tasks, and the longest list of class names: the largest width of a layer.
constexpr std::size_t kMaxTasks = 1024;
constexpr std::size_t kMaxClassNames = kMaxModelWidth;

/// Reads the list. A task with a head needs members that are combined over features; one without a head needs classes.
/// Names differ. The images come from a data set and have no more classes than are named, and the held-out images are
/// not the images of the task. Mistakes become violations.
std::vector<TaskSpec> read_tasks(const Tree& list, const std::vector<ReadMember>& members, const CombineSpec& combine,
                                 Violations& violations);

}  // namespace tutti::config
