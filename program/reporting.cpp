#include "program/reporting.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/counted.hpp"
#include "common/unsigned_nan.hpp"
#include "evaluation/figure_columns.hpp"

namespace tutti::program {
namespace {

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

}  // namespace

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

namespace {

/// The members that the step asks are measured, those of `report`. The images that any of them was asked for are
/// those of the one that answered most: one that was absent for a while has fewer.
images::CascadeReport cascade_report(const config::CascadeStep& step, const images::Report& report,
                                     std::uint64_t computed) {
  images::CascadeReport row;
  for (const std::size_t rank : step.after) row.after.push_back(report.members[rank].status.name);
  row.when = to_name(step.when);
  row.threshold = step.threshold;
  row.of = computed;
  double saved = 0;
  bool known = true;
  for (const std::size_t rank : step.then) {
    const images::MemberReport& member = report.members[rank];
    row.then.push_back(member.status.name);
    row.images = std::max(row.images, member.images);
    known = known && member.images > 0 && member.busy_seconds;
    if (known)
      saved += *member.busy_seconds * static_cast<double>(computed - std::min(member.images, computed)) /
               static_cast<double>(member.images);
  }
  if (known) row.saved_seconds = saved;
  return row;
}

}  // namespace

void add_cascade(images::Report& report, const config::EnsembleSpec& spec) {
  if (!report.ensemble) return;
  std::uint64_t computed = 0;  // some member was asked for all of them
  for (const images::MemberReport& member : report.members) computed = std::max(computed, member.images);
  for (const config::CascadeStep& step : spec.cascade)
    report.ensemble->cascade.push_back(cascade_report(step, report, computed));
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
  std::vector<std::string> devices;
  const auto add = [&](const std::string& device) {
    if (std::ranges::count(devices, device) == 0) devices.push_back(device);
  };
  for (const MemberStatus& stage : member.stages) add(stage.device);
  add(member.device);
  for (const ReplicaStatus& replica : member.replicas) add(replica.device);
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

}  // namespace tutti::program
