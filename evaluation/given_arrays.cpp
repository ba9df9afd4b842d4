#include "evaluation/given_arrays.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>

#include "common/activation.hpp"
#include "common/array_path.hpp"
#include "common/class_sums.hpp"
#include "common/json.hpp"
#include "common/not_finite.hpp"
#include "config/load.hpp"
#include "config/rules.hpp"
#include "coordinator/decide/class_axis.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse_arrays(std::string message, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, std::move(message), std::move(detail), std::move(hint));
}

/// A member for each array; one without a name is called like its entry, or like the file without its ending.
std::vector<PredictionFile> all_named(const SavedPredictions& given) {
  std::vector<PredictionFile> arrays;
  for (PredictionFile array : given.members) {
    if (array.file.empty()) refuse_arrays("an array of predictions has no file", {}, "name its .npy, .npz or .csv");
    const ArrayPath path = array_path(array.file);
    if (array.name.empty())
      array.name = path.entry.empty() ? path.file.stem().string() : path.entry;
    else if (!is_name(array.name))
      refuse_arrays(fmt::format("'{}' is not a name of a member", array.name), {},
                    "a name is not empty, does not begin with '.' and has no '/'");
    arrays.push_back(std::move(array));
    for (std::size_t other = 0; other + 1 < arrays.size(); ++other)
      if (arrays[other].name == arrays.back().name)
        refuse_arrays(fmt::format("two arrays are called '{}'", arrays.back().name),
                      fmt::format("{} and {}", arrays[other].file.string(), arrays.back().file.string()),
                      "name each: --predictions one=a/predictions.npy other=b/predictions.npy");
  }
  if (arrays.empty()) refuse_arrays("--predictions names no array", {}, "for example --predictions a.npy b.npy");
  return arrays;
}

void check_logits(const SavedPredictions& given, const config::CombineSpec& combine) {
  if (!given.logits) return;
  if (!has_classes(combine.over))
    refuse_arrays(fmt::format("logits cannot be combined over {}", to_name(combine.over)), {},
                  "leave --logits out, or set combine.over to probabilities or logits");
  if (combine.over == OutputKind::probabilities && combine.activation == Activation::none)
    refuse_arrays("'activation: none' makes no probabilities of logits", {},
                  "set combine.activation to softmax or sigmoid");
}

std::string in_quotes(const std::filesystem::path& path) { return json::serialize(json::value(path.string())); }

/// The report's `configuration`.
std::string described(const SavedPredictions& given, const config::EnsembleSpec& spec,
                      const std::vector<PredictionFile>& arrays) {
  std::string text = "members:\n";
  for (std::size_t m = 0; m < arrays.size(); ++m)
    text += fmt::format("  - {{name: {}, model: {{kind: saved, predictions: {}}}, output: {}, weight: {}}}\n",
                        in_quotes(arrays[m].name), in_quotes(arrays[m].file),
                        to_name(given.logits ? OutputKind::logits : spec.combine.over), spec.members[m].weight);
  text += fmt::format("combine: {{rule: {}, over: {}, axis: {}, activation: {}, accumulate: {}}}\n",
                      to_name(spec.combine.rule), to_name(spec.combine.over), spec.combine.axis,
                      to_name(spec.combine.activation), spec.combine.accumulate_f64 ? "float64" : "float32");
  if (given.labels.empty()) return text;
  text += fmt::format("input: {{labels: {}", in_quotes(given.labels));
  if (given.ignore_index) text += fmt::format(", ignore_index: {}", *given.ignore_index);
  return text + "}\n";
}

void check_options(const SavedPredictions& given, const config::EnsembleSpec& spec) {
  check_logits(given, spec.combine);
  if (spec.failure.on_nan == OnNan::degrade)
    refuse_arrays("'on_nan: degrade' leaves members out of a run, and here there are only their predictions", {},
                  "set on_nan=allow, or leave samples with such values out");
  if (!given.ignore_index) return;
  if (given.labels.empty())
    refuse_arrays("'--ignore-index' is a label that does not count, but there are no '--labels'", {}, {});
  if (spec.combine.label_form() != LabelForm::classes)
    refuse_arrays("'--ignore-index' marks places of masks of classes, and here there are none", {}, "leave it out");
}

}  // namespace

GivenArrays given_arrays(const SavedPredictions& given, const std::vector<std::string>& settings,
                         const std::string& weights) {
  const std::vector<PredictionFile> arrays = all_named(given);
  GivenArrays all{config::load_combination(settings), {}};
  config::EnsembleSpec& spec = all.spec;
  check_options(given, spec);
  SavedTask task;
  task.name = "predictions";
  for (const PredictionFile& array : arrays) {
    config::MemberSpec member;
    member.name = array.name;
    member.output = spec.combine.over;
    spec.members.push_back(std::move(member));
    all.run.models.push_back({array.name, "member"});
    images::MemberReport row;
    row.status.name = array.name;
    row.status.kind = "saved";
    all.run.members.push_back(std::move(row));
    task.arrays.push_back(array.file);
  }
  if (!weights.empty()) config::set_weights(weights, spec);
  spec.input.labels = given.labels;
  spec.input.ignore_index = given.ignore_index;
  spec.input.label_form = spec.combine.label_form();
  spec.effective_yaml = described(given, spec, arrays);
  task.labels = given.labels;
  task.images = images::PredictionArray(arrays.front().file).rows();
  all.run.tasks.push_back(std::move(task));
  all.run.content = ArrayContent{spec.combine, given.logits, spec.failure.on_nan};
  return all;
}

namespace {

[[noreturn]] void refuse_value(const images::PredictionArray& file, std::uint64_t sample, std::string what,
                               std::string hint) {
  refuse_arrays(fmt::format("{} cannot be combined", file.path().string()),
                fmt::format("prediction {} {}", sample, std::move(what)), std::move(hint));
}

/// Values that are NaN are allowed here.
void check_probabilities(const config::CombineSpec& combine, const images::PredictionArray& file, std::uint64_t first,
                         std::span<const float> values) {
  const char* const hint =
      "if they are logits, add --logits, or set combine.over=logits; if several labels may be right at once, set "
      "combine.activation=sigmoid; what has no classes is combined with combine.over=values";
  const auto wrong = std::ranges::find_if(values, [](float value) {
    return static_cast<double>(value) < -kSumTolerance || static_cast<double>(value) > 1 + kSumTolerance;
  });
  if (wrong != values.end()) {
    const auto place = static_cast<std::uint64_t>(wrong - values.begin());
    refuse_value(file, first + place / file.width(),
                 fmt::format("has the value {}, which is not a probability", *wrong), hint);
  }
  if (combine.activation == Activation::sigmoid) return;
  const ClassAxis axis = ClassAxis::of(file.row_shape(), combine.axis);
  for_each_class_sum(values, axis.classes, axis.inner, [&](double sum, std::size_t block) {
    if (std::fabs(sum - 1) > kSumTolerance)
      refuse_value(file, first + block / file.width(),
                   fmt::format("has probabilities of classes along axis {} that sum to {:.4g}", combine.axis, sum),
                   hint);
  });
}

}  // namespace

void take_array(const ArrayContent& content, const images::PredictionArray& file, std::uint64_t first,
                std::span<float> values) {
  const config::CombineSpec& combine = content.combine;
  if (content.logits && combine.over == OutputKind::probabilities) {
    if (combine.activation == Activation::sigmoid) {
      sigmoid(values);
    } else {
      const ClassAxis axis = ClassAxis::of(file.row_shape(), combine.axis);
      softmax(values, axis.classes, axis.inner);
    }
  }
  if (content.on_nan != OnNan::allow)
    if (const auto wrong = first_not_finite(values))
      refuse_value(file, first + *wrong / file.width(), "is NaN or infinite",
                   "leave such samples out of all arrays, or let such values into the result with on_nan=allow");
  if (combine.over == OutputKind::probabilities && !content.logits) check_probabilities(combine, file, first, values);
}

}  // namespace tutti
