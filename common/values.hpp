// The enumerations that several layers share, and their names in YAML, in reports and on the wire. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <tutti/tensor.hpp>

namespace tutti {

/// What the numbers of an output mean. `values` are what a regression predicts: depths, prices, coordinates.
enum class OutputKind : std::uint8_t { probabilities, logits, features, values };
/// Whether there is a score for each class.
constexpr bool has_classes(OutputKind kind) { return kind == OutputKind::probabilities || kind == OutputKind::logits; }

/// How logits become probabilities: over the classes, of which one is right; each for itself, since several labels may
/// be right; or not at all.
enum class Activation : std::uint8_t { softmax, sigmoid, none };

/// What a clip-vit outputs: the CLS token after the last norm, that token projected into the text space, or logits.
enum class ClipOutput : std::uint8_t { pooled, projected, logits };
/// What its numbers mean.
constexpr OutputKind kind_of(ClipOutput output) {
  return output == ClipOutput::logits ? OutputKind::logits : OutputKind::features;
}

/// How the members' predictions become the ensemble's.
enum class CombineRule : std::uint8_t {
  mean,
  sum,
  weighted,
  max,
  most_confident,
  vote,
  median,
  geometric_mean,
  none,
};

/// What happens to a member whose workers die: `restart` and `degrade` replace them as long as the restart budget
/// allows, and then end the run or continue without the member; `fail` ends the run at the first death.
enum class OnWorkerFailure : std::uint8_t { restart, degrade, fail };
/// What happens to a segment that kills the workers that compute it.
enum class OnPoison : std::uint8_t { set_aside, fail };
/// What a prediction with NaN or infinity means.
enum class OnNan : std::uint8_t { error, allow, degrade };
/// Spare workers: none, started with their libraries loaded, or loaded and warm.
enum class Spares : std::uint8_t { none, process, member };
/// How a worker's process starts: spawned, forked from a process that has LibTorch loaded, or the better of the two.
enum class StartMethod : std::uint8_t { automatic, spawn, forkserver };
/// How a worker runs the members of its unit: one after the other for each segment; each in a thread of its own; or
/// equal networks as one, which computes all of them at once.
enum class UnitMode : std::uint8_t { loop, threads, fused };

/// How a view of an image is made, which a member predicts too: test-time augmentation. Turns are counter-clockwise.
enum class ViewKind : std::uint8_t { identity, hflip, vflip, rot90, rot180, rot270, transpose, crops, scale };
/// How an image is resized: not at all; the shorter side to a length (then a crop); both sides, without keeping the
/// proportions.
enum class ResizeRule : std::uint8_t { none, shorter, exact };
/// The filters of Pillow: with antialiasing if the image gets smaller.
enum class Interpolation : std::uint8_t { nearest, bilinear, bicubic };
/// How the place of a centre crop is rounded if it lies between two pixels: to the even one, as torchvision does, or
/// towards the top left, as the processors of transformers do.
enum class CropRounding : std::uint8_t { half_even, floor };
/// What is done about the EXIF orientation of a picture: nothing, or it is turned upright.
enum class Orientation : std::uint8_t { ignore, exif };
/// What happens if an image cannot be decoded.
enum class OnBroken : std::uint8_t { fail, skip };

/// How checkpoints become one.
enum class MergeMethod : std::uint8_t { average, weighted, task_arithmetic, ties, slerp, greedy_soup };
/// What ties does with the changes that agree in sign.
enum class Disjoint : std::uint8_t { mean, sum };
/// What merging does with BatchNorm statistics: they are averaged like weights, or estimated again over images.
enum class BatchNorm : std::uint8_t { keep, estimate };

/// What training changes in a member: its weights, from labels, or the statistics of its BatchNorm layers, for which
/// images are enough.
enum class Learns : std::uint8_t { weights, statistics };

/// What the labels of images are, by what the members predict: classes, of which one is right for each image or place;
/// 0 or 1 for each of several labels; or numbers.
enum class LabelForm : std::uint8_t { classes, indicators, values };

/// What a `fake` member does wrong, and in which phase of its life.
enum class FaultKind : std::uint8_t { none, exception, exit, abort, segfault, kill, hang, nan, stop, leak };
enum class FaultPhase : std::uint8_t { load, warm_up, predict, train };

/// The names of an enumeration; found by argument-dependent lookup through a dummy value.
template <class Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};
// clang before 17 does not deduce the arguments of an aggregate by itself (P1816).
template <class Enum>
EnumName(Enum, std::string_view) -> EnumName<Enum>;

constexpr auto enum_names(ClipOutput) {
  return std::array{EnumName{ClipOutput::pooled, "pooled"}, EnumName{ClipOutput::projected, "projected"},
                    EnumName{ClipOutput::logits, "logits"}};
}
constexpr auto enum_names(OutputKind) {
  return std::array{EnumName{OutputKind::probabilities, "probabilities"}, EnumName{OutputKind::logits, "logits"},
                    EnumName{OutputKind::features, "features"}, EnumName{OutputKind::values, "values"}};
}
constexpr auto enum_names(Activation) {
  return std::array{EnumName{Activation::softmax, "softmax"}, EnumName{Activation::sigmoid, "sigmoid"},
                    EnumName{Activation::none, "none"}};
}
constexpr auto enum_names(CombineRule) {
  return std::array{EnumName{CombineRule::mean, "mean"},
                    EnumName{CombineRule::sum, "sum"},
                    EnumName{CombineRule::weighted, "weighted"},
                    EnumName{CombineRule::max, "max"},
                    EnumName{CombineRule::most_confident, "most_confident"},
                    EnumName{CombineRule::vote, "vote"},
                    EnumName{CombineRule::median, "median"},
                    EnumName{CombineRule::geometric_mean, "geometric_mean"},
                    EnumName{CombineRule::none, "none"}};
}
constexpr auto enum_names(Dtype) {
  return std::array{EnumName{Dtype::float32, "float32"},   EnumName{Dtype::float16, "float16"},
                    EnumName{Dtype::bfloat16, "bfloat16"}, EnumName{Dtype::uint8, "uint8"},
                    EnumName{Dtype::int32, "int32"},       EnumName{Dtype::int64, "int64"},
                    EnumName{Dtype::boolean, "bool"}};
}
constexpr auto enum_names(ViewKind) {
  return std::array{EnumName{ViewKind::identity, "identity"},   EnumName{ViewKind::hflip, "hflip"},
                    EnumName{ViewKind::vflip, "vflip"},         EnumName{ViewKind::rot90, "rot90"},
                    EnumName{ViewKind::rot180, "rot180"},       EnumName{ViewKind::rot270, "rot270"},
                    EnumName{ViewKind::transpose, "transpose"}, EnumName{ViewKind::crops, "crops"},
                    EnumName{ViewKind::scale, "scale"}};
}
constexpr auto enum_names(ResizeRule) {
  return std::array{EnumName{ResizeRule::none, "none"}, EnumName{ResizeRule::shorter, "shorter"},
                    EnumName{ResizeRule::exact, "exact"}};
}
constexpr auto enum_names(Interpolation) {
  return std::array{EnumName{Interpolation::nearest, "nearest"}, EnumName{Interpolation::bilinear, "bilinear"},
                    EnumName{Interpolation::bicubic, "bicubic"}};
}
constexpr auto enum_names(CropRounding) {
  return std::array{EnumName{CropRounding::half_even, "half_even"}, EnumName{CropRounding::floor, "floor"}};
}
constexpr auto enum_names(Orientation) {
  return std::array{EnumName{Orientation::ignore, "ignore"}, EnumName{Orientation::exif, "exif"}};
}
constexpr auto enum_names(OnBroken) {
  return std::array{EnumName{OnBroken::fail, "fail"}, EnumName{OnBroken::skip, "skip"}};
}
constexpr auto enum_names(MergeMethod) {
  return std::array{EnumName{MergeMethod::average, "average"},
                    EnumName{MergeMethod::weighted, "weighted"},
                    EnumName{MergeMethod::task_arithmetic, "task_arithmetic"},
                    EnumName{MergeMethod::ties, "ties"},
                    EnumName{MergeMethod::slerp, "slerp"},
                    EnumName{MergeMethod::greedy_soup, "greedy_soup"}};
}
constexpr auto enum_names(Disjoint) {
  return std::array{EnumName{Disjoint::mean, "mean"}, EnumName{Disjoint::sum, "sum"}};
}
constexpr auto enum_names(BatchNorm) {
  return std::array{EnumName{BatchNorm::keep, "keep"}, EnumName{BatchNorm::estimate, "estimate"}};
}
constexpr auto enum_names(Learns) {
  return std::array{EnumName{Learns::weights, "weights"}, EnumName{Learns::statistics, "statistics"}};
}
constexpr auto enum_names(OnWorkerFailure) {
  return std::array{EnumName{OnWorkerFailure::restart, "restart"}, EnumName{OnWorkerFailure::degrade, "degrade"},
                    EnumName{OnWorkerFailure::fail, "fail"}};
}
constexpr auto enum_names(OnPoison) {
  return std::array{EnumName{OnPoison::set_aside, "set_aside"}, EnumName{OnPoison::fail, "fail"}};
}
constexpr auto enum_names(OnNan) {
  return std::array{EnumName{OnNan::error, "error"}, EnumName{OnNan::allow, "allow"},
                    EnumName{OnNan::degrade, "degrade"}};
}
constexpr auto enum_names(Spares) {
  return std::array{EnumName{Spares::none, "none"}, EnumName{Spares::process, "process"},
                    EnumName{Spares::member, "member"}};
}
constexpr auto enum_names(StartMethod) {
  return std::array{EnumName{StartMethod::automatic, "auto"}, EnumName{StartMethod::spawn, "spawn"},
                    EnumName{StartMethod::forkserver, "forkserver"}};
}
constexpr auto enum_names(UnitMode) {
  return std::array{EnumName{UnitMode::loop, "loop"}, EnumName{UnitMode::threads, "threads"},
                    EnumName{UnitMode::fused, "fused"}};
}
constexpr auto enum_names(FaultKind) {
  return std::array{EnumName{FaultKind::none, "none"},         EnumName{FaultKind::exception, "exception"},
                    EnumName{FaultKind::exit, "exit"},         EnumName{FaultKind::abort, "abort"},
                    EnumName{FaultKind::segfault, "segfault"}, EnumName{FaultKind::kill, "kill"},
                    EnumName{FaultKind::hang, "hang"},         EnumName{FaultKind::nan, "nan"},
                    EnumName{FaultKind::stop, "stop"},         EnumName{FaultKind::leak, "leak"}};
}
constexpr auto enum_names(FaultPhase) {
  return std::array{EnumName{FaultPhase::load, "load"}, EnumName{FaultPhase::warm_up, "warm_up"},
                    EnumName{FaultPhase::predict, "predict"}, EnumName{FaultPhase::train, "train"}};
}

/// The name of a value; "?" for a value outside the enumeration (it may come from a corrupted record).
template <class Enum>
constexpr std::string_view to_name(Enum value) {
  for (const auto& entry : enum_names(Enum{}))
    if (entry.value == value) return entry.name;
  return "?";
}

/// The value of a name, or nothing.
template <class Enum>
constexpr std::optional<Enum> from_name(std::string_view name) {
  for (const auto& entry : enum_names(Enum{}))
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

}  // namespace tutti
