// Dynamic programming over the first layers and the first parts: once for the weight of the heaviest part, and once for
// the squares of all parts that are not heavier than that.
#include "config/balanced_cut.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/check.hpp"

namespace tutti::config {
namespace {

/// The best cuts of the first layers into the first parts, by a cost of parts that `add` puts together.
class CutSearch {
 public:
  CutSearch(std::span<const std::uint64_t> weights, std::size_t parts)
      : layers_(weights.size()), parts_(parts), sums_(layers_ + 1) {
    std::inclusive_scan(weights.begin(), weights.end(), sums_.begin() + 1);
  }

  /// `add`: the cost of parts and one more, of this weight. Returns that of all.
  template <class Add>
  double search(Add add) {
    constexpr double kNone = std::numeric_limits<double>::infinity();
    costs_.assign(parts_ + 1, std::vector<double>(layers_ + 1, kNone));
    begins_.assign(parts_ + 1, std::vector<std::size_t>(layers_ + 1));
    costs_[0][0] = 0;
    for (std::size_t part = 1; part <= parts_; ++part)
      for (std::size_t end = part; end <= layers_; ++end)
        for (std::size_t begin = part - 1; begin < end; ++begin) {
          const double cost = add(costs_[part - 1][begin], static_cast<double>(sums_[end] - sums_[begin]));
          if (cost >= costs_[part][end]) continue;
          costs_[part][end] = cost;
          begins_[part][end] = begin;
        }
    return costs_[parts_][layers_];
  }

  std::vector<std::uint32_t> cuts() const {
    std::vector<std::uint32_t> found;
    for (std::size_t part = parts_, end = layers_; part > 1; --part) {
      end = begins_[part][end];
      found.push_back(static_cast<std::uint32_t>(end));
    }
    std::ranges::reverse(found);
    return found;
  }

 private:
  std::size_t layers_;
  std::size_t parts_;
  std::vector<std::uint64_t> sums_;  ///< of the layers before each
  std::vector<std::vector<double>> costs_;
  std::vector<std::vector<std::size_t>> begins_;  ///< of the last part
};

}  // namespace

std::vector<std::uint32_t> balanced_cut(std::span<const std::uint64_t> weights, std::size_t parts) {
  TUTTI_CHECK(parts >= 1, "a network has parts");
  TUTTI_CHECK(parts <= weights.size(), "each part has a layer");
  CutSearch cutting(weights, parts);
  const double heaviest = cutting.search([](double before, double weight) { return std::max(before, weight); });
  cutting.search([heaviest](double before, double weight) {
    return weight > heaviest ? std::numeric_limits<double>::infinity() : before + weight * weight;
  });
  return cutting.cuts();
}

}  // namespace tutti::config
