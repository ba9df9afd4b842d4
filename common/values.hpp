// The enumerations that several layers share, and their names in YAML, in reports and on the wire. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <tutti/choices.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// What its numbers mean.
constexpr OutputKind kind_of(ClipOutput output) {
  return output == ClipOutput::logits ? OutputKind::logits : OutputKind::features;
}

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
constexpr auto enum_names(TopKGives) {
  return std::array{EnumName{TopKGives::values, "values"}, EnumName{TopKGives::indices, "indices"}};
}
constexpr auto enum_names(ReduceBy) {
  return std::array{EnumName{ReduceBy::mean, "mean"}, EnumName{ReduceBy::max, "max"}};
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
constexpr auto enum_names(Precision) {
  return std::array{EnumName{Precision::f32, "f32"}, EnumName{Precision::bf16, "bf16"},
                    EnumName{Precision::f16, "f16"}};
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
                    EnumName{FaultKind::stop, "stop"},         EnumName{FaultKind::leak, "leak"},
                    EnumName{FaultKind::nonsense, "nonsense"}};
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
