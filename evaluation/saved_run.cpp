#include "evaluation/saved_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string_view>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "evaluation/given_arrays.hpp"
#include "images/npy_reader.hpp"
#include "images/only_labels.hpp"

namespace tutti {
namespace {

/// So many images are read at a time, or fewer if all models together have more than so many values of them.
constexpr std::uint64_t kPartImages = 1024;
constexpr std::uint64_t kPartValues = 8ULL << 20;

[[noreturn]] void refuse_run(const std::filesystem::path& file, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be combined", file.string()), std::move(detail),
              std::move(hint));
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }
std::string name_of(const json::value& value) {
  std::string name = text_of(value);
  if (!is_name(name)) throw std::invalid_argument(fmt::format("'{}' is not a name of a member or a task", name));
  return name;
}
std::uint64_t count_in(const json::value& value) { return value.to_number<std::uint64_t>(); }

std::vector<IncompleteSegment> incomplete_of(const json::value& list, const std::vector<EvaluatedModel>& models) {
  std::vector<IncompleteSegment> all;
  for (const json::value& row : list.as_array()) {
    IncompleteSegment some{count_in(row.at("first")),
                           count_in(row.at("count")),
                           row.at("members_present").to_number<std::uint32_t>(),
                           {},
                           row.at("set_aside").as_bool()};
    for (const json::value& name : row.at("absent").as_array()) {
      const auto model = std::ranges::find(models, text_of(name), &EvaluatedModel::name);
      if (model == models.end()) throw std::invalid_argument(fmt::format("it has no model '{}'", text_of(name)));
      some.absent.push_back(static_cast<std::size_t>(model - models.begin()));
    }
    all.push_back(std::move(some));
  }
  return all;
}

void read_models(const json::value& report, SavedRun& run) {
  for (const json::value& row : report.at("members").as_array()) {
    images::MemberReport member;
    member.status.name = name_of(row.at("name"));
    member.role = text_of(row.at("role"));
    member.status.kind = text_of(row.at("kind"));
    if (!row.at("parameters").is_null()) member.status.parameters = count_in(row.at("parameters"));
    run.models.push_back({member.status.name, member.role});
    run.members.push_back(std::move(member));
  }
}

void read_tasks(const json::value& report, const std::filesystem::path& folder, SavedRun& run) {
  if (text_of(report.at("command")) == "run") {
    run.tasks.push_back({"", "", folder, false, count_in(report.at("counts").at("images")),
                         incomplete_of(report.at("ensemble").at("incomplete"), run.models)});
    return;
  }
  for (const json::value& row : report.at("evaluation").at("tasks").as_array()) {
    const std::string name = name_of(row.at("name"));
    const std::filesystem::path own = folder / "tasks" / name;
    const bool in_own = std::filesystem::exists(own);
    run.tasks.push_back({name, text_of(row.at("source")), in_own ? own : folder, in_own, count_in(row.at("images")),
                         incomplete_of(row.at("incomplete"), run.models)});
  }
}

void check_rows(const images::NpyReader& file, const SavedTask& task) {
  if (file.rows() == task.images) return;
  refuse_run(task.folder,
             fmt::format("{} holds {}, but the report says {}", file.path().string(), counted(file.rows(), "row"),
                         counted(task.images, "image")),
             "its files are not from one run; run it again with save_members: true");
}

/// Reports of earlier versions do not say it.
bool was_cascaded(const json::value& report) {
  const json::value& ensemble = report.at("ensemble");
  const json::value* steps = ensemble.is_object() ? ensemble.as_object().if_contains("cascade") : nullptr;
  return steps != nullptr && !steps->as_array().empty();
}

}  // namespace

bool is_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

SavedRun read_saved_run(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "report.json";
  const std::string text = read_text(file, "the report of the run");
  SavedRun run;
  try {
    const json::value report = parse_json(text, file.string());
    if (text_of(report.at("schema")) != images::kReportSchema)
      refuse_run(folder, fmt::format("the schema of its report is {}", text_of(report.at("schema"))),
                 fmt::format("this version reads {}", images::kReportSchema));
    const std::string command = text_of(report.at("command"));
    if (command != "run" && command != "evaluate")
      refuse_run(folder, fmt::format("it was written by 'tutti {}'", command),
                 "name the run folder of 'tutti run' or 'tutti evaluate'");
    if (!report.at("completed").as_bool())
      refuse_run(folder, "the run in it did not complete",
                 command == "run" ? "complete it first: tutti run ... --resume" : "evaluate it again, to its end");
    run.configuration = text_of(report.at("configuration"));
    run.cascaded = was_cascaded(report);
    read_models(report, run);
    read_tasks(report, folder, run);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::usage) throw;
    refuse_run(folder, error.message(), "its report was not written by Tutti, or was changed");
  } catch (const std::exception& error) {
    refuse_run(folder, fmt::format("{} is not a report of this version: {}", file.string(), error.what()),
               "run it again with save_members: true");
  }
  return run;
}

SavedAnswers::SavedAnswers(const SavedTask& task, const SavedRun& run, const images::LabelFile& labels)
    : content_(run.content), images_(task.images), incomplete_(task.incomplete) {
  for (std::size_t m = 0; m < run.models.size(); ++m) {
    names_.push_back(run.models[m].name);
    if (!task.arrays.empty()) {
      files_.emplace_back(task.arrays.at(m));
      if (files_.back().rows() != images_)
        refuse_run(files_.back().path(),
                   fmt::format("it has predictions for {}, and {} has {}", counted(files_.back().rows(), "sample"),
                               task.arrays.front().string(), images_),
                   "give predictions of the same samples, in the same order");
      continue;
    }
    const std::filesystem::path file = task.folder / "members" / (names_.back() + ".npy");
    if (!std::filesystem::exists(file))
      refuse_run(task.folder,
                 fmt::format("the outputs of '{}' were not saved: there is no {}", names_.back(), file.string()),
                 "run it again with save_members: true");
    check_rows(images::NpyReader(file, images::NpyType::float32), task);
    files_.emplace_back(file);
  }
  labels_file_ = task.arrays.empty() ? task.folder / "labels.npy" : task.labels;
  if (task.arrays.empty() ? !std::filesystem::exists(labels_file_) : labels_file_.empty()) return;
  images::LabelFile form = labels;
  form.file = labels_file_;
  labels_ = images::only_labels(form, images_);
}

std::vector<SavedAnswers::Part> SavedAnswers::parts() const {
  std::vector<Part> all;
  std::uint64_t next = 0;
  for (const IncompleteSegment& some : incomplete_) {
    const std::uint64_t first = std::clamp(some.first, next, images_);
    const std::uint64_t end = first + std::min(some.count, images_ - first);
    if (first > next) all.push_back({next, first, nullptr});
    if (end > first) all.push_back({first, end, &some});
    next = end;
  }
  if (next < images_) all.push_back({next, images_, nullptr});
  return all;
}

std::uint64_t SavedAnswers::images_per_part() const {
  std::uint64_t values = 0;
  for (const images::PredictionArray& file : files_) values += file.width();
  return std::clamp<std::uint64_t>(kPartValues / values, 1, kPartImages);
}

void SavedAnswers::replay(Sink& sink) const {
  const std::uint64_t most = images_per_part();
  for (const Part& part : parts())
    for (std::uint64_t first = part.first; first < part.end; first += most)
      hand_over(part, first, static_cast<std::uint32_t>(std::min(most, part.end - first)), sink);
}

void SavedAnswers::hand_over(const Part& part, std::uint64_t first, std::uint32_t count, Sink& sink) const {
  std::vector<std::vector<float>> values(files_.size());
  std::vector<MemberSegmentResult> members;
  for (std::size_t m = 0; m < files_.size(); ++m) {
    values[m].resize(std::size_t{count} * files_[m].width());
    files_[m].read(first, values[m]);
    if (content_) take_array(*content_, files_[m], first, values[m]);
    const bool absent =
        part.incomplete != nullptr &&
        std::find(part.incomplete->absent.begin(), part.incomplete->absent.end(), m) != part.incomplete->absent.end();
    members.push_back({files_[m].width(), values[m], !absent});
  }
  std::vector<std::int64_t> labels(labels_ != nullptr && labels_->labelled() ? count : 0);
  if (!labels.empty()) {
    std::vector<std::uint64_t> indices(count);
    std::iota(indices.begin(), indices.end(), first);
    labels_->read_tensors(indices, {}, labels);
  }
  SegmentResult result;
  result.first = first;
  result.count = count;
  result.members = members;
  result.labels = labels;
  result.set_aside = part.incomplete != nullptr && part.incomplete->set_aside;
  sink.write(result);
}

}  // namespace tutti
