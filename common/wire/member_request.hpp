// What a worker is told about the member that it hosts: the content of the control message `load`. Plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/images.hpp>

#include "common/member_input.hpp"
#include "common/values.hpp"

namespace tutti {

/// One scripted fault of a `fake` model: `kind` happens in `phase`, at batch `at_batch` of it (counted from 0 in each
/// process); or, with `at_value`, at every batch that holds an image whose first value is exactly that one.
struct FaultPoint {
  FaultKind kind = FaultKind::none;
  FaultPhase phase = FaultPhase::predict;
  std::uint64_t at_batch = 0;
  std::optional<float> at_value =
      std::nullopt;  ///< finite; `at_batch` is ignored then, and no image comes while loading
  friend bool operator==(const FaultPoint&, const FaultPoint&) = default;
};

struct SmallCnnModel {
  std::uint32_t classes = 10;
  friend bool operator==(const SmallCnnModel&, const SmallCnnModel&) = default;
};
struct MlpModel {
  std::vector<std::uint32_t> layers;  ///< hidden widths, then the number of classes
  friend bool operator==(const MlpModel&, const MlpModel&) = default;
};
struct TorchScriptModel {
  std::string path;
  bool optimize = true;
  std::string entry{};  ///< of a tuple ("0") or a dict ("pooler_output") that the model answers; empty: a tensor
  friend bool operator==(const TorchScriptModel&, const TorchScriptModel&) = default;
};
/// Packages of AOTInductor (.pt2), of one model: one for any batch, or several for fixed ones.
struct AotiModel {
  std::vector<std::string> paths;
  std::string entry{};  ///< as of a TorchScriptModel
  friend bool operator==(const AotiModel&, const AotiModel&) = default;
};
/// The vision tower of CLIP, from a folder as Hugging Face writes it.
struct ClipVitModel {
  std::string path;  ///< the folder with config.json and, where the request names no weights, the weights
  ClipOutput output = ClipOutput::pooled;
  std::string head{};  ///< of merge/head.hpp; with ClipOutput::logits
  friend bool operator==(const ClipVitModel&, const ClipVitModel&) = default;
};
/// Deterministic arithmetic without LibTorch, with scripted delays and faults; for tests and for measuring.
struct FakeModel {
  std::uint32_t classes = 10;
  std::uint64_t delay_us = 0;       ///< per batch, slept
  std::uint64_t load_delay_us = 0;  ///< once, while loading
  bool reads_input = true;          ///< false: answers the same whatever the images, so a batch costs its delay alone
  bool writes_input = false;        ///< behaves like a model that changes its input in place
  std::vector<FaultPoint> faults;
  friend bool operator==(const FakeModel&, const FakeModel&) = default;
};
using ModelKind = std::variant<SmallCnnModel, MlpModel, TorchScriptModel, AotiModel, ClipVitModel, FakeModel>;

/// "small-cnn", "mlp", "torchscript", "aoti", "clip-vit", "fake".
std::string_view kind_name(const ModelKind& kind);

/// What the kind itself reads: files, or a folder. The weights of a request are not among them.
struct NamedPath {
  std::string_view key;  ///< of the configuration
  std::string path;
};
std::vector<NamedPath> paths_of(const ModelKind& kind);

/// The files that count of what paths_of() names: of a folder, config.json and, where `weights` names no others, all
/// .safetensors, sorted. What is not there is left out.
std::vector<std::filesystem::path> files_of(const ModelKind& kind, const std::filesystem::path& weights);

/// Whether the model answers only: it cannot be trained, and none of its weights come from training.
bool answers_only(const ModelKind& kind);

struct MemberRequest {
  std::string name;
  ModelKind model;
  std::string weights;  ///< safetensors to start from; empty: from the seed
  std::uint64_t seed = 0;
  ImageShape shape;                             ///< of the images that the model sees
  ImageShape arena_shape;                       ///< of the images in the arena
  PixelType arena_pixels = PixelType::float32;  ///< of the images in the arena
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
