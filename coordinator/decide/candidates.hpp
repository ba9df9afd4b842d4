// Decides which of several forms of one model is used, from what their trials showed. Pure: the trials are made
// elsewhere (coordinator/api/model_choice.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/choices.hpp>
#include <tutti/status.hpp>

namespace tutti {

/// How far the outputs of a candidate may be from those of the first: as a part of the largest of these. In float32,
/// kernels of different libraries differ by about a hundredth of this; other weights differ by much more.
constexpr double kFarthest = 1e-4;

/// Candidates whose speeds differ by less are equally fast: the first of them is chosen.
constexpr double kEquallyFast = 0.02;

/// Chooses the fastest of those that could be started and whose outputs are near those of the first of them. A
/// candidate with a reason could not be started. Writes the reasons why the others were not chosen, and returns which
/// one was; nothing if none could be started.
std::optional<std::size_t> choose(std::vector<ModelForm>& candidates);

/// The speed in several rounds of the same length: that of all of them together. On a shared machine the fastest round
/// says more about a moment in which nothing else ran than about the form.
class AverageSpeed {
 public:
  /// Of a round, in images per second; 0: nothing was measured.
  void add(double speed);
  /// 0: nothing was measured.
  double value() const { return rounds_ == 0 ? 0 : rounds_ / seconds_per_image_; }

 private:
  int rounds_ = 0;
  double seconds_per_image_ = 0;  ///< the sum over the rounds
};

/// Whether forms compute alternately once more. They have done so `turns` times, which took `spent`; their trials
/// before took `trials`, which is long for large networks, whose turns are few otherwise.
bool another_turn(int turns, std::chrono::duration<double> spent, std::chrono::duration<double> trials);
/// A form that is slower than another one by this factor after so many turns does not take part in the next.
double far_behind(int turns);

/// What a member of a shared worker took of a round.
struct MemberTime {
  std::chrono::duration<double> busy{};
  std::uint32_t threads = 1;  ///< that computed
};

/// How long a worker in this mode needs for a segment of all its members, in a round that took `wall` with all workers.
/// What fused members report are parts of one computation. Members in threads that have to share `cores` take turns,
/// and the time in which one waits for its turn is not always in its `busy`.
std::chrono::duration<double> unit_seconds(UnitMode mode, const std::vector<MemberTime>& members,
                                           std::chrono::duration<double> wall, std::size_t cores);

/// For people, on one line: "onnx m.onnx (measured: torchscript m.pt: 812/s, onnx m.onnx: 1203/s; aoti m.pt2: cannot
/// open it)".
std::string choice_text(const std::vector<ModelForm>& candidates);

}  // namespace tutti
