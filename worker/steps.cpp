#include "worker/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <tutti/error.hpp>

#include "common/activation.hpp"
#include "common/axis.hpp"
#include "common/check.hpp"
#include "common/wire/rows.hpp"
#include "worker/activation.hpp"
#include "worker/answers.hpp"

namespace tutti::worker {
namespace {

/// Of torch.nn.functional.normalize: shorter rows are not stretched to length 1.
constexpr double kLeastLength = 1e-12;

/// Predictions as blocks of `length` x `inner` values, of which an axis is the first.
struct Along {
  Along(const Dims& dims, std::int32_t axis) {
    const std::size_t at = size_at(dims, axis).value();
    length = dims[at];
    for (std::size_t size = at + 1; size < dims.size(); ++size) inner *= dims[size];
  }
  std::size_t length;
  std::size_t inner = 1;

  /// Calls use(place) with that of the first value of each row along the axis, among `values` values.
  template <class Use>
  void for_each_row(std::size_t values, Use use) const {
    for (std::size_t block = 0; block < values; block += length * inner)
      for (std::size_t place = block; place < block + inner; ++place) use(place);
  }
};

void replace_by(const SoftmaxStep& step, const Dims& dims, std::span<float> values) {
  const Along along(dims, step.axis);
  softmax(values, along.length, along.inner);
}

void replace_by(const NormalizeStep& step, const Dims& dims, std::span<float> values) {
  const std::size_t channels = dims.empty() ? 1 : dims.front();
  const std::size_t inner = elements_of(dims) / channels;
  const auto of = [](const std::vector<float>& list, std::size_t channel, float otherwise) {
    return list.empty() ? otherwise : list[list.size() == 1 ? 0 : channel];
  };
  // The same operations in the same order as those of a member's `input`, so that both give the same bits.
  for (std::size_t first = 0, channel = 0; first < values.size(); first += inner, channel = (channel + 1) % channels) {
    const float mean = of(step.mean, channel, 0);
    const float std = of(step.std, channel, 1);
    for (float& value : values.subspan(first, inner)) value = (value - mean) / std;
  }
}

void replace_by(const L2NormalizeStep& step, const Dims& dims, std::span<float> values) {
  const Along along(dims, step.axis);
  along.for_each_row(values.size(), [&](std::size_t first) {
    double squares = 0;
    for (std::size_t i = 0; i < along.length; ++i) {
      const auto value = static_cast<double>(values[first + i * along.inner]);
      squares += value * value;
    }
    const double length = std::max(std::sqrt(squares), kLeastLength);  // NaN stays NaN
    for (std::size_t i = 0; i < along.length; ++i) {
      float& value = values[first + i * along.inner];
      value = static_cast<float>(static_cast<double>(value) / length);
    }
  });
}

void replace_by(const ThresholdStep& step, const Dims&, std::span<float> values) {
  for (float& value : values)
    if (!std::isnan(value)) value = value > step.above ? 1.0F : 0.0F;
}

template <class Other>
void replace_by(const Other& /*step*/, const Dims& /*dims*/, std::span<float> /*values*/) {
  static_assert(!StepDescription<Other>::kInPlace);
  TUTTI_CHECK(false, "the step is in place");
}

/// Where the values of a row are, the largest first. Any order of equal ones would do but one that changes.
void write_largest(const TopKStep& step, std::span<std::pair<float, std::uint32_t>> row, float* to, std::size_t inner) {
  const auto comes_first = [](const auto& one, const auto& other) {
    return one.first > other.first || (one.first == other.first && one.second < other.second);
  };
  std::partial_sort(row.begin(), row.begin() + step.k, row.end(), comes_first);
  for (std::size_t i = 0; i < step.k; ++i)
    to[i * inner] = step.give == TopKGives::values ? row[i].first : static_cast<float>(row[i].second);
}

}  // namespace

MemberRequest before_steps(const MemberRequest& request) {
  MemberRequest before = request;
  before.steps.clear();
  if (request.steps.empty()) return before;
  const auto fixed = facts_of(request.model).output;
  before.output = before.over = fixed ? fixed->kind : OutputKind::values;
  return before;
}

// ---- one step ------------------------------------------------------------------------------------------------------

StepWork::StepWork(const Step& step, const Dims& from, const std::string& place) : step_(step), from_(from) {
  StepOutput output = output_of(step, from);
  if (!output.problem.empty())
    throw Error(ErrorKind::usage, place + (place.empty() ? "" : ": ") + misfit_text(step, from, output), {},
                output.hint);
  to_ = std::move(output.dims);
  if (const auto* resize = std::get_if<ResizeStep>(&step_))
    resampler_.emplace(resize->resize, image_shape({Dtype::float32, from_}).value());
  if (const auto* top = std::get_if<TopKStep>(&step_)) order_.resize(Along(from_, top->axis).length);
}

void StepWork::replace(std::span<float> values) {
  std::visit([&](const auto& step) { replace_by(step, from_, values); }, step_);
}

void StepWork::make(std::span<const float> from, std::span<float> to) {
  const std::size_t size = elements_of(from_);
  const std::size_t made = elements_of(to_);
  TUTTI_CHECK(from.size() / size == to.size() / made);
  if (resampler_) {
    for (std::size_t sample = 0; sample < from.size() / size; ++sample)
      resampler_->apply(from.subspan(sample * size, size), to.subspan(sample * made, made));
    return;
  }
  const auto& step = std::get<TopKStep>(step_);
  const Along along(from_, step.axis);
  std::size_t row = 0;
  along.for_each_row(from.size(), [&](std::size_t first) {
    bool has_nan = false;
    for (std::uint32_t i = 0; i < along.length; ++i) {
      const float value = from[first + i * along.inner];
      has_nan = has_nan || std::isnan(value);
      order_[i] = {value, i};
    }
    float* const out = &to[row / along.inner * step.k * along.inner + row % along.inner];
    ++row;
    if (!has_nan) return write_largest(step, order_, out, along.inner);
    for (std::size_t i = 0; i < step.k; ++i) out[i * along.inner] = std::numeric_limits<float>::quiet_NaN();
  });
}

// ---- several steps --------------------------------------------------------------------------------------------------

StepChain::StepChain(const MemberRequest& request, std::size_t begin, std::size_t end, const Dims& from)
    : from_(from), output_(from), axis_(request.axis) {
  for (std::size_t s = begin; s < end; ++s) {
    works_.emplace_back(request.steps[s], output_, s < request.step_places.size() ? request.step_places[s] : "");
    output_ = works_.back().output();
    moves_ += works_.back().is_in_place() ? 0 : 1;
  }
  if (end < request.steps.size()) return;
  if (needs_activation(request)) activation_ = request.activation;
  if (decides(request) && !size_at(output_, axis_))
    throw Error(
        ErrorKind::usage,
        fmt::format("the steps make outputs of {}, which have no axis {} with classes", dims_text(output_), axis_), {},
        "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the samples");
}

/// Before the last move in memory of its own, and after it where the results belong.
std::span<float> StepChain::memory_of(const Dims& dims, std::size_t moves_left, std::size_t count,
                                      std::span<float> output) {
  if (moves_left == 0) return output;
  const std::size_t values = count * elements_of(dims);
  return {between_[moves_left % 2].make_room(values), values};
}

std::span<float> StepChain::room(std::size_t count, std::span<float> output) {
  return memory_of(from_, moves_, count, output);
}

void StepChain::apply(std::size_t count, std::span<float> output) {
  TUTTI_CHECK(output.size() == count * elements_of(output_));
  std::size_t left = moves_;
  std::span<float> values = room(count, output);  // the same memory as before
  for (StepWork& work : works_) {
    if (work.is_in_place()) {
      work.replace(values);
      continue;
    }
    --left;
    const std::span<float> made = memory_of(work.output(), left, count, output);
    work.make(values, made);
    values = made;
  }
  activate(activation_, output_, axis_, values);
}

Stepped::Stepped(const MemberRequest& request, std::unique_ptr<Model> model)
    : model_(std::move(model)), steps_(request, 0, first_row_step(request.steps), model_->output()) {}

std::vector<NamedLayout> Stepped::parts() const {
  return steps_.in_place() ? model_->parts() : std::vector<NamedLayout>();
}

void Stepped::predict(const Samples& samples, std::uint32_t count, std::span<float> output) {
  model_->predict(samples, count, steps_.room(count, output));
  steps_.apply(count, output);
}

std::span<const float> Stepped::probe(const Samples& /*samples*/, std::uint32_t /*count*/) {
  TUTTI_CHECK(false, "steps are added to a model that is warm");
  return {};
}

}  // namespace tutti::worker
