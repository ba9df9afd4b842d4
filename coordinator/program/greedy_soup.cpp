#include "coordinator/program/greedy_soup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "common/atomic_file.hpp"
#include "common/unique_fd.hpp"

namespace tutti::program {
namespace {

/// A file without a name, with the weights of a candidate.
class CandidateFile {
 public:
  explicit CandidateFile(const std::filesystem::path& folder)
      : folder_(folder), file_(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    if (file_) return;
    // Where the file system has none: one whose name is taken away at once.
    std::string name = (folder / ".candidate-XXXXXX").string();
    file_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!file_) throw write_error(folder / "a candidate", errno);
    ::unlink(name.c_str());
  }

  void write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw write_error(folder_ / "a candidate", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  /// Where another process of this user finds it, as long as this one holds it.
  std::filesystem::path path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.get()); }

 private:
  std::filesystem::path folder_;
  UniqueFd file_;
};

/// Fills `file` with the average of some inputs.
void write_average(std::span<const merge::MergeInput> inputs, const std::vector<std::size_t>& places,
                   const merge::MergeSettings& settings, const CandidateFile& file) {
  std::vector<merge::MergeInput> chosen;
  for (const std::size_t place : places) chosen.push_back(inputs[place]);
  merge::merge_checkpoints(settings, chosen, nullptr,
                           merge::ByteSink([&](std::span<const std::byte> bytes) { file.write(bytes); }));
}

/// Only the file of a candidate differs from the member that it adds.
std::vector<SoupScore> measure_candidates(const config::EnsembleSpec& spec, std::span<const merge::MergeInput> inputs,
                                          const merge::MergeSettings& settings, const std::filesystem::path& folder,
                                          const std::vector<std::vector<std::size_t>>& candidates,
                                          const MeasureModels& measure) {
  std::vector<CandidateFile> files;
  std::vector<config::MemberSpec> models;
  for (const std::vector<std::size_t>& places : candidates) {
    files.emplace_back(folder);
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
    // Those that were decided about are the first of them.
    for (const SoupScore& score : scores)
      if (soup.step_tasks.size() < recipe.steps().size()) soup.step_tasks.push_back(score.tasks);
  }
  soup.order = recipe.order();
  soup.steps = recipe.steps();
  soup.chosen = recipe.chosen();
  soup.accuracy = recipe.accuracy();
  return soup;
}

}  // namespace tutti::program
