// What a worker is told about the member that it hosts: the content of the control message `load`. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"
#include "common/values.hpp"
#include "common/wire/model_kinds.hpp"

namespace tutti {

struct MemberRequest {
  std::string name;
  ModelKind model;
  std::string weights;  ///< safetensors to start from; empty: from the seed
  std::uint64_t seed = 0;
  ImageShape shape;                             ///< of the images that the model sees
  ImageShape arena_shape;                       ///< of the images in the arena
  PixelType arena_pixels = PixelType::float32;  ///< of the images in the arena
  std::uint32_t array = 0;                      ///< of a slot: which one holds them
  std::optional<MemberInput> input{};           ///< from those to these; nothing: they are the same
  std::uint32_t batch_images = 1;               ///< the batch of prediction
  std::vector<std::uint32_t> warm_up_batches;   ///< the batch sizes that will occur, as far as known at the start
  OutputKind output = OutputKind::logits;       ///< what the model itself answers
  OutputKind over = OutputKind::probabilities;  ///< what the ensemble wants
  bool copy_input = false;
  bool cuda = false;  ///< on the (only) visible CUDA device
  std::uint32_t threads = 1;
  std::uint32_t train_batch_images = 32;
  double learning_rate = 1e-3;
  bool bootstrap = false;  ///< resample the images of each segment for this member (bagging)
  Learns learns = Learns::weights;
};

}  // namespace tutti
