// What members that only predict share.
#pragma once

#include <string_view>

#include "worker/torch/torch_model.hpp"

namespace tutti::worker {

/// Throws Error(usage) for every call that trains or saves.
class AnsweringModel : public TorchModel {
 public:
  void begin_training() final { refuse("trained"); }
  TrainBatch train(const float*, std::span<const std::int64_t>, std::span<const std::uint32_t>) final {
    refuse("trained");
  }
  void save(const std::filesystem::path&) final { refuse("saved"); }
  void lend_state(const std::function<void(std::span<const merge::TensorView>)>&) final { refuse("trained"); }
  void take_state(const merge::Safetensors&) final { refuse("trained"); }

 protected:
  /// The width is known after the first batch.
  explicit AnsweringModel(const MemberRequest& request) : TorchModel(request, 0) {}

 private:
  [[noreturn]] void refuse(std::string_view what) const;
};

}  // namespace tutti::worker
