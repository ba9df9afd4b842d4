// CLIP's vision tower: weights from a checkpoint, and the forward pass. A. Radford et al., "Learning Transferable
// Visual Models From Natural Language Supervision", 2021, in the form of transformers' CLIPVisionModel. It only
// predicts.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/clip_file.hpp"
#include "worker/torch/packed_linear.hpp"

namespace tutti::worker {

class ClipTower {
 public:
  /// Reads the weights tensor by tensor, and computes with them in float32. Throws Error(usage) if one holds NaN or
  /// infinity.
  ClipTower(const ClipFile& file, at::Device device);

  /// What the tower, or the part of it that its file has, takes: [images, channels, image, image], or behind the first
  /// layers tokens, [images, tokens * hidden] in any form. What it outputs: [images, hidden], the class token after the
  /// last norm (`pooler_output`), or before the last layers [images, tokens, hidden].
  at::Tensor compute(const at::Tensor& batch) const;
  /// [images, projection] of compute() (`image_embeds`); of a tower that was loaded with its projection.
  at::Tensor projected(const at::Tensor& pooled) const { return projection_(pooled); }

  std::uint64_t parameters() const { return parameters_; }

 private:
  friend class ClipLoader;
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Layer {
    Norm norm1, norm2;
    PackedLinear queries_keys_values;  ///< in one multiplication: [3 * hidden, hidden]
    PackedLinear queries;              ///< only of the last layer, which needs the class token's query
    PackedLinear keys_values;
    PackedLinear out, up, down;
  };

  at::Tensor embed(const at::Tensor& images) const;
  at::Tensor norm(const at::Tensor& x, const Norm& norm) const;
  at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) const;
  at::Tensor encode(const Layer& layer, const at::Tensor& x) const;
  at::Tensor encode_class_token(const Layer& layer, const at::Tensor& x) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;

  ClipConfig config_;
  Activation activation_;
  PackedLinear patches_;
  at::Tensor class_token_;  ///< with its position: [hidden]
  at::Tensor positions_;    ///< of the patches: [patches, hidden]
  Norm before_, after_;
  std::vector<Layer> layers_;
  PackedLinear projection_;
  bool embeds_;
  bool pools_;
  std::uint64_t parameters_ = 0;
};

}  // namespace tutti::worker
