#include "coordinator/plan/segments.hpp"

#include <algorithm>

namespace tutti {
namespace {

constexpr std::uint64_t kMostImages = 500;
constexpr std::uint64_t kMostBytes = 64ULL << 20;
constexpr std::uint64_t kSegments = 8;
/// The batches that `batch_images: auto` tries on a CPU should fit.
constexpr std::uint64_t kMeasuredBatch = 128;

}  // namespace

std::uint32_t choose_segment(const config::EnsembleSpec& spec, const InputForm& images) {
  const std::uint64_t batch =
      std::min<std::uint64_t>(spec.measure_batch_images ? kMeasuredBatch : spec.batch_images, kMostImages);
  std::uint64_t sample_bytes = 0;
  for (const NamedLayout& tensor : images.tensors) sample_bytes += tensor.layout.bytes();
  const std::uint64_t by_bytes = kMostBytes / std::max<std::uint64_t>(1, sample_bytes);
  std::uint64_t most = kMostImages;
  if (by_bytes < most) most = by_bytes / batch * batch;
  if (images.images) {
    std::uint64_t segments = kSegments;  // for each replica, so that they finish at about the same time
    for (const config::UnitSpec& unit : spec.workers) segments = std::max(segments, kSegments * unit.replicas);
    const std::uint64_t share = (*images.images + segments - 1) / segments;
    const std::uint64_t whole = (share + batch - 1) / batch * batch;
    most = std::min(most, whole);
  }
  return static_cast<std::uint32_t>(std::max(most, batch));
}

config::EnsembleSpec with_segment(config::EnsembleSpec spec, InputForm images, bool training) {
  if (!spec.choose_segment_images) return spec;
  if (training) images.images.reset();
  spec.segment_images = choose_segment(spec, images);
  spec.choose_segment_images = false;
  return spec;
}

}  // namespace tutti
