// The steps of a chain that need no model: what is made of the outputs of a stage before they are passed on. Plain
// values. The result of each for a sample depends on that sample only. CropBoxesStep makes several rows of a sample,
// and ReduceStep makes one of them again; the others are computed row by row.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include <tutti/choices.hpp>
#include <tutti/inputs.hpp>

namespace tutti {

/// Probabilities of logits: exp(x) / sum of exp(x) along an axis, without overflow.
struct SoftmaxStep {
  std::int32_t axis = 1;  ///< 1 is the first after the sample, -1 the last
  friend bool operator==(const SoftmaxStep&, const SoftmaxStep&) = default;
};

/// (x - mean) / std, per channel, which is the first axis after the sample. One value holds for all channels; no value
/// leaves that part out.
struct NormalizeStep {
  std::vector<float> mean{};  ///< for each channel, or for all
  std::vector<float> std{};   ///< likewise, above 0
  friend bool operator==(const NormalizeStep&, const NormalizeStep&) = default;
};

/// x / max(length, 1e-12), where the length is the square root of the sum of the squares along an axis.
struct L2NormalizeStep {
  std::int32_t axis = 1;  ///< as of softmax
  friend bool operator==(const L2NormalizeStep&, const L2NormalizeStep&) = default;
};

/// 1 for values above a bound, 0 for others.
struct ThresholdStep {
  float above = 0.5F;  ///< the bound
  friend bool operator==(const ThresholdStep&, const ThresholdStep&) = default;
};

/// The largest values along an axis, the largest first; of equal ones, the first comes first.
struct TopKStep {
  std::uint32_t k = 1;                 ///< how many; at most the length of the axis
  TopKGives give = TopKGives::values;  ///< the values, or where they are, counted from 0
  std::int32_t axis = 1;               ///< as of softmax
  friend bool operator==(const TopKStep&, const TopKStep&) = default;
};

/// Outputs of three sizes, channels x height x width, are resized, then cropped about their centre.
struct ResizeStep {
  Resize resize{};  ///< at least one of both
  friend bool operator==(const ResizeStep&, const ResizeStep&) = default;
};

/// A row for each box that counts: the part of the picture inside it, resized. The outputs before it are boxes x 5: for
/// each box x1, y1, x2, y2 and its score. The coordinates are pixels of the picture as the first stage of the member
/// takes it, which is float32 of channels x height x width; x is counted from its left edge, y from its top edge. A box
/// covers the pixels that it touches, as far as they are in the picture; one without an area there does not count. The
/// rows of a sample are in the order of the scores, the highest first; of equal ones, the first box comes first.
struct CropBoxesStep {
  std::uint32_t max = 0;       ///< the most rows of a sample, those with the highest scores; at least 1
  float above = 0.5F;          ///< boxes with a higher score count
  std::uint32_t channels = 3;  ///< of the picture
  Resize resize{};             ///< of what is inside a box: to an exact size, and nothing is cropped
  friend bool operator==(const CropBoxesStep&, const CropBoxesStep&) = default;
};

/// One row of the rows of a sample, value by value.
struct ReduceStep {
  ReduceBy by = ReduceBy::mean;  ///< what is kept of them
  float empty = 0;               ///< every value of a sample without rows
  friend bool operator==(const ReduceStep&, const ReduceStep&) = default;
};

/// One of them.
using Step = std::variant<SoftmaxStep, NormalizeStep, L2NormalizeStep, ThresholdStep, TopKStep, ResizeStep,
                          CropBoxesStep, ReduceStep>;

}  // namespace tutti
