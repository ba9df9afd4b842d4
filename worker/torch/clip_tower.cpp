#include "worker/torch/clip_tower.hpp"

#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include "worker/torch/clip_loader.hpp"

namespace tutti::worker {

ClipTower::ClipTower(const ClipFile& file, at::Device device)
    : config_(file.config()),
      activation_(config_.activation == ClipActivation::gelu ? Activation::gelu : Activation::silu),
      embeds_(file.has_embeddings()),
      pools_(file.has_output()) {
  ClipLoader(file, device).fill(*this);
}

at::Tensor ClipTower::norm(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {config_.hidden}, norm.weight, norm.bias, config_.epsilon);
}

// A convolution whose stride is its kernel is a multiplication of each patch.
at::Tensor ClipTower::embed(const at::Tensor& images) const {
  const std::int64_t count = images.size(0);
  const std::int64_t side = config_.side();
  const std::int64_t patch = config_.patch;
  // Pixels at the right and the bottom that the convolution leaves out if the patches do not fill the image.
  const at::Tensor whole = images.narrow(2, 0, side * patch).narrow(3, 0, side * patch);
  const at::Tensor rows = whole.reshape({count, config_.channels, side, patch, side, patch})
                              .permute({0, 2, 4, 1, 3, 5})
                              .reshape({count, side * side, config_.channels * patch * patch});
  at::Tensor tokens = at::empty({count, config_.tokens(), config_.hidden}, images.options());
  tokens.select(1, 0).copy_(class_token_.expand({count, config_.hidden}));
  at::Tensor rest = tokens.narrow(1, 1, config_.patches());
  at::add_out(rest, patches_(rows), positions_);
  return norm(tokens, before_);
}

// [images, asked, hidden] of queries [images, asked, hidden], keys and values [images, tokens, hidden].
at::Tensor ClipTower::attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values) const {
  const auto by_head = [&](const at::Tensor& x) {
    return x.view({x.size(0), x.size(1), config_.heads, config_.hidden / config_.heads}).transpose(1, 2);
  };
  return at::scaled_dot_product_attention(by_head(queries), by_head(keys), by_head(values))
      .transpose(1, 2)
      .reshape({queries.size(0), queries.size(1), config_.hidden});
}

at::Tensor ClipTower::feed_forward(const Layer& layer, const at::Tensor& x) const {
  return layer.down.plus(layer.up(norm(x, layer.norm2), activation_), x);
}

at::Tensor ClipTower::encode(const Layer& layer, const at::Tensor& x) const {
  const std::vector<at::Tensor> parts = layer.queries_keys_values(norm(x, layer.norm1)).split(config_.hidden, 2);
  return feed_forward(layer, layer.out.plus(attend(parts[0], parts[1], parts[2]), x));
}

// After the last layer only the class token is used, so only what it needs of that layer is computed: with 12 layers
// this saves one fifteenth of all multiplications.
at::Tensor ClipTower::encode_class_token(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor normed = norm(x, layer.norm1);
  const std::vector<at::Tensor> parts = layer.keys_values(normed).split(config_.hidden, 2);
  const at::Tensor asked = layer.queries(normed.narrow(1, 0, 1).contiguous());
  return feed_forward(layer, layer.out.plus(attend(asked, parts[0], parts[1]), x.narrow(1, 0, 1).contiguous()));
}

at::Tensor ClipTower::compute(const at::Tensor& batch) const {
  at::Tensor x = embeds_ ? embed(batch) : batch.reshape({batch.size(0), config_.tokens(), config_.hidden});
  const std::size_t whole = layers_.size() - (pools_ ? 1 : 0);
  for (std::size_t i = 0; i < whole; ++i) x = encode(layers_[i], x);
  return pools_ ? norm(encode_class_token(layers_.back(), x).select(1, 0), after_) : x;
}

}  // namespace tutti::worker
