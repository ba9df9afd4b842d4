// The rules of `tutti run --rules`, evaluated in the same pass as the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/hosted_models.hpp"
#include "evaluation/run/scoreboard.hpp"
#include "results/report.hpp"

namespace tutti {

class RuleEvaluation {
 public:
  /// Throws Error(usage) if one of `rules` cannot be applied.
  RuleEvaluation(const config::EnsembleSpec& spec, const std::string& rules);

  /// Throws Error(usage) if the members cannot be combined, or if there is nothing to evaluate: scores of classes tell
  /// at least how much the members disagree, and other predictions only their labels.
  void check(const Source& source, const std::vector<MemberStatus>& members) const;

  /// Passes on what it measures to `next`, in a folder that exists. `source`, which outlives it, has the images of the
  /// whole run.
  EvaluatingSink& open(const Status& status, const std::filesystem::path& folder, Source& source, Sink& next,
                       Unfinished unfinished);

  /// After open().
  ScoredMembers members() const { return {&evaluation_->models(), evaluation_->labels()}; }
  const std::vector<config::CombineSpec>& rules() const { return form_.rules; }

  /// `known` of the images needed no computing.
  void add_to(images::Report& report, const Source& source, std::uint64_t known) const;

 private:
  const HostedModels hosting_;
  EvaluationForm form_;
  std::optional<Evaluation> evaluation_;
  std::optional<EvaluatingSink> sink_;
};

}  // namespace tutti
