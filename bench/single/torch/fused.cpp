// Equal members as one network, which does for all of them at once what each would do alone. The strongest rival to
// running members side by side where they are small and equal; no other members can be computed so.
//
//   first convolution   all members read the same images: weights stacked along the output channels, one convolution
//   later convolutions  grouped, one group for each member: member m reads and writes its own channels
//   first dense layer   without convolutions before it: stacked along the outputs, one matrix product
//   other dense layers  one batched matrix product, [members, count, in] x [members, in, out] plus the biases
//
// The convolutions' weights are in oneDNN's blocked layout, as in the members' own. Sums run in another order than
// there, so that the last bits differ: kTolerance of bench/protocol.hpp.
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/mkldnn_reorder_conv2d_weight.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <memory>
#include <optional>

#include <tutti/error.hpp>

#include "bench/single/torch/networks.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::bench {
namespace {

using worker::Network;

constexpr std::int64_t kKernel = 3;

/// The same layer of all members.
template <class Layer>
struct Stacked {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> biases;
};
template <class Layer>
Stacked<Layer> layer_of(const std::vector<Network>& members, std::vector<Layer> Network::*layers, std::size_t index) {
  Stacked<Layer> all;
  for (const Network& member : members) {
    all.weights.push_back((member.*layers)[index].weight.detach());
    all.biases.push_back((member.*layers)[index].bias.detach());
  }
  return all;
}

struct FusedConvolution {
  at::Tensor weight;  ///< [members * out, in, 3, 3], blocked
  at::Tensor bias;    ///< [members * out]
  std::int64_t groups = 1;
  bool pool = false;
};
struct FusedDense {
  at::Tensor weight;  ///< [members, in, out]
  at::Tensor bias;    ///< [members, 1, out]
};

class FusedNetwork {
 public:
  FusedNetwork(const std::vector<Network>& members, const ImageShape& shape, std::int64_t batch)
      : members_(std::ssize(members)) {
    stack_convolutions(members, shape, batch);
    const std::size_t layers = members.front().dense.size();
    for (std::size_t i = 0; i < layers; ++i) {
      const auto all = layer_of(members, &Network::dense, i);
      if (i == 0 && convolutions_.empty())
        first_dense_.emplace(worker::Dense{at::cat(all.weights), at::cat(all.biases)});
      else
        dense_.push_back({at::stack(all.weights).transpose(1, 2).contiguous(), at::stack(all.biases).unsqueeze(1)});
    }
  }

  /// Logits [members, count, classes] for `images` [count, channels, height, width].
  at::Tensor operator()(const at::Tensor& images) const {
    const std::int64_t count = images.size(0);
    at::Tensor x;
    if (first_dense_) {
      x = at::linear(images.flatten(1), first_dense_->weight, first_dense_->bias);
      if (!dense_.empty()) x.relu_();
    } else {
      x = images.to_mkldnn();
      for (const FusedConvolution& layer : convolutions_) x = convolve(layer, x);
      x = x.to_dense();
    }
    x = x.reshape({count, members_, -1}).transpose(0, 1);
    for (std::size_t i = 0; i < dense_.size(); ++i) {
      x = at::baddbmm(dense_[i].bias, x, dense_[i].weight);
      if (i + 1 < dense_.size()) x.relu_();
    }
    return x;
  }

 private:
  void stack_convolutions(const std::vector<Network>& members, const ImageShape& shape, std::int64_t batch) {
    std::int64_t height = shape.height;
    std::int64_t width = shape.width;
    for (std::size_t i = 0; i < members.front().convolutions.size(); ++i) {
      const auto all = layer_of(members, &Network::convolutions, i);
      const std::int64_t groups = i == 0 ? 1 : members_;
      const bool pool = members.front().convolutions[i].pool;
      const at::Tensor weight = at::cat(all.weights);
      const std::vector<std::int64_t> input{batch, weight.size(1) * groups, height, width};
      convolutions_.push_back({at::mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), {0, 0}, {1, 1}, {1, 1}, groups,
                                                                at::OptionalIntArrayRef(input)),
                               at::cat(all.biases).to_mkldnn(), groups, pool});
      height = (height - kKernel + 1) / (pool ? 2 : 1);
      width = (width - kKernel + 1) / (pool ? 2 : 1);
    }
  }

  static at::Tensor convolve(const FusedConvolution& layer, const at::Tensor& x) {
    const at::Tensor y = at::mkldnn_convolution(x, layer.weight, layer.bias, {0, 0}, {1, 1}, {1, 1}, layer.groups);
    y.relu_();
    return layer.pool ? at::max_pool2d(y, {2, 2}) : y;
  }

  std::int64_t members_;
  std::vector<FusedConvolution> convolutions_;
  std::optional<worker::Dense> first_dense_;  // [members * out, in], [members * out]
  std::vector<FusedDense> dense_;
};

void check_equal(const SingleJob& job) {
  const MemberRequest& first = job.members.front();
  const std::string_view what = "members that are not equal cannot be fused";
  const std::string_view hint = "take 'branches', or members of one kind with the same layers";
  if (!are_networks(job))
    throw Error(ErrorKind::failed, std::string(what), "only members of the kind small-cnn or mlp can",
                std::string(hint));
  for (const MemberRequest& member : job.members)
    if (member.model != first.model)
      throw Error(ErrorKind::failed, std::string(what),
                  fmt::format("'{}' is another network than '{}'", member.name, first.name), std::string(hint));
}

class Fused final : public Computation {
 public:
  explicit Fused(const SingleJob& job) : Fused(job, load_networks(job)) {}

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    const c10::InferenceMode guard;
    for_each_segment(input, [&](const Run& segment) {
      for_each_batch(segment, batch_images_, [&](const Run& batch) {
        const at::Tensor all = compute(view(input, batch));
        for (std::size_t m = 0; m < answers.size(); ++m) keep(all.select(0, std::int64_t(m)), batch, answers[m]);
      });
    });
    return {};
  }

 private:
  Fused(const SingleJob& job, const std::vector<Network>& networks)
      : width_(common_classes(job, networks)),
        batch_images_(common_batch(job)),
        softmax_(wants_softmax(job.members.front())),
        network_(networks, job.members.front().shape, batch_images_) {
    const c10::InferenceMode guard;
    warm_up_with(job.members.front(), [&](const at::Tensor& images) { compute(images); });
  }

  at::Tensor compute(const at::Tensor& images) const {
    const at::Tensor logits = network_(images);
    return softmax_ ? at::softmax(logits, 2) : logits;
  }

  std::uint32_t width_;
  std::uint32_t batch_images_;
  bool softmax_;
  FusedNetwork network_;
};

}  // namespace

std::unique_ptr<Computation> make_fused(const SingleJob& job) {
  check_equal(job);
  return worker::explained(ErrorKind::failed, "LibTorch could not fuse the members", "",
                           [&] { return std::make_unique<Fused>(job); });
}

}  // namespace tutti::bench
