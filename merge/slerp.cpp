// Spherical interpolation between two checkpoints, each tensor as one vector (Shoemake 1985; for weights as mergekit's
// slerp does it: the angle is that of the normalized vectors, the vectors themselves are interpolated, and if
// |cos| > 0.9995 the interpolation is linear).
#include <cmath>
#include <utility>

#include "merge/method.hpp"

namespace tutti::merge {
namespace {

constexpr double kColinear = 0.9995;

struct Products {
  double both = 0;    ///< x y
  double first = 0;   ///< x x
  double second = 0;  ///< y y
};

template <class Real>
Products products_of(std::span<const Real> x, std::span<const Real> y) {
  constexpr std::size_t kSums = 8;  // in parallel: each addition to a single sum would wait for the one before
  Products sums[kSums];
  const auto add = [&](std::size_t i, Products& to) {
    const auto a = static_cast<double>(x[i]);
    const auto b = static_cast<double>(y[i]);
    to.both += a * b;
    to.first += a * a;
    to.second += b * b;
  };
  std::size_t i = 0;
  for (; i + kSums <= x.size(); i += kSums)
    for (std::size_t k = 0; k < kSums; ++k) add(i + k, sums[k]);
  for (; i < x.size(); ++i) add(i, sums[0]);
  for (std::size_t k = 1; k < kSums; ++k) {
    sums[0].both += sums[k].both;
    sums[0].first += sums[k].first;
    sums[0].second += sums[k].second;
  }
  return sums[0];
}

/// The factors of the first and the second vector.
std::pair<double, double> factors_of(const Products& products, double t) {
  const double cosine = products.both / std::sqrt(products.first * products.second);
  // NaN if a vector has length 0: linear too.
  if (!(std::fabs(cosine) <= kColinear)) return {1 - t, t};
  const double angle = std::acos(cosine);
  return {std::sin((1 - t) * angle) / std::sin(angle), std::sin(t * angle) / std::sin(angle)};
}

template <class Real>
class Slerp final : public Method<Real> {
 public:
  Slerp(const Workload<Real>& work, double t) {
    std::vector<Products> of_chunks(work.chunks.size());
    work.scan([&](std::size_t index, const Chunk& chunk, Lane<Real>& lane, unsigned) {
      const MergedTensor& tensor = work.tensors[chunk.tensor];
      const std::span<const Real> first = lane.base(tensor.inputs[0], chunk);
      of_chunks[index] = products_of<Real>(first, lane.values(tensor.inputs[1], chunk));
    });
    // In the order of the chunks, so that the sums do not depend on the threads.
    std::vector<Products> of_tensors(work.tensors.size());
    for (std::size_t i = 0; i < of_chunks.size(); ++i) {
      Products& sums = of_tensors[work.chunks[i].tensor];
      sums.both += of_chunks[i].both;
      sums.first += of_chunks[i].first;
      sums.second += of_chunks[i].second;
    }
    for (const Products& sums : of_tensors) {
      const auto [first, second] = factors_of(sums, t);
      factors_.emplace_back(static_cast<Real>(first), static_cast<Real>(second));
    }
  }

  void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const override {
    const auto [a, b] = factors_[chunk.tensor];
    const std::span<const Real> first = lane.base(tensor.inputs[0], chunk);
    const std::span<const Real> second = lane.values(tensor.inputs[1], chunk);
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = a * first[j] + b * second[j];
  }

 private:
  std::vector<std::pair<Real, Real>> factors_;  ///< by tensor
};

}  // namespace

template <class Real>
std::unique_ptr<Method<Real>> make_slerp(const Workload<Real>& work, double t) {
  return std::make_unique<Slerp<Real>>(work, t);
}

template std::unique_ptr<Method<float>> make_slerp(const Workload<float>&, double);
template std::unique_ptr<Method<double>> make_slerp(const Workload<double>&, double);

}  // namespace tutti::merge
