#include "config/violations.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti::config {

std::string SourcePosition::text() const { return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column); }

void Violations::add(const SourcePosition& position, std::string text) {
  std::size_t rank = all_.size();
  if (position.line == 0) rank = std::numeric_limits<std::size_t>::max();
  // Search from the back: the previous violation is nearly always in the same file, and there may be very many.
  const auto earlier = std::find_if(all_.rbegin(), all_.rend(),
                                    [&](const Violation& one) { return one.position.file == position.file; });
  if (earlier != all_.rend()) rank = earlier->file_rank;
  all_.push_back({position, rank, std::move(text)});
}

bool Violations::has(const SourcePosition& position) const {
  return std::ranges::any_of(all_, [&](const Violation& one) { return one.position.text() == position.text(); });
}

void Violations::add_all(const Violations& other, const SourcePosition& position) {
  for (const Violation& one : other.all_) add(position, one.text);
}

void Violations::raise(std::string_view file) const {
  if (all_.empty()) return;
  const auto line_of = [](const Violation& one) { return fmt::format("{}: {}", one.position.text(), one.text); };
  // What is written once and holds for several members is reported once.
  std::vector<Violation> sorted;
  std::set<std::string> lines;
  for (const Violation& one : all_)
    if (lines.insert(line_of(one)).second) sorted.push_back(one);
  if (sorted.size() == 1) throw Error(ErrorKind::usage, line_of(sorted.front()));
  const auto order = [](const Violation& one) {
    return std::tuple(one.file_rank, one.position.line, one.position.column);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Violation& a, const Violation& b) { return order(a) < order(b); });
  std::string detail;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMaxListed); ++i)
    detail += fmt::format("{}{}", i == 0 ? "" : "\n", line_of(sorted[i]));
  if (sorted.size() > kMaxListed) detail += fmt::format("\nand {} more", sorted.size() - kMaxListed);
  throw Error(ErrorKind::usage, fmt::format("cannot use {}: {} problems", file, sorted.size()), detail);
}

}  // namespace tutti::config
