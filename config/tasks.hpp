// Reads `tasks:`: what `tutti evaluate` measures the ensemble on. Files that are named are looked at later, except for
// lists of class names, which are part of the configuration.
#pragma once

#include <vector>

#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// The most tasks, and the longest list of class names: as many as a layer may be wide.
constexpr std::size_t kMaxTasks = 1024;
constexpr std::size_t kMaxClassNames = kMaxModelWidth;

/// Reads the list. A task with a head needs members that are combined over features, one without a head needs classes;
/// names differ; the images come from a data set, and have no more classes than are named, and those that are held out
/// are others. What is wrong becomes a violation.
std::vector<TaskSpec> read_tasks(const Tree& list, const std::vector<ReadMember>& members, const CombineSpec& combine,
                                 Violations& violations);

}  // namespace tutti::config
