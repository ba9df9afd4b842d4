// Estimates the BatchNorm statistics of a merged model over images, as an epoch of training in a worker of the pool. So
// images are streamed, and a worker that dies is replaced without changing a bit of the result. The worker knows how to
// compute the statistics of a layer (worker/torch/statistics_graph.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include <tutti/images.hpp>

#include "config/spec.hpp"
#include "evaluation/merge/merge_watcher.hpp"
#include "merge/safetensors.hpp"

namespace tutti {

struct Statistics {
  merge::Safetensors tensors;  ///< running_mean, running_var and num_batches_tracked of every layer
  std::uint64_t images = 0;
  std::uint64_t batches = 0;  ///< all count equally, even the last one, which may be shorter
  std::uint32_t batch_images = 0;
  double seconds = 0;
};

class StatisticsEstimation {
 public:
  /// Opens the images of `merge.input`; labels are ignored. `spec`, whose `merge` says batch_norm: estimate, and
  /// `watcher` outlive it. Throws Error(usage) if there are no images.
  StatisticsEstimation(const config::EnsembleSpec& spec, std::filesystem::path worker, MergeWatcher& watcher);

  /// Estimates the statistics of a model with the first merged member's architecture and these weights. `folder` holds
  /// the worker's result for a moment. Throws Error if the worker fails, or if it was given up.
  Statistics operator()(const std::filesystem::path& weights, const std::filesystem::path& folder);

 private:
  config::EnsembleSpec alone(const std::filesystem::path& weights, const std::filesystem::path& result) const;

  const config::EnsembleSpec& spec_;
  const std::filesystem::path worker_;
  MergeWatcher& watcher_;
  const std::unique_ptr<Source> source_;
};

}  // namespace tutti
