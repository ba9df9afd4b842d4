#include "bench/comparison/multiplication.hpp"

#include <fmt/format.h>

#include <exception>
#include <numeric>
#include <thread>

#include "common/thread.hpp"

namespace tutti::bench {
namespace {

constexpr double kSeconds = 0.3;

}  // namespace

std::optional<double> operations_per_image(const ModelKind& model, const ImageShape& shape) {
  double sum = 0;
  if (const auto* cnn = std::get_if<SmallCnnModel>(&model)) {
    const auto convolution = [&](double in, double out, double side) { sum += 2 * 9 * in * out * side * side; };
    convolution(3, 32, 30);
    convolution(32, 64, 13);
    convolution(64, 64, 4);
    return sum + 2 * 1024 * 64 + 2 * 64 * static_cast<double>(cnn->classes);
  }
  if (const auto* mlp = std::get_if<MlpModel>(&model)) {
    auto in = static_cast<double>(shape.elements());
    for (const std::uint32_t out : mlp->layers) {
      sum += 2 * in * out;
      in = out;
    }
    return sum;
  }
  return std::nullopt;
}

std::optional<double> operations_per_image(const config::EnsembleSpec& spec, const ImageShape& shape) {
  double sum = 0;
  for (const config::MemberSpec& member : spec.members) {
    const auto operations = operations_per_image(member.model.kind, shape);
    if (!operations) return std::nullopt;
    sum += *operations;
  }
  return sum;
}

Multipliers::Multipliers(const Field& field, const ImageSet& images) {
  for (std::uint32_t core = 0; core < field.usable_cores; ++core) {
    SingleProcess::Launch launch = single_launch(field, {1, 1, field.spec.batch_images});
    if (field.usable_cores <= field.cores.size()) launch.cores = {field.cores[core]};
    processes_.push_back(std::make_unique<SingleProcess>(fmt::format("matrix multiplication {}", core), launch, images,
                                                         field.departure));
  }
}

double Multipliers::measure() {
  std::vector<double> speeds(processes_.size());
  std::vector<std::exception_ptr> failures(processes_.size());
  std::vector<std::thread> askers;
  for (std::size_t i = 0; i < processes_.size(); ++i)
    askers.push_back(start_thread("tutti-multiply", [&, i] {
      try {
        speeds[i] = processes_[i]->multiply(kSeconds);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }));
  for (std::thread& asker : askers) asker.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return std::accumulate(speeds.begin(), speeds.end(), 0.0);
}

}  // namespace tutti::bench
