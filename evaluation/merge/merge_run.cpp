#include "evaluation/merge/merge_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/clock.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "config/input.hpp"
#include "config/merge.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "merge/clip_config.hpp"
#include "merge/replacing.hpp"
#include "results/result_files.hpp"
#include "results/run_folder.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

merge::MergeInput open_input(const std::string& name, const config::ModelSpec& model) {
  const bool is_tower = facts_of(model.kind).weights == WeightsFrom::tower;
  return {name, std::make_shared<const merge::Checkpoint>(merge::Checkpoint::open(config::weights_path(model))),
          is_tower ? merge::clip_tower_alias : nullptr};
}

/// Of a member that names a folder: its configuration, and that of the folder of its weights if this is another.
void add_towers(const std::string& name, const config::ModelSpec& model, std::vector<merge::NamedTower>& towers) {
  if (facts_of(model.kind).weights != WeightsFrom::tower) return;
  std::error_code ignored;
  for (const std::filesystem::path& folder : {std::filesystem::path(*folder_of(model.kind)), model.weights})
    if (!folder.empty() && std::filesystem::is_regular_file(folder / "config.json", ignored))
      towers.push_back({name, merge::read_clip_config(folder)});
}

merge::MergeSettings settings_of(const config::MergeSpec& spec) {
  merge::MergeSettings settings;
  settings.method = spec.method;
  settings.weights = spec.weights;
  settings.normalize = spec.normalize;
  settings.scaling = spec.scaling;
  settings.density = spec.density;
  settings.disjoint = spec.disjoint;
  settings.t = spec.t;
  settings.accumulate_f64 = spec.accumulate_f64;
  return settings;
}

}  // namespace

MergeRun::MergeRun(config::EnsembleSpec spec, const std::filesystem::path& worker, MergeWatcher& watcher)
    : spec_(std::move(spec)), watcher_(watcher) {
  for (const std::size_t rank : spec_.merge->over)
    report_.inputs.push_back(open_input(spec_.members[rank].name, spec_.members[rank].model));
  if (spec_.base) report_.base = open_input("base", *spec_.base);
  std::vector<merge::NamedTower> towers;
  for (const std::size_t rank : spec_.merge->over)
    add_towers(spec_.members[rank].name, spec_.members[rank].model, towers);
  if (spec_.base) add_towers("base", *spec_.base, towers);
  settings_ = settings_of(*spec_.merge);
  if (settings_.method == MergeMethod::weighted) report_.factors = merge::weight_factors(settings_);
  merge::check_merge(settings_, report_.inputs, base());
  merge::check_same_towers(towers);
  if (settings_.method == MergeMethod::greedy_soup) measuring_.emplace(spec_, find_worker(worker), watcher_);
  if (spec_.merge->batch_norm == BatchNorm::estimate) prepare_estimation(worker);
}

void MergeRun::open_folder() {
  folder_.emplace(images::RunFolder(spec_.output, "runs"), report_.inputs.front().checkpoint->path());
  for (const merge::MergeInput& input : report_.inputs) folder_->check(input);
  if (report_.base) folder_->check(*report_.base);
  report_.result = folder_->weights();
}

void MergeRun::perform() {
  try {
    if (settings_.method == MergeMethod::greedy_soup) cook();
    write_result();
    write_report();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted) throw;
    throw Error(error.kind(), error.message(), written());
  }
}

std::string MergeRun::written() const {
  if (reported_) return fmt::format("{} and merge.json were written", report_.result.string());
  return in_place_ ? fmt::format("{} was written, but not its merge.json", report_.result.string())
                   : "nothing was written";
}

std::vector<merge::MergeInput> MergeRun::chosen() const {
  if (!report_.soup) return report_.inputs;
  std::vector<merge::MergeInput> inputs;
  for (const std::size_t place : report_.soup->chosen) inputs.push_back(report_.inputs[place]);
  return inputs;
}

void MergeRun::cook() {
  const Clock::time_point begin = Clock::now();
  report_.soup = cook_greedy_soup(spec_, report_.inputs, settings_, measuring_->at_once(), folder_->folder(),
                                  [&, members = true](const std::vector<config::MemberSpec>& models) mutable {
                                    // The members come first; they keep their own statistics.
                                    const bool estimates = !std::exchange(members, false) && estimation_;
                                    const std::vector<SoupScore> scores =
                                        estimates ? measure_estimated(models) : (*measuring_)(models);
                                    watcher_.check();  // the signal may have come with the last output
                                    return scores;
                                  });
  measuring_.reset();
  report_.evaluate_seconds = seconds_since(begin);
}

/// Scores the candidates after estimating statistics for each.
std::vector<SoupScore> MergeRun::measure_estimated(std::vector<config::MemberSpec> models) {
  std::vector<WeightsFile> files;
  for (config::MemberSpec& model : models) {
    const merge::Safetensors tensors = (*estimation_)(model.model.weights, folder_->folder()).tensors;
    const WeightsFile& file = files.emplace_back(folder_->folder(), "a candidate");
    merge::write_replaced(merge::Checkpoint::open(model.model.weights), tensors,
                          [&](std::span<const std::byte> bytes) { file.write(bytes); }, {});
    model.model.weights = file.path();
  }
  return (*measuring_)(models);
}

std::map<std::string, std::string> MergeRun::metadata(const std::vector<merge::MergeInput>& inputs) const {
  std::vector<std::string> names;
  for (const merge::MergeInput& input : inputs) names.push_back(input.name);
  // The transformers library needs to know which framework wrote these tensors.
  return {{"format", "pt"},
          {"tutti.merge", fmt::format("{} of {}", to_name(settings_.method), fmt::join(names, ", "))}};
}

void MergeRun::prepare_estimation(const std::filesystem::path& worker) {
  const merge::Checkpoint& first = *report_.inputs.front().checkpoint;
  if (std::ranges::none_of(first.names(), [](const std::string& name) { return name.ends_with("running_mean"); }))
    throw Error(ErrorKind::usage, "the members have no BatchNorm statistics that could be estimated",
                fmt::format("no tensor of {} is called running_mean", first.path().string()),
                "leave 'batch_norm' out of 'merge'");
  settings_.statistics_follow = true;
  estimation_.emplace(spec_, find_worker(worker), watcher_);
}

void MergeRun::merge_to(const merge::ByteSink& sink, const std::vector<merge::MergeInput>& inputs) {
  const auto show = watcher_.show_bytes();
  report_.outcome = merge::merge_checkpoints(settings_, inputs, base(), sink, metadata(inputs),
                                             [&](std::uint64_t done, std::uint64_t total) {
                                               watcher_.check();
                                               show(done, total);
                                             });
}

/// The average without statistics never gets the name of the result: a file with that name has the estimated
/// statistics.
std::optional<WeightsFile> MergeRun::average_and_estimate(const std::vector<merge::MergeInput>& inputs) {
  const std::filesystem::path folder = report_.result.parent_path();
  WeightsFile averaged(folder, "the averaged weights");
  merge_to([&](std::span<const std::byte> bytes) { averaged.write(bytes); }, inputs);
  report_.statistics = (*estimation_)(averaged.path(), folder);
  watcher_.check();  // the signal may have come with the last batch
  return averaged;
}

void MergeRun::write_result() {
  const std::vector<merge::MergeInput> inputs = chosen();
  const Clock::time_point begin = Clock::now();
  const std::optional<WeightsFile> averaged = estimation_ ? average_and_estimate(inputs) : std::nullopt;
  computing_ = true;
  AtomicFile out(report_.result);
  const merge::ByteSink sink = [&](std::span<const std::byte> bytes) { out.write(bytes); };
  if (averaged)
    merge::write_replaced(merge::Checkpoint::open(averaged->path()), report_.statistics->tensors, sink,
                          metadata(inputs));
  else
    merge_to(sink, inputs);
  watcher_.check();
  folder_->copy_beside();
  folder_->remove_report();
  if (!spec_.tasks.empty())
    clear_results(folder_->held(), config::files_of_inputs(spec_));  // those of the evaluation of an earlier result
  out.commit();
  in_place_ = true;
  computing_ = false;
  watcher_.check();
  report_.merge_seconds = seconds_since(begin) - (report_.statistics ? report_.statistics->seconds : 0);
  for (const std::string& note : report_.outcome.notes) log::warning("{}", note);
}

void MergeRun::write_report() {
  const std::string text = pretty_json(to_json(report_, spec_));
  AtomicFile out(folder_->report());
  out.write(text);
  out.commit();
  reported_ = true;
}

}  // namespace tutti
