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
