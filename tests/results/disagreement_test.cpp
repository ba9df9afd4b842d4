// How much members contradict each other, against values computed by hand.
#include "results/disagreement.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "results/class_shares.hpp"

namespace tutti::images {
namespace {

using Scores = std::vector<float>;
using Column = DisagreementColumn;

float of(const DisagreementRow& row, Column column) { return row[static_cast<std::size_t>(column)]; }

/// Adds `images` images, of which each member has `classes` scores.
std::vector<DisagreementRow> add(Disagreement& all, const std::vector<Scores>& members, std::uint32_t images,
                                 std::uint32_t classes, ScoreKind kind = ScoreKind::probabilities) {
  std::vector<DisagreementRow> rows;
  ClassShares scores;
  for (std::size_t image = 0; image < images; ++image) {
    std::vector<double> shares(members.size() * classes);
    for (std::size_t m = 0; m < members.size(); ++m) {
      scores.take(std::span(members[m]).subspan(image * classes, classes), kind);
      scores.write(std::span(shares).subspan(m * classes, classes));
    }
    rows.push_back(all.add(shares, members.size()));
  }
  return rows;
}

std::vector<DisagreementRow> rows_of(const std::vector<Scores>& members, std::uint32_t images, std::uint32_t classes,
                                     ScoreKind kind = ScoreKind::probabilities) {
  Disagreement all;
  return add(all, members, images, classes, kind);
}

TEST_CASE("members that are sure of different classes disagree wholly and those that agree not at all") {
  const auto rows = rows_of({{1, 0, 0.5F, 0.5F}, {0, 1, 0.5F, 0.5F}}, 2, 2);
  CHECK(of(rows[0], Column::entropy) == doctest::Approx(std::log(2.0)));
  CHECK(of(rows[0], Column::mutual_information) == doctest::Approx(std::log(2.0)));
  CHECK(of(rows[0], Column::variance) == doctest::Approx(0.25));
  CHECK(of(rows[0], Column::dissent) == 0.5F);  // of equal shares the lowest class is the mean's
  CHECK(of(rows[1], Column::entropy) == doctest::Approx(std::log(2.0)));
  CHECK(of(rows[1], Column::mutual_information) == 0);
  CHECK(of(rows[1], Column::variance) == 0);
  CHECK(of(rows[1], Column::dissent) == 0);
}

TEST_CASE("three members over three classes give what is computed by hand") {
  const auto row = rows_of({{0.5F, 0.25F, 0.25F}, {0.25F, 0.5F, 0.25F}, {0.75F, 0.125F, 0.125F}}, 1, 3).front();
  const auto h = [](double a, double b, double c) { return -a * std::log(a) - b * std::log(b) - c * std::log(c); };
  const double mean = h(0.5, 0.875 / 3, 0.625 / 3);
  const double each = (h(0.5, 0.25, 0.25) + h(0.25, 0.5, 0.25) + h(0.75, 0.125, 0.125)) / 3;
  CHECK(of(row, Column::entropy) == doctest::Approx(mean));
  CHECK(of(row, Column::mutual_information) == doctest::Approx(mean - each));
  // Class 0: 0, -0.25, 0.25 from its mean; class 1: 0.5 from 0.875/3 ...
  const auto variance = [](double a, double b, double c) {
    const double m = (a + b + c) / 3;
    return ((a - m) * (a - m) + (b - m) * (b - m) + (c - m) * (c - m)) / 3;
  };
  CHECK(of(row, Column::variance) ==
        doctest::Approx((variance(0.5, 0.25, 0.75) + variance(0.25, 0.5, 0.125) + variance(0.25, 0.25, 0.125)) / 3));
  CHECK(of(row, Column::dissent) == doctest::Approx(1.0 / 3));
}

TEST_CASE("logits count as their softmax and scores as shares of their sum") {
  const auto logits = rows_of({{0, std::log(3.0F)}, {std::log(3.0F), 0}}, 1, 2, ScoreKind::logits).front();
  const auto shares = rows_of({{0.25F, 0.75F}, {3, 1}}, 1, 2).front();
  for (std::size_t column = 0; column < kDisagreementColumns; ++column)
    CHECK(logits[column] == doctest::Approx(shares[column]));
  const auto large = rows_of({{1000, 0}, {0, 1000}}, 1, 2, ScoreKind::logits).front();
  CHECK(of(large, Column::entropy) == doctest::Approx(std::log(2.0)));
}

TEST_CASE("a single member has an entropy and no disagreement") {
  const auto row = rows_of({{0.5F, 0.5F}}, 1, 2).front();
  CHECK(of(row, Column::entropy) == doctest::Approx(std::log(2.0)));
  CHECK(of(row, Column::mutual_information) == 0);
  CHECK(of(row, Column::variance) == 0);
}

TEST_CASE("images without a member or with a score that is not a number are unknown and left out of the means") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Disagreement all;
  CHECK_FALSE(all.means());
  CHECK(std::isnan(of(all.add({}, 0), Column::entropy)));
  CHECK_FALSE(all.means());
  const std::vector<Scores> members{{1, 0, nan, 0.5F}, {0, 1, 0.5F, 0.5F}};
  CHECK(std::isnan(of(add(all, members, 2, 2)[1], Column::variance)));
  CHECK(all.images() == 1);
  REQUIRE(all.means());
  CHECK((*all.means())[0] == doctest::Approx(std::log(2.0)));
  CHECK((*all.means())[2] == doctest::Approx(0.25));
}

}  // namespace
}  // namespace tutti::images
