#include "worker/torch/clip_vit.hpp"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <optional>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "merge/head.hpp"
#include "worker/torch/clip_tower.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

const ClipVitModel& tower_model_of(const MemberRequest& request) { return std::get<ClipVitModel>(request.model); }

ClipConfig config_for(const MemberRequest& request) {
  const ClipConfig config = merge::read_clip_config(tower_model_of(request).path);
  const ImageShape shape = images_of(request);
  if (shape.channels == config.channels && shape.height == config.image && shape.width == config.image) return config;
  throw Error(ErrorKind::usage,
              fmt::format("the tower in '{}' takes images of {}x{}x{}, not {}", tower_model_of(request).path,
                          config.channels, config.image, config.image, shape.text()),
              {}, "resize them: 'input' at this member, or of the whole");
}

std::filesystem::path weights_of(const MemberRequest& request) {
  return request.weights.empty() ? tower_model_of(request).path : request.weights;
}

class ClipVit final : public TorchModel {
 public:
  explicit ClipVit(const MemberRequest& request)
      : TorchModel(request),
        output_(tower_model_of(request).output),
        config_(config_for(request)),
        tower_(config_, weights_of(request), output_ == ClipOutput::projected, device()) {
    if (request.output != kind_of(output_))
      throw Error(ErrorKind::usage,
                  fmt::format("a clip-vit with 'output: {}' outputs {}, not {}", to_name(output_),
                              to_name(kind_of(output_)), to_name(request.output)),
                  {}, "remove 'output' from this member; it belongs in its 'model'");
    if (output_ == ClipOutput::logits) head_.emplace(read_head());
  }

  std::uint64_t parameters() const override { return tower_.parameters(); }

 private:
  merge::Head read_head() const {
    merge::Head head = merge::Head::read(tower_model_of(request()).head);
    if (head.features() != static_cast<std::uint64_t>(config_.hidden))
      throw Error(ErrorKind::usage,
                  fmt::format("the head '{}' takes {}, but the tower in '{}' outputs {}", head.file().string(),
                              counted(head.features(), "feature"), tower_model_of(request()).path, config_.hidden),
                  head.tower().empty() ? "" : fmt::format("it was made with {}", head.tower()),
                  "make the head for this tower, with its projection");
    return head;
  }

  at::Tensor answer(std::span<const at::Tensor> batch) override {
    const at::Tensor pooled = tower_.pooled(batch.front());
    if (output_ == ClipOutput::projected) return tower_.projected(pooled);
    return head_ ? logits(pooled.to(at::kCPU).contiguous()) : pooled;
  }

  at::Tensor logits(const at::Tensor& features) const {
    const auto count = static_cast<std::uint32_t>(features.size(0));
    at::Tensor result = at::empty({features.size(0), head_->classes()}, at::kFloat);
    head_->apply({features.const_data_ptr<float>(), static_cast<std::size_t>(features.numel())}, count,
                 {result.mutable_data_ptr<float>(), static_cast<std::size_t>(result.numel())});
    return result;
  }

  ClipOutput output_;
  ClipConfig config_;
  ClipTower tower_;
  std::optional<merge::Head> head_;
};

}  // namespace

std::unique_ptr<Model> make_clip_vit(const MemberRequest& request) { return std::make_unique<ClipVit>(request); }

}  // namespace tutti::worker
