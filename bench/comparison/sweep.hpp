// The comparison over a grid: at which points the pool wins and at which one graph does. A coarse look with few repeats
// at many points; measure interesting points again with the comparison itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/comparison/contestant.hpp"
#include "bench/rows.hpp"

namespace tutti::bench {

/// One place of the grid.
struct Point {
  std::uint32_t members = 0;
  std::uint32_t batch_images = 0;
  std::uint32_t segment_images = 0;
  std::uint32_t cores = 0;
  std::optional<std::uint64_t>
      fake_us;  ///< microseconds that a member sleeps per batch; nothing: the description's first model
  friend bool operator==(const Point&, const Point&) = default;
};

/// Starting from the description's batch, segment and cores, one condition changes at a time: members 1 to 8, batch,
/// segment, cores; and members of fixed cost, by number of members and by segment. Each point once.
std::vector<Point> sweep_points(const Point& base);

/// Images per second of the strategies that can run the members.
using Speeds = std::map<Contender, double>;
struct Verdict {
  Contender winner{};
  double lead = 1;  ///< its speed over that of the second; 1 if it is alone
};
/// `speeds` must not be empty.
Verdict judge(const Speeds& speeds);

/// Measures point by point until all are done or the time is up. Prints a line for each, and a summary of the points at
/// which each strategy won. Each strategy and point becomes a row. Throws Error.
void sweep(const Field& field, const ImageSet& images, std::chrono::seconds time, Reporter& out);

}  // namespace tutti::bench
