// Where the sizes of the members' batches come from: a number of the description, a measurement that is still to be
// made (`batch_images: auto`), or one that an earlier run has made. Pure.
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

/// Throws Error(usage) where the batches of an earlier run that `options` holds do not fit the description.
BatchSource choose_batch_source(const config::EnsembleSpec& spec, const Options& options);

/// The sizes that `batch_images: auto` tries on a CPU or on a GPU, ascending.
std::vector<std::uint32_t> batches_to_measure(std::uint32_t segment_images, bool cuda);

/// What a member is loaded with, and the largest batch that is tried on it: the same where nothing is.
struct BatchRange {
  std::uint32_t first = 1;
  std::uint32_t most = 1;
};
BatchRange batch_range(Batches batches, const config::EnsembleSpec& spec, const Options& options, std::size_t rank,
                       bool cuda);

/// The short batches that will occur, in order: the last one of a whole segment, and that of the last segment where the
/// number of `images` of the input is known.
std::vector<std::uint32_t> short_batches(const ArenaLayout& arena, std::optional<std::uint64_t> images,
                                         std::uint32_t batch_images);

}  // namespace tutti
