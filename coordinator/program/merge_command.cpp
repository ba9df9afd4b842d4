#include "coordinator/program/merge_command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "common/atomic_file.hpp"
#include "common/clock.hpp"
#include "common/log.hpp"
#include "config/merge.hpp"
#include "coordinator/find_worker.hpp"
#include "coordinator/program/hosting.hpp"
#include "coordinator/program/merge_progress.hpp"
#include "coordinator/program/merge_report.hpp"
#include "coordinator/program/say.hpp"
#include "coordinator/program/session.hpp"
#include "coordinator/program/soup_measuring.hpp"
#include "coordinator/program/task.hpp"
#include "images/run_folder.hpp"

namespace tutti::program {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kWeightsOfFolder = "model.safetensors";
/// What a folder of Hugging Face needs beside its weights, as far as the first member has it.
constexpr std::array<const char*, 2> kCopied{"config.json", "preprocessor_config.json"};

merge::MergeInput open_input(const std::string& name, const config::ModelSpec& model) {
  const bool is_tower = kind_name(model.kind) == "clip-vit";
  return {name, std::make_shared<const merge::Checkpoint>(merge::Checkpoint::open(config::weights_path(model))),
          is_tower ? merge::clip_tower_alias : nullptr};
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

/// One merge, from its description to its report.
class Merge {
 public:
  Merge(const CommandLine& line, Interruption& interruption)
      : line_(line), interruption_(interruption), spec_(load(line)) {
    if (!spec_.merge)
      throw Error(ErrorKind::usage, fmt::format("{} does not say what to merge", line.file.string()), {},
                  "add merge: {method: average}");
    for (const std::size_t rank : spec_.merge->over)
      report_.inputs.push_back(open_input(spec_.members[rank].name, spec_.members[rank].model));
    if (spec_.base) report_.base = open_input("base", *spec_.base);
    settings_ = settings_of(*spec_.merge);
    if (settings_.method == MergeMethod::weighted)
      report_.factors = merge::weight_factors(settings_.weights, settings_.normalize);
    merge::check_merge(settings_, report_.inputs, base());
    if (spec_.tasks.empty()) return;
    open_tasks(spec_);  // what is wrong with them is said before anything is merged
    host_models(spec_, {"merged=weights"});
  }

  void perform() {
    folder_ = images::make_run_folder(spec_.output, "runs");
    choose_place();
    if (settings_.method == MergeMethod::greedy_soup) cook();
    write_result();
    write_report();
    if (!line_.quiet) say(stdout, summary());
  }

  /// Where there are tasks, the merged model is measured on them beside base, members and ensemble.
  Outcome evaluate_result() const {
    if (spec_.tasks.empty()) return Outcome::complete;
    CommandLine line = line_;
    line.merged = {fmt::format("merged={}", place().string())};
    line.output = folder_;
    line.picture = folder_ / "tasks.svg";
    return evaluate(line, interruption_);
  }

 private:
  const merge::MergeInput* base() const { return report_.base ? &*report_.base : nullptr; }

  /// Where the result goes: as its first input is, one file or a folder.
  void choose_place() {
    const std::filesystem::path first = report_.inputs.front().checkpoint->path();
    std::error_code ignored;
    if (std::filesystem::is_directory(first, ignored)) {
      source_folder_ = first;
      report_.result = images::make_run_folder(folder_ / "merged", "") / kWeightsOfFolder;
    } else {
      report_.result = folder_ / "merged.safetensors";
    }
    for (const merge::MergeInput& input : report_.inputs) refuse_to_replace(input);
    if (report_.base) refuse_to_replace(*report_.base);
  }

  void refuse_to_replace(const merge::MergeInput& input) const {
    for (const std::filesystem::path& file : input.checkpoint->files()) {
      std::error_code different;
      if (std::filesystem::equivalent(file, report_.result, different))
        throw Error(ErrorKind::usage, fmt::format("the merged weights would replace those of {}", input.name),
                    report_.result.string(), "choose another folder with `output:`");
    }
  }

  void cook() {
    const Clock::time_point begin = Clock::now();
    SoupMeasuring measuring(spec_, find_worker(line_.worker), interruption_, line_.quiet);
    report_.soup = cook_greedy_soup(spec_, report_.inputs, settings_, measuring.at_once(), folder_,
                                    [&](const std::vector<config::MemberSpec>& models) { return measuring(models); });
    report_.evaluate_seconds = seconds_since(begin);
  }

  /// The inputs that become one.
  std::vector<merge::MergeInput> chosen() const {
    if (!report_.soup) return report_.inputs;
    std::vector<merge::MergeInput> inputs;
    for (const std::size_t place : report_.soup->chosen) inputs.push_back(report_.inputs[place]);
    return inputs;
  }

  std::map<std::string, std::string> metadata(const std::vector<merge::MergeInput>& inputs) const {
    std::vector<std::string> names;
    for (const merge::MergeInput& input : inputs) names.push_back(input.name);
    // transformers wants to know which library's tensors these are.
    return {{"format", "pt"},
            {"tutti.merge", fmt::format("{} of {}", to_name(settings_.method), fmt::join(names, ", "))}};
  }

  void write_result() {
    if (!source_folder_.empty()) copy_beside();
    const std::vector<merge::MergeInput> inputs = chosen();
    const Clock::time_point begin = Clock::now();
    {
      MergeProgressLine progress(style_for(stderr, line_.quiet));
      report_.outcome =
          merge::merge_checkpoints(settings_, inputs, base(), report_.result, metadata(inputs),
                                   [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
    }
    report_.merge_seconds = seconds_since(begin);
    for (const std::string& note : report_.outcome.notes) log::warning("{}", note);
  }

  /// Before the weights: a folder with weights is a whole one.
  void copy_beside() const {
    for (const char* name : kCopied) {
      std::error_code ignored;
      if (!std::filesystem::exists(source_folder_ / name, ignored)) continue;
      AtomicFile copy(report_.result.parent_path() / name);
      copy.write(read_text(source_folder_ / name, "the file"));
      copy.commit();
    }
  }

  void write_report() const {
    AtomicFile out(folder_ / "merge.json");
    out.write(pretty_json(to_json(report_, spec_)));
    out.commit();
  }

  /// What a description names: the file, or the folder.
  std::filesystem::path place() const { return source_folder_.empty() ? report_.result : report_.result.parent_path(); }

  std::string summary() const {
    std::string text;
    if (report_.soup) {
      for (const SoupStep& step : report_.soup->steps)
        text += fmt::format("{:<12}  {}  accuracy {:6.2f} %\n", report_.inputs[step.member].name,
                            step.added ? "added   " : "left out", step.accuracy * 100);
    }
    const double gigabytes = static_cast<double>(report_.outcome.bytes_read + report_.outcome.bytes_written) / 1e9;
    return text + fmt::format(
                      "{} of {} checkpoints: {} tensors, {} values, {:.2f} s, {:.1f} GB/s\nmerged: {}\n"
                      "report: {}\n",
                      to_name(settings_.method), chosen().size(), report_.outcome.tensors, report_.outcome.values,
                      report_.merge_seconds, gigabytes / report_.merge_seconds, place().string(),
                      (folder_ / "merge.json").string());
  }

  const CommandLine& line_;
  Interruption& interruption_;
  const config::EnsembleSpec spec_;
  merge::MergeSettings settings_;
  MergeReport report_;
  std::filesystem::path folder_;
  std::filesystem::path source_folder_;  ///< of the first input; empty where that is a file
};

}  // namespace

Outcome merge(const CommandLine& line, Interruption& interruption) {
  Merge merge(line, interruption);
  merge.perform();
  return merge.evaluate_result();
}

}  // namespace tutti::program
