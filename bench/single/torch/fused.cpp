// The equal small-cnns or mlps of a job as one network, in one process: see fused_network.hpp. This file is for the
// CPU; on a GPU the network is recorded: recorded.hpp.
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <memory>

#include <tutti/error.hpp>

#include "bench/single/torch/networks.hpp"
#include "bench/single/torch/recorded.hpp"
#include "worker/torch/fused_network.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::bench {
namespace {

using worker::Network;

void check_equal(const SingleJob& job) {
  const MemberRequest& first = job.members.front();
  const std::string_view what = "members that are not equal cannot be fused";
  const std::string_view hint = "use 'branches', or members of one kind with the same layers";
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
        const at::Tensor all = compute(images_(input, batch));
        for (std::size_t m = 0; m < answers.size(); ++m) keep(all.select(0, std::int64_t(m)), batch, answers[m]);
      });
    });
    return {};
  }

 private:
  Fused(const SingleJob& job, const std::vector<Network>& networks)
      : images_(job),
        width_(common_classes(job, networks)),
        batch_images_(common_batch(job)),
        softmax_(wants_softmax(job.members.front())),
        network_(networks) {
    const c10::InferenceMode guard;
    network_.pack(job.members.front().seen(), batch_images_);
    warm_up_with(job.members.front(), [&](const at::Tensor& images) { compute(images); });
  }

  at::Tensor compute(const at::Tensor& images) const {
    const at::Tensor logits = network_(images);
    return softmax_ ? at::softmax(logits, 2) : logits;
  }

  CommonImages images_;
  std::uint32_t width_;
  std::uint32_t batch_images_;
  bool softmax_;
  worker::FusedNetwork network_;
};

}  // namespace

std::unique_ptr<Computation> make_fused(const SingleJob& job) {
  check_equal(job);
  if (on_gpu(job)) return make_recorded_fused(job, graphs_of_gpu());
  return worker::explained(ErrorKind::failed, "LibTorch could not fuse the members", "",
                           [&] { return std::make_unique<Fused>(job); });
}

}  // namespace tutti::bench
