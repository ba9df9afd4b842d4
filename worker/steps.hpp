// The steps of a chain that need no model (common/wire/steps.hpp), as the worker of the stage before them computes
// them: in the memory of its outputs, before it says that it is done. It knows neither LibTorch nor rings. Steps that
// change how many rows a sample has, and those behind them, are the work of row_work.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/resample.hpp"
#include "common/wire/steps.hpp"
#include "worker/model.hpp"
#include "worker/preprocess.hpp"

namespace tutti::worker {

/// The same member without its steps: its model outputs what it outputs.
MemberRequest before_steps(const MemberRequest& request);

/// One step that keeps the number of rows, for predictions of one shape. In float32; sums are in float64. A sample's
/// bits depend only on the sample and the step. NaN is passed on: along an axis, one makes all that is computed with it
/// NaN.
class StepWork {
 public:
  /// Throws Error(usage) if the step does not fit predictions of these sizes; the message begins with `place`.
  StepWork(const Step& step, const Dims& from, const std::string& place = {});

  const Dims& output() const noexcept { return to_; }
  bool is_in_place() const { return tutti::is_in_place(step_); }
  /// Replaces the values of any number of predictions. Only if it is in place.
  void replace(std::span<float> values);
  /// Makes predictions of others, which they do not overlap. Only if it is not in place.
  void make(std::span<const float> from, std::span<float> to);

 private:
  Step step_;
  Dims from_;
  Dims to_;
  std::optional<Resampler> resampler_{};
  std::vector<std::pair<float, std::uint32_t>> order_{};  ///< of top_k
};

/// Some of a member's steps, one after the other; none of them changes the number of rows. The first of them takes its
/// rows from where room() says: that is where the results go, if no step changes how many values there are.
class StepChain {
 public:
  /// The steps from `begin` to `end` of the request, for rows of `from`. If they are the last ones, what comes out
  /// becomes what the ensemble wants. Throws Error(usage) if a step does not fit, or if `over` cannot be computed from
  /// what comes out.
  StepChain(const MemberRequest& request, std::size_t begin, std::size_t end, const Dims& from);

  const Dims& output() const noexcept { return output_; }
  /// Whether all of them are computed in place.
  bool in_place() const noexcept { return moves_ == 0; }
  /// Where `count` rows are to be written, for which apply() is called with the same arguments before the next room().
  std::span<float> room(std::size_t count, std::span<float> output);
  /// Computes the steps for the rows there. `output` has room for exactly so many results.
  void apply(std::size_t count, std::span<float> output);

 private:
  std::span<float> memory_of(const Dims& dims, std::size_t moves_left, std::size_t count, std::span<float> output);

  Dims from_;
  std::vector<StepWork> works_;
  std::size_t moves_ = 0;  ///< steps that are not in place
  Dims output_;
  Activation activation_ = Activation::none;  ///< that makes of the last step's results what the ensemble wants
  std::int32_t axis_;
  std::array<AlignedFloats, 2> between_;  ///< rows before a step that is not in place
};

/// A model whose outputs go through the steps of its member, up to the first that changes the number of rows.
class Stepped final : public Model {
 public:
  /// `model` was made from before_steps(request) and is warm, so that it knows its output. Throws as StepChain() does.
  Stepped(const MemberRequest& request, std::unique_ptr<Model> model);

  Dims output() const override { return steps_.output(); }
  std::vector<NamedLayout> parts() const override;
  std::uint64_t parameters() const override { return model_->parameters(); }
  void expect_batches(std::uint32_t images) override { model_->expect_batches(images); }
  void begin_segment(std::uint64_t first_image) override { model_->begin_segment(first_image); }
  std::string why_unsteady() const override { return model_->why_unsteady(); }
  std::vector<std::string> notes() const override { return model_->notes(); }
  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override;
  /// Not called: the warm-up is about the model, and over.
  std::span<const float> probe(const Samples& samples, std::uint32_t count) override;

 private:
  std::unique_ptr<Model> model_;
  StepChain steps_;
};

}  // namespace tutti::worker
