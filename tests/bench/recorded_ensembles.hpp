// Ensembles for the strategies that are recorded on a GPU, and what their members predict by themselves on the CPU. For
// tests only.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bench/single/torch/recorded.hpp"
#include "tests/torch/requests.hpp"
#include "worker/torch/models.hpp"

namespace tutti::bench::recorded {

/// Three members of one kind; `others` are the sizes of batches that are prepared besides `batch`.
inline SingleJob job_of(Strategy strategy, const ModelKind& kind, std::uint32_t batch,
                        std::vector<std::uint32_t> others) {
  SingleJob job;
  job.strategy = strategy;
  for (std::uint32_t m = 0; m < 3; ++m) {
    MemberRequest request = test::request_for(kind, m);
    request.name = fmt::format("m{}", m);
    request.batch_images = batch;
    request.warm_up_batches = others;
    job.members.push_back(request);
  }
  return job;
}

inline constexpr std::uint32_t kImages =
    23;  // segments of 10, 10 and 3; with batches of 4 they are cut into 4, 4, 2 and 3
inline const std::vector<float>& pixels() {
  static const std::vector<float> values = test::some_images(kImages);
  return values;
}
inline Input input() { return {{Dtype::float32, std::as_bytes(std::span(pixels())), {}, {}}, {}, kImages, 10}; }

inline MemberAnswers answers_of(Computation& computation) {
  MemberAnswers answers(3, std::vector<float>(kImages * computation.width(), -1.0F));
  computation.predict(input(), answers);
  return answers;
}

/// What each member answers alone.
inline MemberAnswers expected(const SingleJob& job) {
  MemberAnswers all;
  for (const MemberRequest& request : job.members)
    all.push_back(test::answers(*worker::make_torch_model(request), pixels(), kImages, request.batch_images));
  return all;
}

/// Relative to values above 1.
inline float worst_difference(const MemberAnswers& found, const MemberAnswers& wanted) {
  float worst = 0;
  REQUIRE(found.size() == wanted.size());
  for (std::size_t m = 0; m < found.size(); ++m) {
    REQUIRE(found[m].size() == wanted[m].size());
    for (std::size_t i = 0; i < found[m].size(); ++i)
      worst = std::max(worst, std::abs(found[m][i] - wanted[m][i]) / (1 + std::abs(wanted[m][i])));
  }
  return worst;
}

inline std::unique_ptr<Computation> made(const SingleJob& job, const GraphDevice& device) {
  return job.strategy == Strategy::fused ? make_recorded_fused(job, device) : make_recorded_branches(job, device);
}

}  // namespace tutti::bench::recorded
