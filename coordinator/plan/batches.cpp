#include "coordinator/plan/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "coordinator/decide/batch_search.hpp"

namespace tutti {
namespace {

// The largest batches that are tried. On a CPU the fastest batches fit into a core's cache, and a process keeps the
// memory of the largest batch that it has run.
constexpr std::uint32_t kMostImagesOnCpu = 128;
constexpr std::uint32_t kMostImagesOnGpu = 1024;

void check_earlier_batches(const config::EnsembleSpec& spec, const std::vector<std::uint32_t>& earlier) {
  if (earlier.empty()) return;
  const auto refuse = [](std::string what, std::string hint) {
    throw Error(ErrorKind::usage, std::move(what), {}, std::move(hint));
  };
  if (!spec.measure_batch_images)
    refuse("batches of an earlier run are given, but 'batch_images' is a number",
           "leave Options::batch_images empty, or set 'batch_images: auto'");
  if (earlier.size() != spec.members.size())
    refuse(fmt::format("{} of an earlier run given for {}", counted(earlier.size(), "batch"),
                       counted(spec.members.size(), "member")),
           "give one per member in Options::batch_images, or none to measure");
  for (const std::uint32_t batch : earlier)
    if (batch == 0 || batch > spec.segment_images)
      refuse(fmt::format("a batch of {} is given for segments of {}", counted(batch, "image"), spec.segment_images),
             "give at least 1 and at most 'segment_images' in Options::batch_images, or none to measure");
}

}  // namespace

BatchSource choose_batch_source(const config::EnsembleSpec& spec, const Options& options) {
  check_earlier_batches(spec, options.batch_images);
  if (!spec.measure_batch_images) return {};
  if (!options.batch_images.empty()) return {Batches::measured_before, {}};
  if (!options.training && options.debug_member.empty()) return {Batches::to_measure, {}};
  return {Batches::given, fmt::format("batch_images: auto is {} here: nothing is measured while {}",
                                      std::min(spec.batch_images, spec.segment_images),
                                      options.training ? "members learn" : "a worker is debugged")};
}

std::vector<std::uint32_t> batches_to_measure(std::uint32_t segment_images, bool cuda) {
  return batch_candidates(segment_images, cuda ? kMostImagesOnGpu : kMostImagesOnCpu);
}

BatchRange batch_range(Batches batches, const config::EnsembleSpec& spec, const Options& options, std::size_t rank,
                       bool cuda) {
  if (batches == Batches::to_measure) {
    const auto candidates = batches_to_measure(spec.segment_images, cuda);
    return {candidates.front(), candidates.back()};
  }
  const std::uint32_t batch = batches == Batches::measured_before ? options.batch_images[rank]
                                                                  : std::min(spec.batch_images, spec.segment_images);
  return {batch, batch};
}

std::vector<std::uint32_t> short_batches(const ArenaLayout& arena, std::optional<std::uint64_t> images,
                                         std::uint32_t batch_images) {
  std::vector<std::uint32_t> sizes{arena.images % batch_images};
  if (images) sizes.push_back(static_cast<std::uint32_t>(*images % arena.images) % batch_images);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  std::erase(sizes, 0U);
  return sizes;
}

}  // namespace tutti
