// The interface that all models implement. Free of LibTorch: a backend (fake, torch) implements it, and the torch
// backend is in a plugin that the worker opens only if a member needs it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/images.hpp>

#include "common/check.hpp"
#include "common/wire/member_request.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {

/// Consecutive samples: where each tensor that the member takes (MemberRequest::takes) begins. The memory may be
/// READ-ONLY, and lies at 64 bytes where the samples are the first of a segment.
class Samples {
 public:
  /// Of one tensor, of float32.
  Samples(const float* only) : tensors_{reinterpret_cast<const std::byte*>(only)}, size_(1) {}  // NOLINT: see above
  explicit Samples(std::span<const std::byte* const> tensors) : size_(tensors.size()) {
    TUTTI_CHECK(size_ <= tensors_.size());
    std::copy(tensors.begin(), tensors.end(), tensors_.begin());
  }

  /// The same samples, which have these numbers in their source; they must outlive it.
  Samples numbered(std::span<const std::uint64_t> numbers) const {
    Samples same = *this;
    same.numbers_ = numbers;
    return same;
  }

  std::size_t size() const noexcept { return size_; }
  /// One for each sample; none of made-up samples.
  std::span<const std::uint64_t> numbers() const noexcept { return numbers_; }
  const std::byte* operator[](std::size_t tensor) const { return tensors_[tensor]; }
  /// The first tensor of a member that takes float32.
  const float* floats() const { return reinterpret_cast<const float*>(tensors_[0]); }

 private:
  std::array<const std::byte*, kMaxTaken> tensors_{};
  std::size_t size_;
  std::span<const std::uint64_t> numbers_{};
};

/// The result of one training batch.
struct TrainBatch {
  double loss_sum = 0.0;      ///< sum over the images of the batch, not their mean
  std::uint64_t correct = 0;  ///< images whose highest output is at their label
};

/// The part of a member that is trained. Called like its Model, by the same thread.
class Trainable {
 public:
  virtual ~Trainable() = default;

  /// Starts training from the beginning, with the request's seed and learning rate (new optimiser state, current
  /// weights).
  virtual void begin_training() = 0;
  /// One optimiser step on the samples `rows` of the segment, which begins at `samples`.
  virtual TrainBatch train(const Samples& samples, std::span<const std::int64_t> labels,
                           std::span<const std::uint32_t> rows) = 0;
  /// Writes the weights as safetensors, atomically.
  virtual void save(const std::filesystem::path& file) = 0;

  /// Calls `use` once with everything that training continues from; `use` may look at it only during the call. It holds
  /// "params/<name>", then the state of the optimiser ("exp_avg/<name>", "step") and, if a backend draws random
  /// numbers, the state of its generator. Call it only after begin_training() or take_state(). Throws what `use`
  /// throws.
  virtual void lend_state(const std::function<void(std::span<const merge::TensorView>)>& use) = 0;
  /// Takes over such a state, all or nothing: predictions and later training are bit-identical to those of the model
  /// that the state came from. Throws Error if it does not fit this model.
  virtual void take_state(const merge::Safetensors& state) = 0;
};

/// A loaded member, which predicts. Every call comes from the worker's computing thread. Any std::exception that a call
/// throws ends the member; the user sees its text after the member's name.
class Model {
 public:
  virtual ~Model() = default;

  /// The sizes of one sample's prediction: {classes} or {features}, {classes, height, width} of a mask, none of a
  /// number. Known after loading, or after the first predict() if a model must be run to know it; the worker asks after
  /// the warm-up. With images of several sizes (expect_images), those of the size that is expected.
  virtual Dims output() const = 0;

  /// The outputs of the model that are joined to this prediction, in order; none if it is one output. As output().
  virtual std::vector<NamedLayout> parts() const { return {}; }

  /// Trainable and fixed parameters together; 0 if the model does not tell.
  virtual std::uint64_t parameters() const = 0;

  /// The batches that follow hold this many images, or fewer at the end of a segment. Before the first call, the batch
  /// is that of the request. A model that prepares itself for a size does so again: its outputs are bit-identical to
  /// those of a model that was loaded with this size.
  virtual void expect_batches(std::uint32_t /*images*/) {}

  /// The images that follow have this shape, until the next call; before the first, that of the request. Called only
  /// for views of several sizes, and before trainable(). Throws Error(usage) if the model takes only one size.
  virtual void expect_images(const ImageShape& shape) {
    throw Error(ErrorKind::usage, "the model takes images of one size, and its views have several",
                "one of them shows images of " + shape.text(),
                "crops of one size alone, or views that keep the size of the images, are possible; neither 'crops' nor "
                "'scale' are for training");
  }

  /// The batches that follow belong to the segment whose first image has this number in the source. A model that draws
  /// random numbers draws the same ones for it in every process.
  virtual void begin_segment(std::uint64_t /*first_image*/) {}

  /// Why predict() may give other outputs for the same images, as far as the model itself shows it: "it has dropout in
  /// training mode". Empty: it does not show.
  virtual std::string why_unsteady() const { return {}; }

  /// What the user should know about the loaded and warm model, one sentence each.
  virtual std::vector<std::string> notes() const { return {}; }

  /// One batch of `count` samples. `output` has room for `count` predictions and is written row-major, in the request's
  /// `over` (the backend applies the softmax if the model outputs logits and probabilities are wanted).
  virtual void predict(const Samples& samples, std::uint32_t count, std::span<float> output) = 0;

  /// Like predict(), into memory of the backend: used before output() is known, in the warm-up. Returns the `count`
  /// predictions, valid until the next call.
  virtual std::span<const float> probe(const Samples& samples, std::uint32_t count) = 0;

  /// Nothing is probed any more: what only the warm-up needs may go.
  virtual void end_warm_up() {}

  /// The trainable part of it, which lives as long as the model; nullptr if there is none.
  virtual Trainable* trainable() { return nullptr; }
};

/// The trainable part of `model`, which was made from `request`. Throws Error(usage) if there is none: "a torchscript
/// member cannot be <what>".
Trainable& trainable_part(Model& model, const MemberRequest& request, std::string_view what);

/// What a backend plugin exports under the C name `tutti_backend`. `build_id` is compared before `make` is called.
struct Backend {
  const char* name;      ///< "torch"
  const char* build_id;  ///< tutti::build_id() as compiled into the plugin
  /// Loads the member; the number of threads is already set in the environment. Throws std::exception.
  std::unique_ptr<Model> (*make)(const MemberRequest& request);
  /// "2.11.0": the version of the library that it uses, for the report.
  const char* version;
  /// Loads the members of a unit as one model, whose prediction is {members, classes}. Null if the backend has none.
  std::unique_ptr<Model> (*make_fused)(std::span<const MemberRequest> requests) = nullptr;
};
using BackendEntry = const Backend* (*)();

}  // namespace tutti::worker
