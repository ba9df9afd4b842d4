// What the one-graph strategies share: the members' networks without the model around each, batches as tensors in,
// answers out. LibTorch, on the CPU alone.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "bench/single/computation.hpp"
#include "worker/torch/network.hpp"

namespace tutti::bench {

/// Whether every member is a small-cnn or an mlp, whose operations can stand in a common graph.
bool are_networks(const SingleJob& job);

/// Whether the members are on a GPU. Throws Error(failed) if some are and some are not.
bool on_gpu(const SingleJob& job);

/// Sets LibTorch up for the process (job.between threads between operations) and loads the members' networks, as they
/// are: on the CPU, not packed. Throws Error(failed) if not are_networks(), if members want different things of
/// their logits, or neither logits nor probabilities; and what loading throws.
std::vector<worker::Network> load_networks(const SingleJob& job);

/// Whether a network's logits become probabilities.
bool wants_softmax(const MemberRequest& request);

/// Classes of every network's answer. Throws Error(failed) if they differ.
std::uint32_t common_classes(const SingleJob& job, const std::vector<worker::Network>& networks);

/// The batch of all members. Throws Error(failed) if they differ: a graph is given one batch at a time.
std::uint32_t common_batch(const SingleJob& job);

/// The batch where it lies: not to be written to.
at::Tensor view(const Input& input, const Run& batch);

/// Copies `answer`, float32 [count, width] of any strides, into `all`, the member's answers to all images.
void keep(const at::Tensor& answer, const Run& batch, std::vector<float>& all);

/// Made-up images, as the request wants them.
at::Tensor made_up(const MemberRequest& request, std::uint32_t count);

/// Calls `compute` with made-up batches of each size that will occur, as often as a worker does in its warm-up.
void warm_up_with(const MemberRequest& request, const std::function<void(const at::Tensor&)>& compute);

}  // namespace tutti::bench
