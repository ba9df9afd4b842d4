// The description of an ensemble (tutti/spec.hpp) and its words. It knows nothing of processes, memory or LibTorch.
// What config/load.hpp returns has passed every check that does not need to look at the machine.
#pragma once

#include <array>
#include <string>

#include <tutti/spec.hpp>

#include "common/member_input.hpp"
#include "common/tiles.hpp"
#include "common/values.hpp"
#include "common/views.hpp"
#include "common/wire/model_kinds.hpp"

namespace tutti {

// Their names in YAML, as in common/values.hpp. `memory` may also be written by leaving `dataset` out.
constexpr auto enum_names(Dataset) {
  return std::array{EnumName{Dataset::digits, "digits"}, EnumName{Dataset::cifar10, "cifar10"},
                    EnumName{Dataset::npy, "npy"},       EnumName{Dataset::folder, "folder"},
                    EnumName{Dataset::random, "random"}, EnumName{Dataset::memory, "memory"}};
}
constexpr auto enum_names(Split) { return std::array{EnumName{Split::train, "train"}, EnumName{Split::test, "test"}}; }
constexpr auto enum_names(Masks) { return std::array{EnumName{Masks::none, "none"}, EnumName{Masks::png, "png"}}; }
constexpr auto enum_names(Layout) { return std::array{EnumName{Layout::nchw, "nchw"}, EnumName{Layout::nhwc, "nhwc"}}; }
constexpr auto enum_names(Doubt) {
  return std::array{EnumName{Doubt::confidence_below, "confidence_below"},
                    EnumName{Doubt::margin_below, "margin_below"}, EnumName{Doubt::entropy_above, "entropy_above"}};
}

/// As the user would write it: "cpu", "cpu:0-3", "cpu:0,8", "cuda:1", "null"; parse_device() reads it back.
std::string to_text(const Device& device);

}  // namespace tutti

namespace tutti::config {

using tutti::AutoDevice;
using tutti::CascadeStep;
using tutti::CoalesceSpec;
using tutti::CombineSpec;
using tutti::CpuDevice;
using tutti::CudaDevice;
using tutti::Dataset;
using tutti::Device;
using tutti::Doubt;
using tutti::EnsembleSpec;
using tutti::FailureSpec;
using tutti::FoundSamples;
using tutti::InputSpec;
using tutti::InputTensor;
using tutti::Layout;
using tutti::Masks;
using tutti::MemberSpec;
using tutti::MergeSpec;
using tutti::ModelSpec;
using tutti::Preprocess;
using tutti::QuorumSpec;
using tutti::StageSpec;
using tutti::Split;
using tutti::TakesSpec;
using tutti::TaskSpec;
using tutti::to_text;
using tutti::TrainSpec;
using tutti::UnitSpec;
using tutti::detail::Place;
using tutti::detail::Tried;
using tutti::detail::Written;

}  // namespace tutti::config
