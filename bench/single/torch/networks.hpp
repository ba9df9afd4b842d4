// What the one-graph strategies share: the members' networks without the model around each, batches in as tensors, and
// outputs. LibTorch, only on the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "bench/single/computation.hpp"
#include "worker/preprocess.hpp"
#include "worker/torch/network.hpp"

namespace tutti::bench {

/// Whether every member is a small-cnn or an mlp, whose operations can be in a common graph.
bool are_networks(const SingleJob& job);

/// Whether the members are on a GPU. Throws Error(failed) if some are and some are not.
bool on_gpu(const SingleJob& job);

/// Sets LibTorch up for the process (job.between threads between operations) and loads the members' networks on the
/// CPU, not packed. Throws Error(failed) if not are_networks(), if some members need logits and others probabilities,
/// or one needs neither; and what loading throws.
std::vector<worker::Network> load_networks(const SingleJob& job);

/// Whether a network's logits become probabilities.
bool wants_softmax(const MemberRequest& request);

/// Classes of every network. Throws Error(failed) if they differ.
std::uint32_t common_classes(const SingleJob& job, const std::vector<worker::Network>& networks);

/// The batch of all members. Throws Error(failed) if they differ: a graph takes one batch at a time.
std::uint32_t common_batch(const SingleJob& job);

/// Batches as all members see them: one graph has one input.
class CommonImages {
 public:
  /// Throws Error(failed) if the members' `input` differ.
  explicit CommonImages(const SingleJob& job);
  /// In place if the members take the images unchanged; valid until the next call. Do not write to it.
  at::Tensor operator()(const Input& input, const Run& batch);

 private:
  ImageShape shape_;
  worker::Preprocess preprocess_;
};

/// Whether all members see the same images.
bool see_the_same(const SingleJob& job);

/// Copies `answer`, float32 [count, width] of any strides, into `all`, the member's predictions for all images.
void keep(const at::Tensor& answer, const Run& batch, std::vector<float>& all);

/// Made-up images for the request.
at::Tensor made_up(const MemberRequest& request, std::uint32_t count);

/// Calls `compute` with made-up batches of each size that will occur, as often as a worker's warm-up.
void warm_up_with(const MemberRequest& request, const std::function<void(const at::Tensor&)>& compute);

}  // namespace tutti::bench
