#include "program/evaluate/sweep_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/atomic_file.hpp"
#include "program/summary.hpp"

namespace tutti::program {

std::string sweep_table(const images::SweepReport& sweep) {
  if (sweep.rows.empty()) return {};
  std::string text = fmt::format("\n{:<20}  {:>9}  {:>10}  {:>24}\n", sweep.when, "passed on", "accuracy",
                                 "computing per 1000 images");
  for (const images::SweepRow& row : sweep.rows)
    text +=
        fmt::format("{:<20}  {:>7.1f} %  {:>8.2f} %  {:>24}{}\n", row.threshold, 100 * row.share, 100 * row.accuracy,
                    row.seconds ? seconds_text(*row.seconds) : "-", row.described ? "  (in the description)" : "");
  return text;
}

std::string sweep_picture(const images::SweepReport& sweep) {
  constexpr int kSweepLeft = 60;
  constexpr int kSweepTop = 20;
  constexpr int kSweepWidth = 400;
  constexpr int kSweepHeight = 240;
  const auto [worst, best] = std::ranges::minmax(sweep.rows, {}, &images::SweepRow::accuracy);
  const double low = worst.accuracy;
  const double range = std::max(best.accuracy - low, 0.01);
  const auto x = [&](double share) { return kSweepLeft + share * kSweepWidth; };
  const auto y = [&](double accuracy) { return kSweepTop + kSweepHeight - (accuracy - low) / range * kSweepHeight; };
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" "
      "font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      kSweepLeft + kSweepWidth + 40, kSweepTop + kSweepHeight + 50);
  for (int part = 0; part <= 4; ++part) {
    const double share = part / 4.0;
    text += fmt::format("<line x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\" stroke=\"#dddddd\"/>\n", kSweepLeft,
                        y(low + share * range), kSweepLeft + kSweepWidth);
    text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.2f} %</text>\n", kSweepLeft - 6,
                        y(low + share * range) + 4, 100 * (low + share * range));
    text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f} %</text>\n", x(share),
                        kSweepTop + kSweepHeight + 16, 100 * share);
  }
  text += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">images passed on</text>\n",
                      kSweepLeft + kSweepWidth / 2, kSweepTop + kSweepHeight + 36);
  std::string points;
  for (const images::SweepRow& row : sweep.rows)
    points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x(row.share), y(row.accuracy));
  text += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"/>\n", points);
  for (const images::SweepRow& row : sweep.rows)
    text += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"><title>{} {:.6g}: {:.1f} % passed on, {:.2f} "
        "%</title></circle>\n",
        x(row.share), y(row.accuracy), row.described ? 5 : 3, row.described ? "#d55e00" : "#0072b2", sweep.when,
        row.threshold, 100 * row.share, 100 * row.accuracy);
  return text + "</svg>\n";
}

void write_sweep_picture(const std::filesystem::path& file, const images::SweepReport& sweep) {
  AtomicFile out(file);
  out.write(sweep_picture(sweep));
  out.commit();
}

}  // namespace tutti::program
