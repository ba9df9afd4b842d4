// Combining the outputs of members that an earlier run saved, or arrays that were computed elsewhere. It uses the
// pool's accumulator, so the bytes are those that the pool would have written.
#include "evaluation/combining.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "common/axis.hpp"
#include "common/clock.hpp"
#include "common/counted.hpp"
#include "config/load.hpp"
#include "config/rules.hpp"
#include "coordinator/plan/machine.hpp"
#include "evaluation/command_report.hpp"
#include "evaluation/evaluating_sink.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/evaluation_task.hpp"
#include "evaluation/given_arrays.hpp"
#include "evaluation/label_scores.hpp"
#include "evaluation/spread_sink.hpp"
#include "evaluation/task_names.hpp"
#include "results/result_files.hpp"
#include "results/run_folder.hpp"
#include "results/sinks.hpp"
#include "results/table_columns.hpp"

namespace tutti {
namespace {

/// Follows an EvaluatingSink: writes the results of each rule into a separate folder.
class RuleFiles final : public Sink {
 public:
  RuleFiles(const Evaluation& evaluation, const EvaluationForm& form, const std::filesystem::path& folder,
            std::uint64_t images, const Dims& output, std::uint32_t classes, std::stop_token stop)
      : evaluation_(evaluation), stop_(std::move(stop)) {
    for (const config::CombineSpec& rule : form.rules) {
      images::ResultForm results;
      results.images = images;
      results.shape = rule.over == form.answers ? output : Dims{classes};
      if (rule.decides()) results.decided = without_axis(*results.shape, rule.over == form.answers ? rule.axis : 1);
      widths_.push_back(static_cast<std::uint32_t>(elements_of(*results.shape)));
      folders_.emplace_back(folder / std::string(to_name(rule.rule)), "");
      files_.push_back(std::make_unique<images::NpySink>(folders_.back().path(), results));
    }
  }

  /// Also predictions.csv of each rule. `names` outlives the files; `classes` are those behind the head, if there is
  /// one.
  void add_tables(const std::vector<images::TableColumn>& columns, const Source& names, std::uint32_t classes) {
    for (const images::MadeFolder& folder : folders_)
      tables_.emplace_back(folder.path() / "predictions.csv", names, classes, columns);
  }

  void write(const SegmentResult& result) override {
    if (stop_.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
    for (std::size_t rule = 0; rule < tables_.size(); ++rule) tables_[rule].write(evaluation_.answered(result, rule));
    for (std::size_t rule = 0; rule < files_.size(); ++rule) {
      SegmentResult combined;
      combined.first = result.first;
      combined.count = result.count;
      combined.width = widths_[rule];
      combined.values = evaluation_.combined()[rule].values;
      combined.predicted = evaluation_.combined()[rule].predicted;
      files_[rule]->write(combined);
    }
  }

  void finish() {
    for (images::PredictionTable& table : tables_) table.finish();
    for (const auto& file : files_) file->finish();
  }

 private:
  const Evaluation& evaluation_;
  const std::stop_token stop_;
  std::vector<std::uint32_t> widths_;
  std::vector<images::MadeFolder> folders_;  ///< declared before the files in them, so that they are removed after them
  std::vector<std::unique_ptr<images::NpySink>> files_;
  std::vector<images::PredictionTable> tables_;
};

/// The description may have changed since the run; its members may not.
void check_members(const config::EnsembleSpec& spec, const SavedRun& saved) {
  std::vector<std::string> then;
  for (const EvaluatedModel& model : saved.models)
    if (model.role == "member") then.push_back(model.name);
  std::vector<std::string> now;
  for (const config::MemberSpec& member : spec.members) now.push_back(member.name);
  if (then == now) return;
  throw Error(ErrorKind::usage, "the members are not those of the run",
              fmt::format("then: {}; now: {}", fmt::join(then, ", "), fmt::join(now, ", ")),
              "combine with the description that was run, or name only the run's folder");
}

/// The files hold what was combined over in the run: their values would be meaningless as anything else.
void check_answers(const config::EnsembleSpec& spec, const SavedRun& saved) {
  const config::EnsembleSpec run = config::load_text(saved.configuration, "the configuration of the run", {});
  const OutputKind then = run.combine.over;
  if (run.input.tiles)
    throw Error(ErrorKind::usage, "the predictions of 'tiles' cannot be combined again",
                "a rule combines the predictions of each tile, and the files hold what was blended of them",
                "run it with the other rule: tutti run ... combine.rule=median");
  if (saved.cascaded)
    throw Error(ErrorKind::usage, "the members of a cascade did not predict every image",
                "so no other rule can combine them",
                "run it without: tutti run ... cascade=null; or see 'tutti evaluate --cascade-sweep'");
  const bool older = std::ranges::any_of(
      saved.tasks, [](const SavedTask& task) { return std::filesystem::exists(task.folder / "members"); });
  if (!run.save_members && run.combine.rule != CombineRule::none)
    throw Error(ErrorKind::usage, "this run did not save the members' outputs",
                older ? "the files next to its report are older" : "", "run it again with save_members: true");
  if (then != spec.combine.over)
    throw Error(ErrorKind::usage,
                fmt::format("the run was combined over {}, and cannot be combined over {}", to_name(then),
                            to_name(spec.combine.over)),
                "its files hold the members' outputs of that run",
                fmt::format("set combine.over to {}, or run it again", to_name(then)));
  if (run.combine.activation != spec.combine.activation)
    throw Error(ErrorKind::usage,
                fmt::format("the run made probabilities by '{}', and they cannot be combined as those of '{}'",
                            to_name(run.combine.activation), to_name(spec.combine.activation)),
                "its files hold the members' outputs of that run",
                fmt::format("set combine.activation to {}, or run it again", to_name(run.combine.activation)));
}

class Combine {
 public:
  Combine(const CombineInput& input, const CombineOptions& options)
      : options_(options),
        spec_(input.spec),
        source_(input.source),
        saved_(input.run),
        columns_(images::asked_columns(options.csv)),
        form_(evaluation_form(input.spec, options.rules)) {
    if (form_.rules.empty())
      throw Error(ErrorKind::usage, "there is no rule to combine by", "the rule of this run is none",
                  "name rules: --rules mean,vote");
    const auto weighs = [](const config::CombineSpec& rule) {
      return rule.rule == CombineRule::weighted || rule.rule == CombineRule::vote;
    };
    if (!options.weights.empty() && std::ranges::none_of(form_.rules, weighs))
      throw Error(ErrorKind::usage, "'--weights' belongs to the rules weighted and vote", "none of those is asked for",
                  "add one: --rules weighted");
  }

  CombineResult perform(const std::function<std::string()>& stopped_by) const {
    const auto begin = std::chrono::steady_clock::now();
    images::Report report = begin_report("combine", spec_, Plan{}, look_at_machine({}, GpuSearch::no));
    report.members = saved_.members;
    report.evaluation = begin_evaluation(saved_.models, form_);
    const std::vector<std::optional<merge::Head>> heads = read_heads();
    const auto head_of = [&](std::size_t number) { return heads[number] ? &*heads[number] : nullptr; };
    std::vector<SavedAnswers> answers;
    for (const SavedTask& task : saved_.tasks) answers.emplace_back(task, saved_, labels_of(task));
    for (std::size_t number = 0; number < answers.size(); ++number) check(answers[number], number, head_of(number));
    std::vector<std::unique_ptr<Source>> names;
    for (std::size_t number = 0; !columns_.empty() && number < answers.size(); ++number)
      names.push_back(open_names(answers[number], number, head_of(number)));
    std::error_code absent;
    if (!source_.empty() && std::filesystem::equivalent(options_.output, source_, absent))
      throw Error(ErrorKind::usage, "the results would replace the ones that are being combined", source_.string(),
                  "name another folder with -o");
    if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted", "nothing was written");
    const images::RunFolder held(options_.output, "runs");
    const std::filesystem::path& folder = held.path();
    const bool cleared = clear_results(held, files_of(answers));
    for (std::size_t number = 0; number < answers.size(); ++number) {
      try {
        const Source* const named = names.empty() ? nullptr : names[number].get();
        combine_task(number, answers[number], head_of(number), named, folder, report);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::interrupted) throw;
        if (number == 0)
          throw Error(error.kind(), error.message(),
                      cleared ? "the results of an earlier command were removed, and no new ones were written"
                              : "nothing was written");
        report.interrupted_by = stopped_by();
        break;
      }
    }
    add_parameters(*report.evaluation, saved_.members);
    report.phases.total = seconds_since(begin);
    report.completed = !report.interrupted_by;
    images::write_report(folder / "report.json", report);
    if (!report.completed)
      throw Error(ErrorKind::interrupted, "interrupted",
                  fmt::format("{} of {} tasks were written into {}", report.evaluation->tasks.size(),
                              saved_.tasks.size(), folder.string()));
    return {std::move(report), folder};
  }

 private:
  /// The files that are being combined are not results of an earlier command, wherever they are.
  std::vector<std::filesystem::path> files_of(const std::vector<SavedAnswers>& answers) const {
    std::vector<std::filesystem::path> files;
    if (!source_.empty()) files.push_back(source_ / "report.json");
    for (std::size_t task = 0; task < answers.size(); ++task) {
      files.push_back(answers[task].labels_file());
      for (std::size_t m = 0; m < saved_.models.size(); ++m) files.push_back(answers[task].file(m));
    }
    return files;
  }

  /// The input whose labels were saved: that of the task, or of the run.
  const config::InputSpec& input_of(const SavedTask& task) const {
    const auto named = std::ranges::find(spec_.tasks, task.name, &config::TaskSpec::name);
    return named != spec_.tasks.end() ? named->input : spec_.input;
  }

  /// The form of the labels; the file is for SavedAnswers to know.
  images::LabelFile labels_of(const SavedTask& task) const {
    const config::InputSpec& input = input_of(task);
    // Data sets without a file of labels have classes, whatever is predicted.
    const LabelForm form = input.labels.empty() ? LabelForm::classes : spec_.combine.label_form();
    return {{}, form, input.ignore_index};
  }

  /// Whatever is wrong before anything is written.
  void check(const SavedAnswers& answers, std::size_t number, const merge::Head* head) const {
    check_widths(answers, head);
    if (head != nullptr) return;
    const Dims& output = answers.output(0);
    for (const config::CombineSpec& rule : form_.rules)
      if (saved_.content && rule.decides() && ClassAxis::of(output, rule.axis).classes < 2)
        throw Error(ErrorKind::usage,
                    fmt::format("{} has one value along axis {}, and a decision needs two classes or more",
                                answers.file(0).string(), rule.axis),
                    fmt::format("its predictions are {}", dims_text(output)),
                    "if it is the probability of one label, set combine.activation=sigmoid; 'combine.axis' says where "
                    "the classes are");
    if (answers.labels() == nullptr) return;
    std::vector<MemberStatus> models(saved_.models.size());
    for (std::size_t m = 0; m < models.size(); ++m) {
      models[m].name = saved_.models[m].name;
      models[m].output = answers.output(m);
    }
    config::InputSpec input = input_of(saved_.tasks[number]);
    if (saved_.content || !input.labels.empty()) input.labels = answers.labels_file();
    check_labels(spec_.combine, input, *answers.labels(), models);
    check_classes(*answers.labels(), models);
  }

  EvaluationForm form_for(const SavedAnswers& answers) const {
    EvaluationForm form = form_;
    form.output = answers.output(0);
    return form;
  }

  static std::uint32_t classes_of(const SavedAnswers& answers, const merge::Head* head) {
    return head != nullptr ? head->classes() : answers.width(0);
  }

  /// What names the samples of a task in its tables, once the columns fit it.
  std::unique_ptr<Source> open_names(const SavedAnswers& answers, std::size_t number, const merge::Head* head) const {
    auto names = saved_.content ? only_numbers(answers.images())
                                : task_names(spec_, saved_.tasks[number], head, answers.images());
    images::check_table(columns_, Evaluation(form_for(answers), head).has_classes(), *names, classes_of(answers, head));
    return names;
  }

  /// One entry per task, empty if the task has no head.
  std::vector<std::optional<merge::Head>> read_heads() const {
    std::vector<std::optional<merge::Head>> heads(saved_.tasks.size());
    for (std::size_t number = 0; !spec_.tasks.empty() && number < heads.size(); ++number) {
      const std::string& name = saved_.tasks[number].name;
      const auto task = std::ranges::find(spec_.tasks, name, &config::TaskSpec::name);
      if (task == spec_.tasks.end())
        throw Error(ErrorKind::usage, fmt::format("the run has a task '{}', and the description has none", name), {},
                    "combine with the description that was run, or name only the run's folder");
      if (!task->head.empty()) heads[number] = merge::Head::read(task->head);
    }
    return heads;
  }

  void check_widths(const SavedAnswers& answers, const merge::Head* head) const {
    for (std::size_t m = 0; m < saved_.models.size(); ++m) {
      const std::uint32_t wanted = head != nullptr ? head->features() : answers.width(0);
      const bool alike = head != nullptr || answers.output(m) == answers.output(0);
      if ((answers.width(m) == wanted && alike) || (head == nullptr && m >= form_.members)) continue;
      const bool rows = answers.output(m).size() == 1 && (head != nullptr || answers.output(0).size() == 1);
      throw Error(ErrorKind::usage, fmt::format("{} cannot be combined", answers.file(m).string()),
                  fmt::format("it has {} per image, {} has {}",
                              rows ? counted(answers.width(m), "value")
                                   : fmt::format("predictions of {}", dims_text(answers.output(m))),
                              head != nullptr ? head->file().string() : answers.file(0).string(),
                              rows ? fmt::format("{}", wanted) : dims_text(answers.output(0))),
                  saved_.content ? "give predictions of one shape: only their first axis counts the samples"
                                 : "its files are not from one run, or its members have outputs of different widths");
    }
  }

  /// `names` is null without tables.
  void combine_task(std::size_t number, const SavedAnswers& answers, const merge::Head* head, const Source* names,
                    const std::filesystem::path& folder, images::Report& report) const {
    const SavedTask& task = saved_.tasks[number];
    std::optional<images::MadeFolder> all;  // destroyed after the task's part
    if (task.in_own_folder) all.emplace(folder / "tasks", "");
    const images::MadeFolder made(task.in_own_folder ? all->path() / task.name : folder, "");
    const std::filesystem::path& own = made.path();
    const auto begin = std::chrono::steady_clock::now();
    Evaluation evaluation(form_for(answers), head);
    if (Source* labels = answers.labels(); labels != nullptr && has_label_scores(spec_.combine, *labels)) {
      std::vector<Dims> outputs;
      for (std::size_t m = 0; m < saved_.models.size(); ++m) outputs.push_back(answers.output(m));
      evaluation.compare_with({*labels, input_of(task).ignore_index, std::move(outputs)});
    }
    RuleFiles files(evaluation, form_, own, answers.images(), answers.output(0), classes_of(answers, head),
                    options_.stop);
    if (names != nullptr) files.add_tables(columns_, *names, classes_of(answers, head));
    std::optional<SpreadSink> spread;
    Sink* next = &files;
    if (spec_.combine.spread)
      next = &spread.emplace(own, spec_.combine, spec_.failure.on_nan, form_.members, answers.output(0),
                             answers.images(), next);
    EvaluatingSink sink(evaluation, own, answers.images(), next);
    answers.replay(sink);
    sink.finish();
    if (spread) spread->finish();
    files.finish();
    images::TaskReport row;
    row.name = task.name.empty() ? std::string(to_name(spec_.input.dataset)) : task.name;
    row.source = task.source;
    if (head != nullptr) row.head = head->file().string();
    row.classes = evaluation.has_classes() ? classes_of(answers, head) : 0;
    report.counts.images += answers.images();
    add_task(*report.evaluation, std::move(row), evaluation, task.incomplete, seconds_since(begin), answers.images());
  }

  const CombineOptions& options_;
  const config::EnsembleSpec& spec_;
  const std::filesystem::path& source_;  ///< the folder of the run
  const SavedRun& saved_;
  const std::vector<images::TableColumn> columns_;  ///< of the predictions.csv of each rule; none: no such files
  const EvaluationForm form_;
};

CombineInput checked_input(CombineInput input, const CombineOptions& options) {
  if (!options.weights.empty()) config::set_weights(options.weights, input.spec);
  check_members(input.spec, input.run);
  check_answers(input.spec, input.run);
  return input;
}

}  // namespace

CombineInput saved_input(const std::filesystem::path& folder, const CombineOptions& options) {
  std::error_code absent;
  if (!std::filesystem::is_directory(folder, absent))
    throw Error(ErrorKind::usage, fmt::format("'{}' is not the folder of a run", folder.string()), {},
                "name the folder that has its report.json; arrays are given as SavedPredictions");
  CombineInput input{{}, folder, read_saved_run(folder)};
  input.spec = config::load_text(input.run.configuration, (folder / "report.json").string() + ": configuration",
                                 {options.settings, {}});
  return checked_input(std::move(input), options);
}

CombineInput described_input(config::EnsembleSpec spec, const std::string& name, const CombineOptions& options) {
  if (spec.output.empty())
    throw Error(ErrorKind::usage, fmt::format("{} does not say where its run was written", name),
                "it names no 'output'", "name the run's folder instead: tutti combine runs/0001");
  const std::filesystem::path folder = spec.output;
  return checked_input({std::move(spec), folder, read_saved_run(folder)}, options);
}

CombineInput given_input(const SavedPredictions& predictions, const CombineOptions& options) {
  GivenArrays given = given_arrays(predictions, options.settings, options.weights);
  return {std::move(given.spec), {}, std::move(given.run)};
}

CombineResult combine_saved(const CombineInput& input, const CombineOptions& options,
                            const std::function<std::string()>& stopped_by) {
  return Combine(input, options).perform(stopped_by);
}

}  // namespace tutti
