#include "worker/torch/clip_vit.hpp"

#include <ATen/ops/empty.h>

#include <optional>

#include "worker/clip_file.hpp"
#include "worker/torch/clip_tower.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

class ClipVit final : public TorchModel {
 public:
  explicit ClipVit(const MemberRequest& request) : ClipVit(request, clip_file_of(request)) {}

  std::uint64_t parameters() const override { return tower_.parameters(); }

 private:
  ClipVit(const MemberRequest& request, const ClipFile& file)
      : TorchModel(request),
        projected_(file.projected()),
        tower_(file, device()),
        head_(clip_head_of(request, file.config())) {}

  at::Tensor answer(std::span<const at::Tensor> batch) override {
    const at::Tensor computed = tower_.compute(batch.front());
    if (projected_) return tower_.projected(computed);
    return head_ ? logits(computed.to(at::kCPU).contiguous()) : computed;
  }

  at::Tensor logits(const at::Tensor& features) const {
    const auto count = static_cast<std::uint32_t>(features.size(0));
    at::Tensor result = at::empty({features.size(0), head_->classes()}, at::kFloat);
    head_->apply({features.const_data_ptr<float>(), static_cast<std::size_t>(features.numel())}, count,
                 {result.mutable_data_ptr<float>(), static_cast<std::size_t>(result.numel())});
    return result;
  }

  bool projected_;
  ClipTower tower_;
  std::optional<merge::Head> head_;
};

}  // namespace

std::unique_ptr<Model> make_clip_vit(const MemberRequest& request) { return std::make_unique<ClipVit>(request); }

}  // namespace tutti::worker
