// Which tensors of a sample a member takes: reads its `takes:`, and checks it against what the samples have. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/reader.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// What is wrong, and what to do about it; `what` is empty if nothing is.
struct Misfit {
  std::string what;
  std::string hint{};
};

/// `takes:` as read, and where each name was written. Mistakes become violations.
struct ReadTakes {
  std::vector<TakesSpec> takes;
  std::vector<SourcePosition> positions;
};
ReadTakes read_takes(Fields& fields, Violations& violations);

/// The tensors that a member takes of samples whose tensors have these names.
struct TakenNames {
  std::vector<std::size_t> places{};   ///< in the names, in the order of the model's arguments
  Misfit wrong{};                      ///< then there are no places
  std::optional<std::size_t> which{};  ///< the entry of `takes` that is wrong, if it is one
};
TakenNames taken_names(const MemberSpec& member, std::span<const std::string> names);

/// What the worker makes of taken tensors that are not the images of a data set, before its model sees them: the
/// member's `input` prepares the one that is an image, or those that it names.
struct SeenTensors {
  std::vector<TensorLayout> layouts{};
  std::vector<std::size_t> prepared{};  ///< the places, among the taken ones, of these images
  Misfit wrong{};                       ///< also if a model of this kind cannot take what is made
};
SeenTensors seen_tensors(const MemberSpec& member, std::span<const NamedLayout> taken);

}  // namespace tutti::config
