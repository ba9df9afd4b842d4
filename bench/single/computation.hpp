// The ways of computing all members in one process, behind one interface. Combining the members' predictions is done
// elsewhere, the same way for all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/protocol.hpp"
#include "bench/single/input.hpp"

namespace tutti::bench {

/// The predictions of all members for all images: [member][image * width + value].
using MemberAnswers = std::vector<std::vector<float>>;

/// Loaded and warm. Only one thread calls it; it may compute with its own threads.
class Computation {
 public:
  virtual ~Computation() = default;
  /// Values per image of every member's prediction.
  virtual std::uint32_t width() const = 0;
  /// Fills `answers`, which has room for all. Returns the seconds that each member took, in rank order, if members
  /// can be told apart, else nothing. Throws what a model throws.
  virtual std::vector<double> predict(const Input& input, MemberAnswers& answers) = 0;
  /// Trains each member on all images in order, `epochs` times, one member after another. Throws Error(failed) if the
  /// strategy cannot train.
  virtual void train(const Input& input, std::uint32_t epochs);
};

/// Loads and warms up the strategy of `job`. Throws Error(usage) or Error(failed) if that is not possible: see each.
std::unique_ptr<Computation> make_computation(const SingleJob& job);

/// One member after another through each segment.
std::unique_ptr<Computation> make_sequential(const SingleJob& job);
/// Each of `job.between` threads takes a member, computes it for all images, and takes the next free member.
std::unique_ptr<Computation> make_threads(const SingleJob& job);
/// All members at each batch in parallel, in LibTorch's inter-op pool of `job.between` threads: as the branches of one
/// TorchScript graph if LibTorch knows their operations (small-cnn, mlp), else as a task for each member. On a GPU:
/// on a stream each, in one CUDA graph; only small-cnn and mlp.
std::unique_ptr<Computation> make_branches(const SingleJob& job);
/// Equal small-cnns or mlps as one network; on a GPU in a CUDA graph. Throws Error(failed) if the members are not
/// equal, or of other kinds.
std::unique_ptr<Computation> make_fused(const SingleJob& job);

/// The members' backends: "fake", "torch 2.11.0", or both.
std::string backend_of(const SingleJob& job);

}  // namespace tutti::bench
