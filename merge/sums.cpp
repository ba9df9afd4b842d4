// Averages, weighted sums and sums of task vectors: one pass over all values.
//   average          sum(x_i) / n                  Izmailov et al. 2018, Wortsman et al. 2022 (uniform soup)
//   weighted         sum(w_i x_i)
//   task_arithmetic  b + s sum(x_i - b)            Ilharco et al. 2023, "Editing models with task arithmetic"
#include <algorithm>

#include "merge/method.hpp"

namespace tutti::merge {
namespace {

template <class Real>
class Average final : public Method<Real> {
 public:
  // A division at the end, since 1 / n would be rounded too.
  void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const override {
    std::ranges::copy(lane.values(tensor.inputs.front(), chunk), out.begin());
    for (std::size_t i = 1; i < tensor.inputs.size(); ++i) {
      const std::span<const Real> values = lane.values(tensor.inputs[i], chunk);
      for (std::size_t j = 0; j < out.size(); ++j) out[j] += values[j];
    }
    const auto count = static_cast<Real>(tensor.inputs.size());
    for (Real& value : out) value /= count;
  }
};

template <class Real>
class Weighted final : public Method<Real> {
 public:
  explicit Weighted(const std::vector<double>& factors) {
    for (const double factor : factors) factors_.push_back(static_cast<Real>(factor));
  }

  void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const override {
    std::ranges::fill(out, Real{0});
    for (std::size_t i = 0; i < tensor.inputs.size(); ++i) {
      const std::span<const Real> values = lane.values(tensor.inputs[i], chunk);
      const Real factor = factors_[i];
      for (std::size_t j = 0; j < out.size(); ++j) out[j] += factor * values[j];
    }
  }

 private:
  std::vector<Real> factors_;
};

template <class Real>
class TaskArithmetic final : public Method<Real> {
 public:
  explicit TaskArithmetic(double scaling) : scaling_(static_cast<Real>(scaling)) {}

  void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const override {
    const std::span<const Real> base = lane.base(*tensor.base, chunk);
    std::ranges::fill(out, Real{0});
    for (const Column& input : tensor.inputs) {
      const std::span<const Real> values = lane.values(input, chunk);
      for (std::size_t j = 0; j < out.size(); ++j) out[j] += values[j] - base[j];
    }
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = base[j] + scaling_ * out[j];
  }

 private:
  Real scaling_;
};

}  // namespace

template <class Real>
std::unique_ptr<Method<Real>> make_average() {
  return std::make_unique<Average<Real>>();
}
template <class Real>
std::unique_ptr<Method<Real>> make_weighted(const std::vector<double>& factors) {
  return std::make_unique<Weighted<Real>>(factors);
}
template <class Real>
std::unique_ptr<Method<Real>> make_task_arithmetic(double scaling) {
  return std::make_unique<TaskArithmetic<Real>>(scaling);
}

template std::unique_ptr<Method<float>> make_average();
template std::unique_ptr<Method<double>> make_average();
template std::unique_ptr<Method<float>> make_weighted(const std::vector<double>&);
template std::unique_ptr<Method<double>> make_weighted(const std::vector<double>&);
template std::unique_ptr<Method<float>> make_task_arithmetic(double);
template std::unique_ptr<Method<double>> make_task_arithmetic(double);

}  // namespace tutti::merge
