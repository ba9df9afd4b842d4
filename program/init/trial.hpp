// Starts each model that `tutti init` found once, by itself, to find out what it outputs and which size of pictures it
// takes. It predicts no image.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <tutti/tensor.hpp>

#include "config/tree.hpp"
#include "program/init/found.hpp"

namespace tutti::program {

/// How a trial of one model ended.
struct Trial {
  Dims output{};           ///< sizes of a prediction; empty: not known
  std::uint32_t side = 0;  ///< the first size of square pictures that it took; 0: it had no choice
  std::string problem{};   ///< why it could not be started; empty if it could, or was not tried
};

/// Starts the only member of a description and returns the sizes of its predictions. Throws Error.
using Start = std::function<Dims(const config::Tree& description)>;

/// A trial for each model. Models that may take pictures of any size are tried with usual sizes, the first of which is
/// the one that the pictures of a folder have without `resize`. Error(interrupted) ends them.
std::vector<Trial> try_models(const Found& found, const std::vector<std::string>& devices, const Start& start);

/// The description of one model by itself: `side` 0 leaves its pictures as they are.
config::Tree description_of_one(const FoundModel& model, const FoundImages& images, const std::string& device,
                                std::uint32_t side);

}  // namespace tutti::program
