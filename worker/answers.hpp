// What every backend does with the outputs of a model, whichever library computed them: is their shape possible, do
// they need an activation, are they probabilities. Free of all libraries.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <tutti/error.hpp>

#include "common/wire/member_request.hpp"

namespace tutti::worker {

/// Whether probabilities are to be made of the model's output. Throws Error(usage) if the request's `over` cannot be
/// computed from its `output`.
bool needs_activation(const MemberRequest& request);

/// Whether the ensemble takes one class of the output to be right.
bool decides(const MemberRequest& request);

/// The output for a batch, as the model's library describes it.
struct RawAnswer {
  std::span<const std::int64_t> sizes;  ///< with that of the batch
  std::string_view type;                ///< "Float"
  bool floating = true;
};

/// The sizes of one prediction in the output for `count` samples. Throws Error(usage) if it is no output of scores, one
/// sample after the other, with classes where the request has them; or not of the sizes `before`, those of the batches
/// before, which may be null.
Dims sizes_of(const RawAnswer& answer, const MemberRequest& request, std::uint32_t count, const Dims* before);

/// "3x32x32", or "3x32x32 and 7" of a member that takes two tensors.
std::string taken_text(const MemberRequest& request);

/// Predictions, of `output` each, one after the other.
struct Scores {
  std::span<float> values;
  const Dims& output;
};

/// Whether logits look like probabilities already: each from 0 to 1, with sums of 1. They are hardly ever.
bool look_like_probabilities(const Scores& logits, const MemberRequest& request);
inline constexpr std::string_view kSecondSoftmax =
    "its outputs look like probabilities already, and get a second softmax: set 'output: probabilities'";

/// Probabilities of which one is right sum to 1. What sums to something else is likely to be something else, or several
/// labels, each with a probability of its own: throws no_probabilities().
void check_sums(const Scores& probabilities, const MemberRequest& request);
Error no_probabilities(std::int32_t axis, double least_sum, double most_sum);

}  // namespace tutti::worker
