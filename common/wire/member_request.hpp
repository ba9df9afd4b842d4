// What a worker is told about the member that it hosts: the content of the control message `load`. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"
#include "common/saved_rows.hpp"
#include "common/values.hpp"
#include "common/views.hpp"
#include "common/wire/model_kinds.hpp"
#include "common/wire/steps.hpp"

namespace tutti {

/// A tensor of a sample that a member takes.
struct TakenTensor {
  std::string as{};                    ///< the model's argument; empty: by its place
  std::uint32_t array = 0;             ///< of a slot: which one holds it
  TensorLayout stored;                 ///< as it is there
  std::optional<MemberInput> input{};  ///< from that to `seen`, of images; nothing: they are the same
  TensorLayout seen;                   ///< by the model
  friend bool operator==(const TakenTensor&, const TakenTensor&) = default;

  /// One that is seen as it is stored.
  static TakenTensor unchanged(const TensorLayout& layout, std::uint32_t array = 0) {
    return {.array = array, .stored = layout, .seen = layout};
  }
};

/// The most tensors of a sample that a member takes.
constexpr std::size_t kMaxTaken = 8;

struct MemberRequest {
  std::string name;
  ModelKind model;
  std::string weights;  ///< safetensors to start from; empty: from the seed
  /// Of a `saved` member: the rows of its file. Nothing if the coordinator found no such file.
  std::optional<SavedRows> saved{};
  std::uint64_t seed = 0;
  std::vector<TakenTensor> takes;               ///< at least one
  std::string fed_by{};                         ///< the stage on whose outputs it computes; empty: on the samples
  std::uint32_t fed_rows = 0;                   ///< the most rows of a sample in these; 0: one (common/wire/rows.hpp)
  /// The picture whose parts a step crop_boxes makes rows of; nothing: the first tensor of `takes`.
  std::optional<TakenTensor> picture{};
  std::vector<View> views;                      ///< of images, whose predictions are averaged; none: the images only
  std::vector<Step> steps{};                    ///< what is made of the model's outputs
  std::vector<std::string> step_places{};       ///< where each is written, for messages; empty: it is not known
  std::uint32_t batch_images = 1;               ///< the batch of prediction
  std::vector<std::uint32_t> warm_up_batches;   ///< the batch sizes that will occur, as far as known at the start
  OutputKind output = OutputKind::logits;       ///< what the model itself answers, or what `steps` make of it
  OutputKind over = OutputKind::probabilities;  ///< what the ensemble wants
  std::int32_t axis = 1;                        ///< where the classes are: see config::CombineSpec
  Activation activation = Activation::softmax;  ///< makes probabilities of logits
  bool copy_input = false;
  std::uint64_t max_memory = 0;  ///< bytes that its worker may hold (proportional set size); 0: any number
  bool cuda = false;  ///< on the (only) visible CUDA device
  std::uint32_t threads = 1;
  std::uint32_t train_batch_images = 32;
  double learning_rate = 1e-3;
  bool bootstrap = false;  ///< resample the images of each segment for this member (bagging)
  Learns learns = Learns::weights;

  /// As the model sees the first tensor.
  const TensorLayout& seen() const { return takes.front().seen; }
};

/// The images that a member of a kind for images takes. Throws Error(usage) if it is to take anything else.
ImageShape images_of(const MemberRequest& request);

/// The images that a member with views takes, before they become views. Throws Error(usage) if it takes anything else.
ImageShape viewed_images(const MemberRequest& request);

}  // namespace tutti
