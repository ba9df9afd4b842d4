// tutti::evaluate(): an Evaluation of what a running ensemble predicts.
#include <tutti/evaluate.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/json.hpp"
#include "config/spec.hpp"
#include "evaluation/evaluated_row.hpp"
#include "evaluation/evaluation.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/memory_labels.hpp"
#include "evaluation/scores.hpp"

namespace tutti {
namespace {

/// Members may come and go: an evaluation is of those that answered it.
void check_same(bool same) {
  if (!same)
    throw Error(ErrorKind::failed, "members came or went while the evaluation began", {}, "evaluate once more");
}

/// `members`: of a description, or of a status.
template <class Members>
std::vector<std::string> names_of(const Members& members) {
  std::vector<std::string> names;
  for (const auto& member : members) names.push_back(member.name);
  return names;
}

class Collecting final : public Sink {
 public:
  /// The members of the ensemble are those that the evaluation is of.
  Collecting(Evaluation& evaluation, const Ensemble& ensemble, std::vector<std::string> names)
      : evaluation_(evaluation), ensemble_(ensemble), names_(std::move(names)) {}
  void write(const SegmentResult& result) override {
    check_same(result.members.size() == names_.size());
    if (result.first == 0) check_same(names_of(ensemble_.spec().checked().members) == names_);
    evaluation_.add(result);
    incomplete_.note(result);
  }
  const std::vector<IncompleteSegment>& incomplete() const { return incomplete_.list(); }

 private:
  Evaluation& evaluation_;
  const Ensemble& ensemble_;
  const std::vector<std::string> names_;
  IncompleteSegments incomplete_;
};

void refuse_cascade(const config::EnsembleSpec& spec) {
  if (spec.cascade.empty()) return;
  throw Error(ErrorKind::usage, "an ensemble with a 'cascade' cannot be evaluated while it runs",
              "its later members are asked only for some samples, so they cannot be compared",
              "evaluate its description, which leaves the cascade out: evaluate_to_folder(), or 'tutti evaluate'");
}

/// With the head as that of a task: rules that need classes are applied behind it.
config::EnsembleSpec with_head(config::EnsembleSpec spec, const std::filesystem::path& head) {
  if (head.empty()) return spec;
  spec.tasks.resize(1);
  spec.tasks.front().head = head;
  return spec;
}

template <class Given>
Evaluated evaluate_given(Ensemble& ensemble, const Given& given, const TensorView& labels,
                         const EvaluateOptions& options) {
  const Spec described = ensemble.spec();
  const config::EnsembleSpec& spec = described.checked();
  const auto ignored = options.ignore_index ? options.ignore_index : spec.input.ignore_index;
  const auto source = with_labels(given, labels, spec.combine, ignored);
  return evaluate(ensemble, *source, options);
}

}  // namespace

Evaluated evaluate(Ensemble& ensemble, Source& source, const EvaluateOptions& options) {
  const Spec described = ensemble.spec();
  const config::EnsembleSpec& spec = described.checked();
  refuse_cascade(spec);
  std::vector<EvaluationTask> tasks;
  EvaluationTask& task = tasks.emplace_back(given_task(spec, source, options.head));
  if (options.ignore_index) task.input.ignore_index = options.ignore_index;
  const std::vector<MemberStatus> members = ensemble.status().members;
  check_same(names_of(members) == names_of(spec.members));
  EvaluationForm form = evaluation_form(with_head(spec, options.head), options.rules);
  form.output = members.front().output;
  check_widths(tasks, members, members.size(), !form.rules.empty());
  Evaluation evaluation(form, task.head_or_null());
  if (task.other_labels) evaluation.compare_with({source, task.input.ignore_index, outputs_of(members), 0});
  Collecting sink(evaluation, ensemble, names_of(members));
  const auto begin = std::chrono::steady_clock::now();
  ensemble.run(source, sink, options.stop);
  const double seconds = seconds_since(begin);

  std::vector<EvaluatedModel> models;
  std::vector<images::MemberReport> statuses;
  for (const MemberStatus& member : members) {
    models.push_back({member.name, "member"});
    statuses.emplace_back().status = member;
  }
  images::EvaluationReport report = begin_evaluation(models, form);
  add_task(report, task.report(), evaluation, sink.incomplete(), seconds, 0);
  add_parameters(report, statuses);
  Evaluated found;
  for (const images::ModelReport& model : report.models) found.rows.push_back(row_of(model, 0));
  found.images = evaluation.images();
  found.seconds = seconds;
  found.incomplete = sink.incomplete();
  found.table = evaluation_table(report);
  found.json = json::serialize(images::to_json(report));
  return found;
}

Evaluated evaluate(Ensemble& ensemble, const Images& images, const TensorView& labels, const EvaluateOptions& options) {
  return evaluate_given(ensemble, images, labels, options);
}

Evaluated evaluate(Ensemble& ensemble, const Samples& samples, const TensorView& labels,
                   const EvaluateOptions& options) {
  return evaluate_given(ensemble, samples, labels, options);
}

}  // namespace tutti
