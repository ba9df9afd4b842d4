// The protocol between tutti-bench and tutti-bench-single. A process of the latter holds one single-process strategy,
// with separate threads, allocator and memory, and computes on request; so runs of strategies can be interleaved
// (ABCABC) without disturbing one another, and the memory of each can be measured.
//
// Lines of JSON over the pipes of stdin and stdout, one at a time, request and reply:
//   {"prepare": {...}}                -> {"ready": {"seconds": load and warm-up, "backend": "torch 2.11.0"}}
//   {"run": {}}                       -> {"ran": {"seconds": s, "member_seconds": [...]}}; the predictions are in the
//                                        file of descriptor kAnswersFd, float32 [images, width]
//   {"train": {"epochs": n}}          -> {"trained": {"seconds": s}}: each member trains on all images in order
//   {"multiply": {"seconds": s}}      -> {"multiplied": {"gflops": g}}: matrices, on one thread, at least this long;
//                                        needs no prepare
//   end of input                      -> the program ends
//   any failure                       -> {"failed": {"text": "...", "hint": "..."}}
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/values.hpp"
#include "common/wire/member_request.hpp"
#include "config/spec.hpp"

namespace tutti::bench {

/// The images [images, channels, height, width] of float32 or bytes, then int64 labels [images] at labels_offset(); and
/// the combined predictions.
inline constexpr int kImagesFd = 3;
inline constexpr int kAnswersFd = 4;

/// How members are computed in one process.
enum class Strategy {
  sequential,  ///< one member after another, all threads inside an operation
  threads,     ///< one thread per member over the whole input; `between` members at once
  branches,    ///< one graph: per batch all members are branches that LibTorch's inter-op pool runs in parallel
  fused,       ///< one graph: equal members stacked into grouped convolutions and batched matrix products
};
constexpr auto enum_names(Strategy) {
  return std::array{EnumName{Strategy::sequential, "sequential"}, EnumName{Strategy::threads, "threads"},
                    EnumName{Strategy::branches, "branches"}, EnumName{Strategy::fused, "fused"}};
}

/// How far predictions may be apart if their sums run in another order: |a - b| <= tolerance for probabilities, and <=
/// tolerance * (1 + |b|) for logits. That is the case for `fused`, and if the number of threads within an operation
/// differs (from batches of about twenty on, LibTorch's matrix products split their sums). All others agree exactly.
inline constexpr float kTolerance = 1e-5F;

/// The content of `prepare`. Every member's request holds the batch and what its model needs; `threads` in it is the
/// number within an operation.
struct SingleJob {
  Strategy strategy = Strategy::sequential;
  std::uint32_t between = 1;  ///< threads (members at once) or branches (size of the inter-op pool)
  std::uint64_t images = 0;
  std::uint32_t segment_images = 0;  ///< batches never cross a segment, as in the pool
  config::CombineSpec combine;
  std::vector<float> weights;  ///< of the combination, in rank order
  std::vector<MemberRequest> members;
};

/// The images in memory, from which a member with an `input` makes its own.
inline const TensorLayout& stored_images(const MemberRequest& member) { return member.takes.front().stored; }
inline ImageShape shape_in_memory(const MemberRequest& member) { return image_shape(stored_images(member)).value(); }

/// Where the labels begin: right after float32, after bytes at the next multiple of 8.
inline std::uint64_t labels_offset(std::uint64_t images, const ImageShape& shape, Dtype pixels) {
  const std::uint64_t values = images * shape.elements();
  return pixels == Dtype::uint8 ? (values + 7) / 8 * 8 : values * sizeof(float);
}

/// One line of JSON, the value of `"prepare"`. Throws Error(usage) if a member's description is too long.
std::string encode(const SingleJob& job);
/// Throws Error(failed) that names the field if it is malformed, or says what does not fit: a number of weights other
/// than that of members, members with images of different shapes, zeros that must be positive.
SingleJob decode_job(std::string_view text);

}  // namespace tutti::bench
