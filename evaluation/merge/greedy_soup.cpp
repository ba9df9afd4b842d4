#include "evaluation/merge/greedy_soup.hpp"

#include "evaluation/merge/weights_file.hpp"

namespace tutti {
namespace {

/// Fills `file` with the average of some inputs.
void write_average(std::span<const merge::MergeInput> inputs, const std::vector<std::size_t>& places,
                   const merge::MergeSettings& settings, const WeightsFile& file) {
  std::vector<merge::MergeInput> chosen;
  for (const std::size_t place : places) chosen.push_back(inputs[place]);
  merge::merge_checkpoints(settings, chosen, nullptr,
                           merge::ByteSink([&](std::span<const std::byte> bytes) { file.write(bytes); }));
}

/// Only the file of a candidate differs from the description of the member that it adds.
std::vector<SoupScore> measure_candidates(const config::EnsembleSpec& spec, std::span<const merge::MergeInput> inputs,
                                          const merge::MergeSettings& settings, const std::filesystem::path& folder,
                                          const std::vector<std::vector<std::size_t>>& candidates,
                                          const MeasureModels& measure) {
  std::vector<WeightsFile> files;
  std::vector<config::MemberSpec> models;
  for (const std::vector<std::size_t>& places : candidates) {
    files.emplace_back(folder, "a candidate");
    write_average(inputs, places, settings, files.back());
    models.push_back(spec.members[spec.merge->over[places.back()]]);
    models.back().model.weights = files.back().path();
  }
  return measure(models);
}

std::vector<double> accuracies_of(const std::vector<SoupScore>& scores) {
  std::vector<double> accuracies;
  for (const SoupScore& score : scores) accuracies.push_back(score.accuracy);
  return accuracies;
}

}  // namespace

Soup cook_greedy_soup(const config::EnsembleSpec& spec, std::span<const merge::MergeInput> inputs,
                      const merge::MergeSettings& settings, std::size_t at_once, const std::filesystem::path& folder,
                      const MeasureModels& measure) {
  std::vector<config::MemberSpec> members;
  for (const std::size_t rank : spec.merge->over) members.push_back(spec.members[rank]);
  Soup soup;
  soup.members = measure(members);
  SoupRecipe recipe(accuracies_of(soup.members));
  soup.step_tasks.push_back(soup.members[recipe.order().front()].tasks);
  while (!recipe.done()) {
    const std::vector<SoupScore> scores =
        measure_candidates(spec, inputs, settings, folder, recipe.candidates(at_once), measure);
    recipe.take(accuracies_of(scores));
    // The first of them are those that were decided about.
    for (const SoupScore& score : scores)
      if (soup.step_tasks.size() < recipe.steps().size()) soup.step_tasks.push_back(score.tasks);
  }
  soup.order = recipe.order();
  soup.steps = recipe.steps();
  soup.chosen = recipe.chosen();
  soup.accuracy = recipe.accuracy();
  return soup;
}

}  // namespace tutti
