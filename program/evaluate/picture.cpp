#include "program/evaluate/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>
#include <vector>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "program/evaluate/evaluation_report.hpp"

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

std::string bar_at(int x, double accuracy, const std::string& colour, const std::string& title) {
  const double height = accuracy * kPlot;
  const double y = kTop + kPlot - height;
  return fmt::format(
      "<rect x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{:.1f}\" fill=\"{}\"><title>{}: {:.2f} %</title></rect>\n"
      "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"middle\" font-size=\"9\">{:.1f}</text>\n",
      x, y, kBar - 2, height, colour, escaped(title), accuracy * 100, x + kBar / 2 - 1, y - 3, accuracy * 100);
}

std::string scale(int right) {
  std::string text;
  for (int percent = 0; percent <= 100; percent += 20) {
    const int y = kTop + kPlot - kPlot * percent / 100;
    text += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#dddddd\"/>\n", kLeft, y, right, y);
    text += text_at(kLeft - 6, y + 4, "end", fmt::format("{} %", percent));
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
  text += text_at(kLeft, 18, "start", "accuracy") + scale(right);
  for (std::size_t group = 0; group < groups.size(); ++group) {
    const int left = kLeft + static_cast<int>(group) * group_width + kGap / 2;
    for (std::size_t row = 0; row < report.models.size(); ++row) {
      const images::ModelReport& model = report.models[row];
      const std::optional<double> accuracy =
          group < report.tasks.size() ? model.tasks.at(group).accuracy : images::average_of(model.tasks).accuracy;
      if (accuracy)
        text += bar_at(left + static_cast<int>(row) * kBar, *accuracy, colour_of(model, row),
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
