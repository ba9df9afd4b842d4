// What all members computed by LibTorch share: images in, checked outputs out. Not the networks themselves.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/model.hpp"

namespace tutti::worker {

/// Reads each batch in place (or from a private copy, `copy_input`), runs answer(), checks its output, converts other
/// floating types to float32 (and notes it), and applies the softmax exactly once if the model outputs logits and
/// probabilities are wanted.
class TorchModel : public Model {
 public:
  std::uint32_t width() const final { return width_; }
  void predict(const float* images, std::uint32_t count, std::span<float> output) final;
  std::span<const float> probe(const float* images, std::uint32_t count) final;
  std::vector<std::string> notes() const final { return notes_; }

 protected:
  /// `width` is 0 if it is known only after the first batch. Throws Error(usage) if `over` cannot be computed from
  /// `output`.
  TorchModel(const MemberRequest& request, std::uint32_t width);

  /// The model's output, [count, width] on any device, for `batch`, [count, channels, height, width] on device().
  /// Called in InferenceMode.
  virtual at::Tensor answer(const at::Tensor& batch) = 0;

  void add_note(std::string note) { notes_.push_back(std::move(note)); }
  const MemberRequest& request() const { return request_; }
  at::Device device() const { return device_; }
  /// The memory of `count` images as a tensor on the CPU, not copied: do not write to it.
  at::Tensor view(const float* images, std::int64_t count) const;
  /// The images at `rows` (at least one) on device(). Not copied if they are consecutive and the device is the CPU.
  at::Tensor pick_images(const float* images, std::span<const std::uint32_t> rows) const;

 private:
  at::Tensor infer(const float* images, std::uint32_t count, bool warms_up);
  void check(const at::Tensor& answer, std::uint32_t count);
  at::Tensor as_float(const at::Tensor& answer);

  MemberRequest request_;
  at::Device device_;
  bool softmax_;
  std::uint32_t width_;
  at::Tensor probed_;
  bool converts_ = false;  ///< and a note says so
  std::vector<std::string> notes_;
};

}  // namespace tutti::worker
