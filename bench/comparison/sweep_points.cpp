// The points of a sweep, and the winner at a point. Pure.
#include <algorithm>

#include "bench/comparison/sweep.hpp"

namespace tutti::bench {
namespace {

class Grid {
 public:
  explicit Grid(const Point& base) : base_(base) { add(base); }

  template <class Field>
  void vary(Field Point::*field, std::initializer_list<Field> values) {
    for (const Field& value : values) {
      Point point = base_;
      point.*field = value;
      add(point);
    }
  }
  void add(const Point& point) {
    if (std::find(points_.begin(), points_.end(), point) == points_.end()) points_.push_back(point);
  }
  std::vector<Point> take() { return std::move(points_); }

 private:
  Point base_;
  std::vector<Point> points_;
};

}  // namespace

std::vector<Point> sweep_points(const Point& base) {
  Grid grid(base);
  grid.vary(&Point::members, {1U, 2U, 4U, 8U});
  grid.vary(&Point::batch_images, {4U, 20U, 100U});
  grid.vary(&Point::segment_images, {50U, 200U, 500U});
  for (std::uint32_t cores = 1; cores < base.cores; cores *= 2) grid.vary(&Point::cores, {cores});
  for (const std::uint64_t cost : {0U, 100U, 1000U, 10000U}) {
    for (const std::uint32_t members : {1U, 4U, 8U}) {
      Point point = base;
      point.members = members;
      point.fake_us = cost;
      grid.add(point);
    }
  }
  Point small = base;
  small.segment_images = 50;
  small.fake_us = 0;
  grid.add(small);
  return grid.take();
}

Verdict judge(const Speeds& speeds) {
  const auto slower = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto best = std::max_element(speeds.begin(), speeds.end(), slower);
  Speeds others = speeds;
  others.erase(best->first);
  const auto second = std::max_element(others.begin(), others.end(), slower);
  return {best->first, second == others.end() ? 1 : best->second / second->second};
}

}  // namespace tutti::bench
