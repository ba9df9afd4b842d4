#include "program/reporting.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>

#include "common/build_id.hpp"
#include "common/counted.hpp"
#include "common/processor.hpp"
#include "common/resample.hpp"
#include "common/unsigned_nan.hpp"
#include "coordinator/decide/batch_search.hpp"
#include "program/figure_columns.hpp"

namespace tutti::program {
namespace {

std::string cpu_name() {
  const std::string name = processor_name();
  return name.empty() ? "unknown" : name;
}

template <class Number>
std::string text_or_dash(const std::optional<Number>& value, const char* format, double factor = 1) {
  return value ? fmt::format(fmt::runtime(format), unsigned_nan(static_cast<double>(*value) * factor)) : "-";
}

std::optional<double> rate(std::uint64_t images, std::optional<double> seconds) {
  if (!seconds || *seconds <= 0) return std::nullopt;
  return static_cast<double>(images) / *seconds;
}

std::vector<std::vector<std::uint64_t>> rows_of(const images::Metrics& metrics) {
  std::vector<std::vector<std::uint64_t>> rows;
  if (metrics.confusion().empty()) return rows;
  for (std::uint32_t label = 0; label < metrics.classes(); ++label) {
    const auto begin = metrics.confusion().begin() + std::ptrdiff_t{label} * metrics.classes();
    rows.emplace_back(begin, begin + metrics.classes());
  }
  return rows;
}

/// The batches of all members: GPUs try larger ones than CPUs.
std::string batches_line(const Plan& plan) {
  std::uint32_t most = 1;
  for (const MemberPlan& member : plan.members) most = std::max(most, member.most_batch_images);
  return fmt::format("batches  measured at the start: {} images\n",
                     fmt::join(batch_candidates(plan.arena.images, most), ", "));
}

/// What the sum of the bounds leaves out, because nothing tells it before the models run.
std::string not_counted(const Plan& plan) {
  std::vector<std::string> computing;
  const bool on_gpu = std::ranges::any_of(plan.workers, &WorkerPlan::cuda);
  for (const MemberPlan& member : plan.members) {
    const bool measured = plan.batches == Batches::to_measure && !member.request.cuda;
    if (facts_of(member.request.model).library != Library::none && !measured) computing.push_back(member.request.name);
  }
  std::vector<std::string> terms;
  if (!computing.empty())
    terms.push_back(fmt::format("what {} hold{} while computing ('tutti plan --measure' measures it)",
                                fmt::join(computing, ", "), computing.size() == 1 ? "s" : ""));
  if (plan.decode_threads != 0) terms.emplace_back("photographs of more than 12 million pixels");
  if (on_gpu) terms.emplace_back("the memory of GPUs");
  return fmt::format("{}", fmt::join(terms, "; "));
}

}  // namespace

images::Report begin_report(const std::string& command, const config::EnsembleSpec& spec, const Plan& plan,
                            const Machine& machine) {
  images::Report report;
  report.version = version();
  report.build_id = build_id();
  report.command = command;
  report.started = images::iso_8601(std::time(nullptr));
  report.seed = spec.seed;
  report.machine = {cpu_name(), static_cast<std::uint32_t>(machine.cores.size()), machine.memory.bytes};
  report.configuration = spec.effective_yaml;
  report.memory.bounds = plan.bounds;
  return report;
}

void add_status(images::Report& report, const Status& status) {
  report.members.resize(status.members.size());
  report.counts.segments_handed_out = 0;
  report.counts.segments_answered = 0;
  double warm_up = 0;
  for (std::size_t rank = 0; rank < status.members.size(); ++rank) {
    const MemberStatus& member = status.members[rank];
    images::MemberReport& row = report.members[rank];
    const int last_pid = row.status.pid;
    row.status = member;
    if (member.pid == 0) row.status.pid = last_pid;  // the process id of the worker that it had
    row.hosted = true;
    report.counts.segments_handed_out += member.segments_handed_out;
    report.counts.segments_answered += member.segments_answered;
    warm_up = std::max(warm_up, member.warm_up_seconds);
  }
  report.phases.start_up = status.start_up_seconds;
  report.phases.warm_up = warm_up;
  if (status.batch_search_seconds > 0) report.phases.batch_search = status.batch_search_seconds;
  report.counts.input_bytes_copied = status.input_bytes_copied;
  report.faults = status.faults;
  report.memory.arena_bytes = status.arena_bytes;
  report.memory.pss_bytes_family = status.pss_bytes;
}

void add_speeds(images::Report& report, const Status& before, const Status& after) {
  report.members.resize(after.members.size());
  for (std::size_t rank = 0; rank < after.members.size(); ++rank) {
    images::MemberReport& row = report.members[rank];
    row.images = after.members[rank].images - before.members[rank].images;
    row.busy_seconds = after.members[rank].busy_seconds - before.members[rank].busy_seconds;
    row.images_per_second = rate(row.images, row.busy_seconds);
  }
}

void add_scores(images::Report& report, const Scoreboard& scoreboard, const config::EnsembleSpec& spec, double seconds,
                std::uint64_t known) {
  report.phases.predict = seconds;
  report.counts.images = scoreboard.images();
  images::EnsembleReport ensemble;
  ensemble.rule = to_name(spec.combine.rule);
  ensemble.over = to_name(spec.combine.over);
  ensemble.seconds = seconds;
  ensemble.images = scoreboard.images();
  ensemble.images_per_second = rate(scoreboard.images() - std::min(known, scoreboard.images()), seconds);
  if (const auto& metrics = scoreboard.ensemble()) {
    ensemble.accuracy = metrics->accuracy();
    ensemble.loss = metrics->loss();
    ensemble.calibration_error = metrics->calibration_error();
    ensemble.confusion_matrix = rows_of(*metrics);
    ensemble.per_class_accuracy = metrics->per_class_accuracy();
  }
  ensemble.incomplete = scoreboard.incomplete();
  report.ensemble = std::move(ensemble);
  report.members.resize(std::max(report.members.size(), scoreboard.members().size()));
  for (std::size_t rank = 0; rank < scoreboard.members().size(); ++rank) {
    const auto& metrics = scoreboard.members()[rank];
    if (!metrics) continue;
    report.members[rank].accuracy = metrics->accuracy();
    report.members[rank].loss = metrics->loss();
    report.members[rank].calibration_error = metrics->calibration_error();
  }
  report.ensemble->scores = scoreboard.ensemble_figures();
  std::vector<images::Figures> members = scoreboard.member_figures();
  report.members.resize(std::max(report.members.size(), members.size()));
  for (std::size_t rank = 0; rank < members.size(); ++rank) report.members[rank].scores = std::move(members[rank]);
}

void add_epoch(images::Report& report, const EpochResult& result) {
  if (report.members.size() <= result.member) report.members.resize(result.member + 1);
  report.members[result.member].epochs.push_back({result.epoch, result.loss, result.accuracy, result.seconds});
}

namespace {

/// The columns of all rows: those of the first figures that there are; none if only classes were compared.
std::vector<FigureColumn> columns_of(const images::Report& report) {
  if (report.ensemble && report.ensemble->scores) return figure_columns(report.ensemble->scores->kind);
  for (const images::MemberReport& member : report.members)
    if (member.scores) return figure_columns(member.scores->kind);
  return {};
}

/// How good a member or the ensemble is, in the table: one cell for each column, or the accuracy.
std::vector<std::string> cells_of(const std::vector<FigureColumn>& columns,
                                  const std::optional<images::Figures>& scores, std::optional<double> accuracy) {
  if (columns.empty()) return {text_or_dash(accuracy, "{:.2f} %", 100)};
  std::vector<std::string> cells;
  for (const FigureColumn& column : columns)
    cells.push_back(column.cell(scores ? scores->value(std::string(column.figure)) : std::nullopt));
  return cells;
}

/// Where a member ran: with replicas, on each of their devices.
std::string devices_text(const MemberStatus& member) {
  std::vector<std::string> devices{member.device};
  for (const ReplicaStatus& replica : member.replicas)
    if (std::ranges::count(devices, replica.device) == 0) devices.push_back(replica.device);
  return fmt::format("{}", fmt::join(devices, ", "));
}

}  // namespace

std::string results_table(const images::Report& report) {
  std::size_t name_width = std::string_view("ensemble").size();
  std::size_t device_width = std::string_view("device").size();
  if (report.ensemble) device_width = std::max(device_width, report.ensemble->rule.size());
  for (const auto& member : report.members) {
    name_width = std::max(name_width, member.status.name.size());
    device_width = std::max(device_width, devices_text(member.status).size());
  }
  const auto row = [&](std::string_view name, std::string_view device, const std::vector<std::string>& figures,
                       std::string_view seconds, std::string_view rate_text) {
    std::string text = fmt::format("{:<{}}  {:<{}}", name, name_width, device, device_width);
    for (const std::string& figure : figures) text += fmt::format("  {:>9}", figure);
    return text + fmt::format("  {:>8}  {:>9}\n", seconds, rate_text);
  };
  const std::vector<FigureColumn> columns = columns_of(report);
  std::vector<std::string> titles;
  for (const FigureColumn& column : columns) titles.emplace_back(column.title);
  if (columns.empty()) titles.emplace_back("accuracy");
  std::string table = row("member", "device", titles, "seconds", "images/s");
  for (const auto& member : report.members)
    table += row(member.status.name, devices_text(member.status), cells_of(columns, member.scores, member.accuracy),
                 text_or_dash(member.busy_seconds, "{:.2f}"), text_or_dash(member.images_per_second, "{:.0f}"));
  if (!report.ensemble) return table;
  const auto& ensemble = *report.ensemble;
  return table + row("ensemble", ensemble.rule, cells_of(columns, ensemble.scores, ensemble.accuracy),
                     fmt::format("{:.2f}", ensemble.seconds), text_or_dash(ensemble.images_per_second, "{:.0f}"));
}

namespace {

/// In which sizes the pictures of a folder are in each slot, and for whom.
std::string planes_text(const Plan& plan) {
  if (plan.input.planes.empty()) return {};
  std::string text =
      fmt::format("\n{} of each picture, which is decoded once\n", counted(plan.input.planes.size(), "plane"));
  for (std::size_t p = 0; p < plan.input.planes.size(); ++p) {
    std::vector<std::string> members;
    for (const MemberPlan& member : plan.members)
      if (member.request.takes.front().array == p) members.push_back(member.request.name);
    text += fmt::format("{:>12}  {} in all slots: {}; for {}\n",
                        bytes_text(plan.arena.slots * plan.arena.array_bytes(p)), dims_text(plan.arena.arrays[p].dims),
                        to_text(plan.input.planes[p].resize), fmt::join(members, ", "));
  }
  return text;
}

/// The first worker of the same unit.
std::size_t first_of_unit(const Plan& plan, std::size_t worker) {
  const auto first = std::ranges::find(plan.workers, plan.workers[worker].members, &WorkerPlan::members);
  return static_cast<std::size_t>(first - plan.workers.begin());
}

/// The workers of the unit whose first worker this is, if there are several.
std::string replicas_text(const Plan& plan, std::size_t worker) {
  const WorkerPlan& first = plan.workers[worker];
  if (plan.replicas_of(first) == 1 || first_of_unit(plan, worker) != worker) return {};
  std::vector<std::string> devices;
  for (const WorkerPlan& other : plan.workers)
    if (other.members == first.members) devices.push_back(other.device);
  return fmt::format("{} of {}, which share its segments, on {}{}\n", counted(devices.size(), "replica"),
                     plan.name_of(first), fmt::join(devices, ", "),
                     first.same_bits ? "" : "; the last bits depend on which computes a segment ('same_bits: off')");
}

/// Which members share a worker, and which workers share segments.
std::string units_text(const Plan& plan) {
  std::string text;
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    const WorkerPlan& worker = plan.workers[w];
    text += replicas_text(plan, w);
    if (worker.members.size() == 1 || first_of_unit(plan, w) != w) continue;
    std::vector<std::string> names;
    for (const Rank rank : worker.members) names.push_back(plan.request_of(rank).name);
    constexpr std::array kHow{"one after the other", "each in a thread of its own", "as one network"};
    const std::string_view how = kHow[static_cast<std::size_t>(worker.mode)];
    if (plan.replicas_of(worker) > 1)
      text += fmt::format("each of these for {}: {}\n", fmt::join(names, ", "), how);
    else
      text += fmt::format("one worker for {} on {}: {}\n", fmt::join(names, ", "), worker.device, how);
  }
  return text.empty() ? text : "\n" + text;
}

/// As in YAML.
std::string input_text(const MemberInput& input) {
  const auto side = [](std::uint32_t height, std::uint32_t width) {
    return height == width ? fmt::format("{}", height) : fmt::format("[{}, {}]", height, width);
  };
  const Resize& resize = input.resize;
  std::vector<std::string> parts;
  if (resize.rule != ResizeRule::none)
    parts.push_back(fmt::format("resize: {}, rule: {}, interpolation: {}", side(resize.height, resize.width),
                                to_name(resize.rule), to_name(resize.interpolation)));
  if (resize.crop_height != 0)
    parts.push_back(fmt::format("crop: {}, crop_rounding: {}", side(resize.crop_height, resize.crop_width),
                                to_name(resize.crop_rounding)));
  if (!input.mean.empty()) parts.push_back(fmt::format("mean: [{}]", fmt::join(input.mean, ", ")));
  if (!input.std.empty()) parts.push_back(fmt::format("std: [{}]", fmt::join(input.std, ", ")));
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

}  // namespace

std::string plan_text(const Plan& plan, const Machine& machine, const std::string& source) {
  std::string text =
      fmt::format("input    {} in segments of {}, {}\n", source, plan.arena.images, counted(plan.arena.slots, "slot"));
  text += fmt::format("machine  {} usable of {}{}, {}{}, {} available ({})\n", machine.cores.size(),
                      counted(machine.present_cores.size(), "core"),
                      machine.cpu_quota ? fmt::format(" (quota {:.2f})", *machine.cpu_quota) : "",
                      counted(machine.gpus.size(), "GPU"),
                      machine.gpus.empty() ? fmt::format(" ({})", machine.why_no_gpu) : "",
                      bytes_text(machine.memory.bytes), machine.memory.limited_by);
  if (plan.batches == Batches::to_measure) text += batches_line(plan);
  text += fmt::format("\n{:<16}  {:<12}  {:<24}  {:<10}  {:>7}  {}\n", "member", "model", "device", "cores", "threads",
                      "assigned as");
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    const MemberPlan& member = plan.members[rank.value()];
    const WorkerPlan& worker = plan.host_of(rank);
    text +=
        fmt::format("{:<16}  {:<12}  {:<24}  {:<10}  {:>7}  {}\n", member.request.name, kind_name(member.request.model),
                    worker.device, worker.cores.empty() ? "any" : fmt::format("{}", fmt::join(worker.cores, ",")),
                    member.request.threads, member.assigned == "null" ? "nothing" : member.assigned);
  }
  text += units_text(plan);
  text += planes_text(plan);
  for (const MemberPlan& member : plan.members)
    for (const TakenTensor& taken : member.request.takes)
      if (taken.input && *taken.input != MemberInput{})
        text += fmt::format("input of {}: {}\n", member.request.name, input_text(*taken.input));
  for (const MemberPlan& member : plan.members)
    if (!member.request.views.empty())
      text += fmt::format("views of {}: {}, {}\n", member.request.name, to_text(member.request.views),
                          counted(passes_of(member.request.views), "prediction") + " of each image");
  for (const MemberPlan& member : plan.members)
    if (const auto entries = entries_of(member.request.model); entries.size() > 1)
      text += fmt::format("outputs of {}: {}, joined into one row of values\n", member.request.name,
                          fmt::join(entries, ", "));
  for (const MemberPlan& member : plan.members)
    if (const auto& saved = member.request.saved)
      text += fmt::format("predictions of {}: {} of {} ({}) in {}\n", member.request.name, counted(saved->rows, "row"),
                          dims_text(saved->shape), to_name(saved->type),
                          std::get<SavedModel>(member.request.model).predictions);
  text += "\nmemory\n";
  for (const Bound& bound : plan.bounds) text += fmt::format("{:>12}  {}\n", bytes_text(bound.bytes), bound.name);
  text += fmt::format("{:>12}  in all, at least\n", bytes_text(plan.needed_bytes()));
  if (const std::string more = not_counted(plan); !more.empty()) text += fmt::format("not counted: {}\n", more);
  if (!plan.survival.empty()) text += "\nwhen a worker dies\n";
  for (const std::string& sentence : plan.survival) text += sentence + "\n";
  for (const std::string& note : plan.notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace tutti::program
