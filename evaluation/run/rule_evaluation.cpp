#include "evaluation/run/rule_evaluation.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/scores.hpp"

namespace tutti {
namespace {

config::EnsembleSpec without_base(config::EnsembleSpec spec) {
  spec.base.reset();
  return spec;
}

}  // namespace

RuleEvaluation::RuleEvaluation(const config::EnsembleSpec& spec, const std::string& rules)
    : hosting_(host_models(without_base(spec), {})), form_(form_of(hosting_, rules)) {
  if (spec.combine.over == OutputKind::features)
    throw Error(ErrorKind::usage, "--rules: features cannot be evaluated without classes",
                "the members are combined over features",
                "name 'tasks' with heads and use 'tutti evaluate', or combine over probabilities");
}

void RuleEvaluation::check(const Source& source, const std::vector<MemberStatus>& members) const {
  check_widths({}, members, form_.members, true);
  const config::CombineSpec& combine = hosting_.described.combine;
  if (has_scores(combine, members) || has_label_scores(combine, source)) return;
  throw Error(ErrorKind::usage, "--rules has nothing to evaluate",
              fmt::format("'{}' predicts {}, and {} has no labels for that", members.front().name,
                          dims_text(members.front().output), source.name()),
              "give 'labels' of the shape of the predictions, or leave --rules out");
}

EvaluatingSink& RuleEvaluation::open(const Status& status, const std::filesystem::path& folder, Source& source,
                                     Sink& next, Unfinished unfinished) {
  form_.output = status.members.front().output;
  evaluation_.emplace(form_, nullptr);
  const config::EnsembleSpec& spec = hosting_.described;
  const std::size_t ensemble = spec.combine.rule == CombineRule::none ? 0 : 1;
  if (has_label_scores(spec.combine, source))
    evaluation_->compare_with({source, spec.input.ignore_index, outputs_of(status.members), ensemble});
  return sink_.emplace(*evaluation_, folder, source.count(), &next, unfinished);
}

void RuleEvaluation::add_to(images::Report& report, const Source& source, std::uint64_t known) const {
  report.evaluation = begin_evaluation(hosting_.models, form_);
  images::TaskReport task;
  task.name = to_name(hosting_.described.input.dataset);
  task.source = source.name();
  task.classes = source.classes();
  const auto incomplete = report.ensemble ? report.ensemble->incomplete : std::vector<IncompleteSegment>{};
  add_task(*report.evaluation, std::move(task), *evaluation_, incomplete, report.phases.predict.value_or(0), known);
  add_parameters(*report.evaluation, report.members);
}

}  // namespace tutti
