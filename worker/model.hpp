// The one interface behind which models stand. Free of LibTorch: a backend (fake, torch) implements it; the torch
// backend lives in a plugin that the worker opens only when a member needs it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <tutti/images.hpp>

#include "common/wire/member_request.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {

/// What one training batch gave.
struct TrainBatch {
  double loss_sum = 0.0;      ///< sum over the images of the batch, not their mean
  std::uint64_t correct = 0;  ///< images whose highest output was their label
};

/// The part of a member that learns. Called as its Model is, by the same thread.
class Trainable {
 public:
  virtual ~Trainable() = default;

  /// Begins training anew with the request's seed and learning rate (fresh optimiser state, present weights).
  virtual void begin_training() = 0;
  /// One optimiser step on `count` images at `images[rows[i]]` of the segment.
  virtual TrainBatch train(const float* images, std::span<const std::int64_t> labels,
                           std::span<const std::uint32_t> rows) = 0;
  /// Writes the weights as safetensors, atomically.
  virtual void save(const std::filesystem::path& file) = 0;

  /// Calls `use` once with all that training goes on from, which it may look at during the call: "params/<name>", then
  /// whatever the optimiser remembers ("exp_avg/<name>", "step") and, where a backend draws random numbers, the
  /// state of its generator. Only after begin_training() or take_state(). Throws what `use` throws.
  virtual void lend_state(const std::function<void(std::span<const merge::TensorView>)>& use) = 0;
  /// Takes such a state over, all or nothing: answers and the training that follows are, to the last bit, those of the
  /// model that lent it. Throws Error where it does not fit this model.
  virtual void take_state(const merge::Safetensors& state) = 0;
};

/// A loaded member, which predicts. Every call comes from the worker's computing thread. Any std::exception that a call
/// throws ends the member with its text; the text is shown to the user behind the member's name.
class Model {
 public:
  virtual ~Model() = default;

  /// Values per image of the answer: classes or features. Known after loading, or after the first predict() where a
  /// model must be run to know it; the worker asks after the warm-up.
  virtual std::uint32_t width() const = 0;

  /// Trainable and fixed parameters together; 0 where the model does not say.
  virtual std::uint64_t parameters() const = 0;

  /// The batches that follow hold this many images, or fewer where a segment ends; until it is called first, as many as
  /// the request says. A model that has prepared itself for a size prepares itself anew: its answers are, to the last
  /// bit, those of a model that was loaded with this size.
  virtual void expect_batches(std::uint32_t /*images*/) {}

  /// One batch: `images` is `count` images of the request's shape, float32 NCHW, 64-byte aligned at a segment's start,
  /// possibly READ-ONLY memory; `output` holds count x width() values and is written row-major, in the request's
  /// `over` (the backend applies the softmax where the model answers logits and probabilities are wanted).
  virtual void predict(const float* images, std::uint32_t count, std::span<float> output) = 0;

  /// As predict(), into memory of the backend's own: used before width() is known, in warm-up. Returns the answer
  /// (count x width), valid until the next call.
  virtual std::span<const float> probe(const float* images, std::uint32_t count) = 0;

  /// What learns of it, as long as the model lives; nullptr where nothing does.
  virtual Trainable* trainable() { return nullptr; }
};

/// What learns of `model`, which was made of `request`. Throws Error(usage) where nothing does: "a torchscript member
/// cannot be <what>".
Trainable& trainable_part(Model& model, const MemberRequest& request, std::string_view what);

/// What a backend plugin exports under the C name `tutti_backend`. `build_id` is compared before `make` is called.
struct Backend {
  const char* name;      ///< "torch"
  const char* build_id;  ///< tutti::build_id() as compiled into the plugin
  /// Loads the member; threads are already set by environment. Throws std::exception.
  std::unique_ptr<Model> (*make)(const MemberRequest& request);
  /// "2.11.0": the version of the library behind it, for the report.
  const char* version;
};
using BackendEntry = const Backend* (*)();

}  // namespace tutti::worker
