#include "evaluation/merge/merge_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <system_error>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/checksum.hpp"
#include "common/usable_cores.hpp"
#include "merge/passes.hpp"

namespace tutti {
namespace {

FileContent read_content(const std::filesystem::path& file) {
  const auto content = content_of(file);
  if (content) return *content;
  throw Error(ErrorKind::failed, fmt::format("could not read {}", file.string()),
              std::generic_category().message(errno));
}

/// The checksums of all files, computed on several threads.
class Contents {
 public:
  explicit Contents(std::vector<std::filesystem::path> files) : files_(std::move(files)), contents_(files_.size()) {
    merge::run_pass(
        files_.size(), usable_cores(),
        [&](std::size_t index, unsigned) { contents_[index] = read_content(files_[index]); },
        [](std::size_t, unsigned) {});
  }

  json::object json_of(const std::filesystem::path& file) const {
    const auto place = static_cast<std::size_t>(std::ranges::find(files_, file) - files_.begin());
    return {{"path", file.string()},
            {"bytes", contents_[place].bytes},
            {"crc32", fmt::format("{:08x}", contents_[place].crc)}};
  }

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<FileContent> contents_;
};

json::object json_of(const merge::MergeInput& input, const Contents& contents) {
  json::array files;
  for (const std::filesystem::path& file : input.checkpoint->files()) files.push_back(contents.json_of(file));
  return {{"name", input.name}, {"path", input.checkpoint->path().string()}, {"files", std::move(files)}};
}

json::object parameters_of(const config::MergeSpec& merge) {
  json::object parameters;
  const bool ties = merge.method == MergeMethod::ties;
  if (merge.method == MergeMethod::weighted) {
    parameters["weights"] = json::array(merge.weights.begin(), merge.weights.end());
    parameters["normalize"] = merge.normalize;
  }
  if (ties || merge.method == MergeMethod::task_arithmetic) parameters["scaling"] = merge.scaling;
  if (ties) parameters["density"] = merge.density;
  if (ties) parameters["disjoint"] = json::string_view(to_name(merge.disjoint));
  if (merge.method == MergeMethod::slerp) parameters["t"] = merge.t;
  if (merge.batch_norm != BatchNorm::keep) parameters["batch_norm"] = json::string_view(to_name(merge.batch_norm));
  parameters["accumulate"] = merge.accumulate_f64 ? "float64" : "float32";
  return parameters;
}

/// A member or a step of a soup; per task if `tasks` hold out the images.
json::object soup_row(const std::string& name, double accuracy, const std::vector<double>& of_tasks,
                      const std::vector<config::TaskSpec>& tasks) {
  json::object row{{"name", name}, {"accuracy", accuracy}};
  if (of_tasks.empty()) return row;
  json::object accuracies;
  for (std::size_t task = 0; task < of_tasks.size(); ++task) accuracies[tasks[task].name] = of_tasks[task];
  row["tasks"] = std::move(accuracies);
  return row;
}

json::object json_of(const Soup& soup, const std::vector<merge::MergeInput>& inputs,
                     const std::vector<config::TaskSpec>& tasks) {
  json::array order;
  for (const std::size_t place : soup.order)
    order.push_back(soup_row(inputs[place].name, soup.members[place].accuracy, soup.members[place].tasks, tasks));
  json::array steps;
  for (std::size_t number = 0; number < soup.steps.size(); ++number) {
    const SoupStep& step = soup.steps[number];
    json::object row = soup_row(inputs[step.member].name, step.accuracy, soup.step_tasks[number], tasks);
    row["added"] = step.added;
    steps.push_back(std::move(row));
  }
  json::array chosen;
  for (const std::size_t place : soup.chosen) chosen.push_back(json::string(inputs[place].name));
  return {{"order", std::move(order)},
          {"steps", std::move(steps)},
          {"chosen", std::move(chosen)},
          {"accuracy", soup.accuracy}};
}

json::object json_of(const Statistics& statistics) {
  json::array tensors;
  for (const std::string& name : statistics.tensors.names()) tensors.push_back(json::string(name));
  return {{"images", statistics.images},
          {"batches", statistics.batches},
          {"batch_images", statistics.batch_images},
          {"tensors", std::move(tensors)}};
}

}  // namespace

json::value to_json(const MergeReport& report, const config::EnsembleSpec& spec) {
  std::vector<std::filesystem::path> files{report.result};
  const auto add_files = [&](const merge::MergeInput& input) {
    files.insert(files.end(), input.checkpoint->files().begin(), input.checkpoint->files().end());
  };
  std::ranges::for_each(report.inputs, add_files);
  if (report.base) add_files(*report.base);
  const Contents contents(std::move(files));

  json::object result = contents.json_of(report.result);
  result["tensors"] = report.outcome.tensors;
  result["values"] = report.outcome.values;
  json::array inputs;
  for (std::size_t i = 0; i < report.inputs.size(); ++i) {
    inputs.push_back(json_of(report.inputs[i], contents));
    if (!report.factors.empty()) inputs.back().as_object()["factor"] = report.factors[i];
  }
  json::object json{{"schema", kMergeSchema},
                    {"version", version()},
                    {"build_id", build_id()},
                    {"method", json::string_view(to_name(spec.merge->method))},
                    {"parameters", parameters_of(*spec.merge)},
                    {"result", std::move(result)},
                    {"inputs", std::move(inputs)}};
  if (report.base) json["base"] = json_of(*report.base, contents);
  if (report.soup) json["soup"] = json_of(*report.soup, report.inputs, spec.tasks);
  if (report.statistics) json["statistics"] = json_of(*report.statistics);
  json::array notes;
  for (const std::string& note : report.outcome.notes) notes.push_back(json::string(note));
  json["notes"] = std::move(notes);
  json["bytes_read"] = report.outcome.bytes_read;
  json["bytes_written"] = report.outcome.bytes_written;
  json["seconds"] = {{"evaluate", report.evaluate_seconds}, {"merge", report.merge_seconds}};
  if (report.statistics) json["seconds"].as_object()["statistics"] = report.statistics->seconds;
  json["configuration"] = spec.effective_yaml;
  return json;
}

}  // namespace tutti
