// Makes a greedy soup: a pool measures members and candidates on held-out images, several at a time, each in its own
// worker. SoupRecipe decides what is chosen, and merge/ computes the average.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "config/spec.hpp"
#include "evaluation/merge/soup_recipe.hpp"
#include "merge/merging.hpp"

namespace tutti {

/// How good a model is on the held-out images.
struct SoupScore {
  double accuracy = 0;        ///< the mean over the tasks, all with the same weight
  std::vector<double> tasks;  ///< of each task, in their order; empty if the images are those of `merge`
};

/// Models to measure side by side: the score of each.
using MeasureModels = std::function<std::vector<SoupScore>(const std::vector<config::MemberSpec>&)>;

struct Soup {
  std::vector<SoupScore> members;  ///< each by itself; indexed like `merge.over`
  std::vector<std::size_t> order;
  std::vector<SoupStep> steps;
  std::vector<std::vector<double>> step_tasks;  ///< for each step, as SoupScore::tasks
  std::vector<std::size_t> chosen;
  double accuracy = 0;
};

/// `inputs` are the checkpoints of `merge.over`; at most `at_once` candidates are measured at the same time. Candidates
/// are nameless files in `folder` that workers open through /proc, so they disappear with this process, however it
/// ends. Throws Error, and what `measure` throws.
Soup cook_greedy_soup(const config::EnsembleSpec& spec, std::span<const merge::MergeInput> inputs,
                      const merge::MergeSettings& settings, std::size_t at_once, const std::filesystem::path& folder,
                      const MeasureModels& measure);

}  // namespace tutti
