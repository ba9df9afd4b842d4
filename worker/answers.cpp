#include "worker/answers.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/class_sums.hpp"
#include "common/counted.hpp"

namespace tutti::worker {
namespace {

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
};

/// Of the sums over the classes. A sum of NaN is passed over: NaN is judged when samples are predicted.
Range sums_of(const Scores& scores, std::int32_t axis) {
  const std::size_t at = size_at(scores.output, axis).value();
  std::size_t inner = 1;
  for (std::size_t i = at + 1; i < scores.output.size(); ++i) inner *= scores.output[i];
  Range range;
  for_each_class_sum(scores.values, scores.output[at], inner, [&](double sum, std::size_t) {
    if (sum < range.least) range.least = sum;
    if (sum > range.most) range.most = sum;
  });
  return range;
}

}  // namespace

bool needs_activation(const MemberRequest& request) {
  const OutputKind output = request.output;
  const OutputKind over = request.over;
  if (output == over) return false;
  if (output == OutputKind::logits && over == OutputKind::probabilities) return request.activation != Activation::none;
  const bool loses = output == OutputKind::probabilities && over == OutputKind::logits;
  throw Error(ErrorKind::usage,
              fmt::format("a model that outputs {} cannot be combined over {}", to_name(output), to_name(over)),
              loses ? "logits cannot be computed from probabilities"
                    : fmt::format("{} and {} are different things", has_classes(output) ? "classes" : to_name(output),
                                  has_classes(over) ? "classes" : to_name(over)),
              fmt::format("set 'combine.over' to {}, or 'output' to what the model really outputs",
                          loses ? "probabilities" : to_name(output)));
}

bool decides(const MemberRequest& request) {
  return has_classes(request.over) && request.activation != Activation::sigmoid;
}

std::string taken_text(const MemberRequest& request) {
  std::vector<std::string> texts;
  for (const TakenTensor& taken : request.takes) texts.push_back(dims_text(taken.seen.dims));
  return fmt::format("{}", fmt::join(texts, " and "));
}

Dims sizes_of(const RawAnswer& answer, const MemberRequest& request, std::uint32_t count, const Dims* before) {
  const auto fail = [&](std::string_view needed, std::string_view hint) {
    throw Error(
        ErrorKind::usage,
        fmt::format("the model outputs a tensor of shape [{}] and type {}", fmt::join(answer.sizes, ", "), answer.type),
        fmt::format("needed for a batch of {} of {}: {}", counted(count, "image"), taken_text(request), needed),
        std::string(hint));
  };
  const auto rank = static_cast<std::int64_t>(answer.sizes.size());
  if (!answer.floating)
    fail("type Float", "let the model output scores, such as logits or probabilities, not the numbers of classes");
  const bool empty = std::ranges::find(answer.sizes, 0) != answer.sizes.end();
  if (rank == 0 || answer.sizes[0] != count || empty) {
    std::string hint = "let the model keep the axis of the samples as the first: x.flatten(1), not x.flatten()";
    if (rank > 1 && !empty)
      hint += fmt::format("; if it fixes its batch at {}, export it with a free batch", answer.sizes[0]);
    fail(fmt::format("shape [{}, ...], the prediction of one sample after the other", count), hint);
  }
  if (rank > static_cast<std::int64_t>(kMaxRank) + 1)
    fail(fmt::format("at most {} axes besides that of the samples", kMaxRank), "flatten some of them in the model");
  const Dims output(answer.sizes.begin() + 1, answer.sizes.end());
  const auto classes = size_at(output, request.axis);
  if (decides(request) && !classes)
    fail(fmt::format("classes along axis {}", request.axis),
         "set 'axis' of 'combine' to where the classes are: 1 is the first axis after the samples, -1 the last");
  if (decides(request) && needs_activation(request) && output[*classes] == 1)
    fail("two classes or more, for the softmax of a single value is always 1",
         "set 'activation: sigmoid' in 'combine' if the value is the logit of one label");
  if (before != nullptr && *before != output)
    fail(fmt::format("shape [{}, {}], as in the batches before", count, fmt::join(*before, ", ")), "");
  return output;
}

bool look_like_probabilities(const Scores& logits, const MemberRequest& request) {
  constexpr double kTolerance = 1e-3;
  if (!decides(request) || !needs_activation(request)) return false;
  const auto [least, most] = std::ranges::minmax(logits.values);
  if (!(least >= 0 && most <= 1)) return false;
  const Range sums = sums_of(logits, request.axis);
  return sums.least >= 1 - kTolerance && sums.most <= 1 + kTolerance;
}

void check_sums(const Scores& probabilities, const MemberRequest& request) {
  if (request.over != OutputKind::probabilities || !decides(request)) return;
  const Range sums = sums_of(probabilities, request.axis);
  const double off = std::max(1.0 - sums.least, sums.most - 1.0);
  if (off > kSumTolerance) throw no_probabilities(request.axis, sums.least, sums.most);
}

Error no_probabilities(std::int32_t axis, double least_sum, double most_sum) {
  return Error(ErrorKind::usage, "the model's outputs are no probabilities of classes: they do not sum to 1",
               fmt::format("along axis {} they sum to {:.4g} to {:.4g}", axis, least_sum, most_sum),
               "set the member's 'output: logits' if they are logits; if several labels may be right at once, set "
               "'activation: sigmoid' in 'combine'");
}

}  // namespace tutti::worker
