// Entropy, mutual information and variance across the members.
#include "results/disagreement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace tutti::images {
namespace {

/// x ln x, with 0 ln 0 = 0, its limit.
double entropy_of(std::span<const double> shares) {
  double sum = 0;
  for (const double share : shares)
    if (share != 0) sum -= share * std::log(share);
  return sum;
}

std::size_t largest_of(std::span<const double> shares) {
  return static_cast<std::size_t>(std::max_element(shares.begin(), shares.end()) - shares.begin());
}

/// `shares` holds one row per member.
DisagreementRow row_of(std::span<const double> shares, std::size_t members, std::size_t classes) {
  std::vector<double> mean(classes);
  double entropies = 0;
  for (std::size_t m = 0; m < members; ++m) {
    const auto row = shares.subspan(m * classes, classes);
    for (std::size_t c = 0; c < classes; ++c) mean[c] += row[c] / static_cast<double>(members);
    entropies += entropy_of(row);
  }
  const std::size_t decided = largest_of(mean);
  double variance = 0;
  std::size_t dissenters = 0;
  for (std::size_t m = 0; m < members; ++m) {
    const auto row = shares.subspan(m * classes, classes);
    for (std::size_t c = 0; c < classes; ++c) variance += (row[c] - mean[c]) * (row[c] - mean[c]);
    dissenters += largest_of(row) == decided ? 0 : 1;
  }
  const auto count = static_cast<double>(members);
  const double entropy = entropy_of(mean);
  // Only rounding can bring it below 0 (Jensen's inequality); a NaN stays NaN.
  const double information = entropy - entropies / count;
  return {static_cast<float>(entropy), static_cast<float>(information < 0 ? 0 : information),
          static_cast<float>(variance / (count * static_cast<double>(classes))),
          static_cast<float>(static_cast<double>(dissenters) / count)};
}

DisagreementRow unknown() {
  DisagreementRow row;
  row.fill(std::numeric_limits<float>::quiet_NaN());
  return row;
}

}  // namespace

DisagreementRow Disagreement::add(std::span<const double> shares, std::size_t members) {
  // The order of NaN is nobody's: a row that holds one says nothing at all.
  const bool known =
      members > 0 && std::none_of(shares.begin(), shares.end(), [](double share) { return std::isnan(share); });
  if (!known) return unknown();
  const DisagreementRow row = row_of(shares, members, shares.size() / members);
  sums_.add(row);
  segment_.add(row);
  return row;
}

void Disagreement::Sums::add(const DisagreementRow& row) {
  ++images;
  for (std::size_t column = 0; column < row.size(); ++column) columns[column].add(static_cast<double>(row[column]));
}

void Disagreement::write_segment(SumWriter& out) const {
  out.count(segment_.images);
  for (const ExactSum& column : segment_.columns) column.write(out);
}

void Disagreement::read_segment(SumReader& in) {
  segment_.images = in.count();
  for (ExactSum& column : segment_.columns) column.read(in);
  sums_.images += segment_.images;
  for (std::size_t column = 0; column < kDisagreementColumns; ++column)
    sums_.columns[column].add(segment_.columns[column]);
}

std::optional<std::array<double, kDisagreementColumns>> Disagreement::means() const {
  if (sums_.images == 0) return std::nullopt;
  std::array<double, kDisagreementColumns> means{};
  for (std::size_t column = 0; column < kDisagreementColumns; ++column)
    means[column] = sums_.columns[column].value() / static_cast<double>(sums_.images);
  return means;
}

}  // namespace tutti::images
