// Trials of the forms of members: pools that live for a moment, in which all members predict made-up samples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/status.hpp>
#include <tutti/tensor.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// Not thread-safe. The workers of a trial end with the next one, or wait if they are kept.
class ModelTrials {
 public:
  /// Of members of this description, which outlives it. Throws Error as a plan does.
  ModelTrials(const config::EnsembleSpec& spec, const Options& options, std::filesystem::path worker);
  ~ModelTrials();
  ModelTrials(const ModelTrials&) = delete;
  ModelTrials& operator=(const ModelTrials&) = delete;

  /// Images per second; 0: nothing was measured.
  struct Speed {
    double member = 0;
    /// Of all members of its worker together, if the modes of workers are on trial. The figure above is for each
    /// member's part of the time, which has other meanings in other modes.
    double worker = 0;
  };
  using Speeds = std::vector<Speed>;  ///< by rank

  /// What a member did.
  struct Result {
    std::string backend;  ///< "torch 2.11.0"
    Dims output;
    std::vector<float> answers;  ///< for the same samples in every trial
    std::uint32_t batch_images = 0;
    Speed speed{};
  };
  using Results = std::vector<std::optional<Result>>;  ///< by rank

  /// What runs.
  struct Setup {
    std::vector<std::optional<ModelKind>> kinds;  ///< by rank; members without one are left out
    std::vector<UnitMode> modes;                  ///< by unit of the description
  };

  /// What the death of a member means.
  enum class Deaths { end_trial, are_repaired };

  /// Members share workers as in the description if all that share one run. Throws Error if one cannot be started, or
  /// dies: so often, if deaths are repaired, that a run would end.
  Results run(const Setup& setup, Deaths deaths = Deaths::end_trial);
  /// Whether all members of the last run could be started: if it threw, something failed after the start.
  bool started() const { return started_; }

  /// The workers of the last run wait, without computing, for again(). Returns their number; nothing if there is no
  /// room for them beside those of another run, on a GPU or in half of the memory.
  std::optional<std::size_t> keep();
  /// The speeds of one more round of kept workers. Throws as run() does.
  Speeds again(std::size_t kept);
  /// Ends all workers that are left.
  void end();

  /// Of all members with the models of the description.
  const Plan& plan() const { return plan_; }

 private:
  class Trial;

  Plan plan_of(const Setup& setup, Deaths deaths) const;
  bool has_room_beside_another(const Plan& plan) const;

  const config::EnsembleSpec& spec_;
  const Options options_;
  const std::filesystem::path worker_;
  const Machine machine_;
  const InputForm form_;
  const Plan plan_;
  bool started_ = false;
  std::unique_ptr<Trial> last_;
  std::vector<std::unique_ptr<Trial>> kept_;
};

}  // namespace tutti
