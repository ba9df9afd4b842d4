// What all members computed by LibTorch share: samples in, checked outputs out. Not the networks themselves.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/model.hpp"

namespace tutti::worker {

/// Reads each batch in place (or from a private copy, `copy_input`), runs answer(), checks its output, converts other
/// floating types to float32 (and notes it), and applies the activation exactly once if the model outputs logits and
/// probabilities are wanted.
class TorchModel : public Model {
 public:
  Dims output() const final { return known_output().value_or(Dims{}); }
  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) final;
  std::span<const float> probe(const Samples& samples, std::uint32_t count) final;
  std::vector<std::string> notes() const final;
  std::vector<NamedLayout> parts() const final { return parts_; }

 protected:
  /// `output` are the sizes of a prediction, if they are known before the first batch. Throws Error(usage) if `over`
  /// cannot be computed from the request's `output`.
  explicit TorchModel(const MemberRequest& request, std::optional<Dims> output = std::nullopt);

  /// The model's output, [count, ...] on any device, for `batch`: each tensor that the member takes, [count, ...] on
  /// device(). Called in InferenceMode.
  virtual at::Tensor answer(std::span<const at::Tensor> batch) = 0;

  /// What expect_images() does if the model takes images of several sizes.
  void take_images(const ImageShape& shape) { request_.takes.front().seen = shape.layout(); }
  void add_note(std::string note) { notes_.push_back(std::move(note)); }
  /// What answer() joined, if it joined several outputs.
  std::vector<NamedLayout>& joined() { return parts_; }
  const MemberRequest& request() const { return request_; }
  at::Device device() const { return device_; }
  /// The samples `rows` (at least one) of a member that takes one tensor, on device(). Not copied if they are
  /// consecutive and the device is the CPU.
  at::Tensor pick(const Samples& samples, std::span<const std::uint32_t> rows) const;

 private:
  /// One tensor of `count` samples on the CPU, not copied: do not write to it.
  at::Tensor view(const std::byte* begin, const TensorLayout& layout, std::int64_t count) const;
  at::Tensor infer(const Samples& samples, std::uint32_t count, bool warms_up);
  std::string hint_for(const std::string& reason, std::uint32_t count) const;
  void check(const at::Tensor& answer, std::uint32_t count);
  at::Tensor as_float(const at::Tensor& answer);
  std::optional<Dims> known_output() const;
  bool decides() const;
  void note_probabilities(const at::Tensor& answer);
  void check_sums(const at::Tensor& answer) const;
  std::string taken_text() const;

  MemberRequest request_;
  at::Device device_;
  bool activates_;
  std::map<Dims, Dims> outputs_;  ///< the sizes of a prediction, by those of the first tensor
  at::Tensor probed_;
  bool converts_ = false;       ///< and a note says so
  bool probabilities_ = false;  ///< its logits look like probabilities, and a note says so
  std::vector<std::string> notes_;
  std::vector<NamedLayout> parts_;
};

}  // namespace tutti::worker
