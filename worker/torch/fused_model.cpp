#include "worker/torch/fused_model.hpp"

#include <fmt/format.h>

#include <cassert>
#include <optional>
#include <vector>

#include <tutti/error.hpp>

#include "common/check.hpp"
#include "worker/torch/fused_network.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

void check_equal(std::span<const MemberRequest> requests) {
  const MemberRequest& first = requests.front();
  const auto refuse = [&](const MemberRequest& other, const char* why) {
    throw Error(ErrorKind::usage, fmt::format("members '{}' and '{}' cannot be fused", first.name, other.name), why,
                "use 'mode: loop' or 'mode: threads' for their worker");
  };
  for (const MemberRequest& member : requests) {
    if (!facts_of(member.model).fusable) refuse(member, "only members of the kind small-cnn or mlp can");
    if (member.model != first.model) refuse(member, "they are different networks");
    if (member.takes != first.takes || !member.views.empty() || !first.views.empty())
      refuse(member, "they see different samples, or views of them");
    if (member.output != OutputKind::logits) refuse(member, "both must output logits");
  }
}

/// As the outputs of the fused model lie: the classes come after the members.
MemberRequest fused_request(std::span<const MemberRequest> requests) {
  check_equal(requests);
  MemberRequest request = requests.front();
  request.axis = 2;
  return request;
}

class FusedModel final : public TorchModel {
 public:
  explicit FusedModel(std::span<const MemberRequest> requests)
      : TorchModel(fused_request(requests),
                   Dims{static_cast<std::uint32_t>(requests.size()), facts_of(requests.front().model).width}),
        network_(networks_of(requests)),
        batch_images_(requests.front().batch_images) {
    for (const auto& [name, tensor] : named_tensors(make_network(requests.front())))
      parameters_ += static_cast<std::uint64_t>(tensor.numel()) * requests.size();
  }

  std::uint64_t parameters() const override { return parameters_; }

  void expect_batches(std::uint32_t images) override {
    batch_images_ = images;
    packed_.reset();
  }

 private:
  std::vector<Network> networks_of(std::span<const MemberRequest> requests) const {
    std::vector<Network> networks;
    for (const MemberRequest& request : requests) networks.push_back(moved(make_network(request), device()));
    return networks;
  }

  at::Tensor answer(std::span<const at::Tensor> batch) override {
    if (!packed_) {
      packed_ = network_;
      packed_->pack(request().seen(), batch_images_);
    }
    return (*packed_)(batch.front()).transpose(0, 1);
  }

  FusedNetwork network_;
  std::uint32_t batch_images_;          // expected per batch
  std::optional<FusedNetwork> packed_;  // empty after a change of the batch
  std::uint64_t parameters_ = 0;
};

}  // namespace

std::unique_ptr<Model> make_fused_model(std::span<const MemberRequest> requests) {
  TUTTI_CHECK(!requests.empty());
  return explained(ErrorKind::failed, "LibTorch could not load fused members", "", [&] {
    set_up_torch(requests.front().threads);
    return std::make_unique<FusedModel>(requests);
  });
}

}  // namespace tutti::worker
