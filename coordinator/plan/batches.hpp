// Where the sizes of the members' batches come from: a number in the description, a measurement still to be made
// (`batch_images: auto`), or a measurement of an earlier run. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <tutti/status.hpp>

#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"
#include "config/spec.hpp"

namespace tutti {

enum class Batches { given, to_measure, measured_before };

struct BatchSource {
  Batches batches = Batches::given;
  std::string note;  ///< why nothing is measured although the description asks for it; empty otherwise
};

/// Throws Error(usage) if `options` holds batches of an earlier run that do not fit the description.
BatchSource choose_batch_source(const config::EnsembleSpec& spec, const Options& options);

/// The sizes that `batch_images: auto` tries on a CPU or on a GPU, ascending.
std::vector<std::uint32_t> batches_to_measure(std::uint32_t segment_images, bool cuda);

/// The batch that a member is loaded with, and the largest one that is tried on it: the same if nothing is measured.
struct BatchRange {
  std::uint32_t first = 1;
  std::uint32_t most = 1;
};
BatchRange batch_range(Batches batches, const config::EnsembleSpec& spec, const Options& options, std::size_t rank,
                       bool cuda);

/// The short batches that will occur, in order: the last one of a full segment, and, if the number of `images` of the
/// input is known, the last one of the last segment.
std::vector<std::uint32_t> short_batches(const ArenaLayout& arena, std::optional<std::uint64_t> images,
                                         std::uint32_t batch_images);

}  // namespace tutti
