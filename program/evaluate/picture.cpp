#include "program/evaluate/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <system_error>
#include <vector>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "evaluation/evaluation_report.hpp"
#include "evaluation/figure_columns.hpp"

namespace tutti::program {
namespace {

// In pixels.
constexpr int kBar = 22;
constexpr int kGap = 30;  // between groups
constexpr int kLeft = 50;
constexpr int kTop = 40;
constexpr int kPlot = 240;    // height of 100 %
constexpr int kLegend = 180;  // width
constexpr int kLine = 18;

// From the colour-blind safe palette by Okabe and Ito; grey for the base, black for the merged model.
constexpr std::array<const char*, 6> kColours{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"};

std::string colour_of(const images::ModelReport& model, std::size_t row) {
  if (model.role == "base") return "#999999";
  if (model.role == "merged") return "#000000";
  return kColours[row % kColours.size()];
}

/// Names of tasks and models contain none of these, but any text that is written into XML is escaped.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '&')
      out += "&amp;";
    else if (letter == '<')
      out += "&lt;";
    else
      out += letter;
  }
  return out;
}

std::string text_at(int x, int y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escaped(text));
}

/// The figure that is drawn.
struct Measure {
  std::string title;
  FigureColumn figure;  ///< nothing: the accuracy
  double top = 1;       ///< the value of the highest line

  bool is_share() const { return figure.figure.empty() || figure.factor != 1; }
  /// Nothing if there is no bar to draw.
  std::optional<double> of(const images::ScoreReport& score) const {
    std::optional<double> value = score.accuracy;
    if (!figure.figure.empty()) value = score.scores ? score.scores->value(std::string(figure.figure)) : std::nullopt;
    return value && std::isfinite(*value) ? value : std::nullopt;
  }
  std::string text(double value) const {
    return is_share() ? fmt::format("{:.2f} %", value * 100) : fmt::format("{:.4g}", value);
  }
  std::string short_text(double value) const {
    return is_share() ? fmt::format("{:.1f}", value * 100) : fmt::format("{:.3g}", value);
  }
};

/// The values of all bars.
std::vector<double> values_of(const Measure& measure, const images::EvaluationReport& report) {
  std::vector<double> values;
  for (const images::ModelReport& model : report.models)
    for (const images::ScoreReport& task : model.tasks)
      if (const auto value = measure.of(task)) values.push_back(*value);
  return values;
}

/// 1, 2 or 5 times a power of ten that is not below `most`.
double top_above(double most) {
  if (most <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(most)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= most) return factor * power;
  return 10 * power;
}

Measure measure_of(const images::EvaluationReport& report) {
  std::string kind;
  for (const images::ModelReport& model : report.models)
    for (const images::ScoreReport& task : model.tasks)
      if (task.scores) kind = task.scores->kind;
  const std::vector<FigureColumn> columns = figure_columns(kind);
  if (columns.empty()) return {"accuracy", {}};
  Measure measure{kind == "masks"    ? "mean IoU"
                  : kind == "values" ? "mean absolute error"
                                     : "macro F1",
                  columns.front()};
  if (measure.is_share()) return measure;
  const std::vector<double> values = values_of(measure, report);
  measure.top = top_above(values.empty() ? 1 : *std::ranges::max_element(values));
  return measure;
}

std::string bar_at(int x, const Measure& measure, double value, const std::string& colour, const std::string& title) {
  const double height = value / measure.top * kPlot;
  const double y = kTop + kPlot - height;
  return fmt::format(
      "<rect x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{:.1f}\" fill=\"{}\"><title>{}: {}</title></rect>\n"
      "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"middle\" font-size=\"9\">{}</text>\n",
      x, y, kBar - 2, height, colour, escaped(title), measure.text(value), x + kBar / 2 - 1, y - 3,
      measure.short_text(value));
}

std::string scale(int right, const Measure& measure) {
  std::string text;
  for (int percent = 0; percent <= 100; percent += 20) {
    const int y = kTop + kPlot - kPlot * percent / 100;
    text += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#dddddd\"/>\n", kLeft, y, right, y);
    text +=
        text_at(kLeft - 6, y + 4, "end",
                measure.is_share() ? fmt::format("{} %", percent) : fmt::format("{:.4g}", measure.top * percent / 100));
  }
  return text;
}

std::string legend(const images::EvaluationReport& report, int left) {
  std::string text;
  for (std::size_t row = 0; row < report.models.size(); ++row) {
    const int y = kTop + static_cast<int>(row) * kLine;
    text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", left, y,
                        colour_of(report.models[row], row));
    text += text_at(left + 18, y + 10, "start", label_of(report.models[row]));
  }
  return text;
}

}  // namespace

void check_picture(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    throw Error(ErrorKind::usage, fmt::format("cannot draw {}", file.string()),
                fmt::format("there is no folder {}", folder.string()), "make it, or give another name");
  if (file.extension() == ".svg") return;
  throw Error(
      ErrorKind::usage, fmt::format("cannot draw {}", file.string()), "pictures are written as SVG",
      "give a name that ends in .svg; any browser shows it, and rsvg-convert or inkscape convert it to other formats");
}

bool has_picture(const images::EvaluationReport& report) { return !values_of(measure_of(report), report).empty(); }

std::string picture_of(const images::EvaluationReport& report) {
  std::vector<std::string> groups;
  for (const images::TaskReport& task : report.tasks) groups.push_back(task.name);
  if (groups.size() > 1) groups.emplace_back("average");
  const int group_width = static_cast<int>(report.models.size()) * kBar + kGap;
  const int right = kLeft + static_cast<int>(groups.size()) * group_width;
  const int height = kTop + std::max(kPlot + 50, static_cast<int>(report.models.size()) * kLine + 20);
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      right + kLegend, height);
  const Measure measure = measure_of(report);
  text += text_at(kLeft, 18, "start", measure.title) + scale(right, measure);
  for (std::size_t group = 0; group < groups.size(); ++group) {
    const int left = kLeft + static_cast<int>(group) * group_width + kGap / 2;
    for (std::size_t row = 0; row < report.models.size(); ++row) {
      const images::ModelReport& model = report.models[row];
      const std::optional<double> value =
          measure.of(group < report.tasks.size() ? model.tasks.at(group) : images::average_of(model.tasks));
      if (value)
        text += bar_at(left + static_cast<int>(row) * kBar, measure, *value, colour_of(model, row),
                       fmt::format("{} on {}", label_of(model), groups[group]));
    }
    text += text_at(left + (group_width - kGap) / 2, kTop + kPlot + 20, "middle", groups[group]);
  }
  return text + legend(report, right + 20) + "</svg>\n";
}

void write_picture(const std::filesystem::path& file, const images::EvaluationReport& report) {
  AtomicFile out(file);
  out.write(picture_of(report));
  out.commit();
}

}  // namespace tutti::program
