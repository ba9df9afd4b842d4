// How many images each member's batches have: a number that is fixed from the start, or, with `batch_images: auto`,
// sizes that are tried on made-up images until one is settled for each member. The outputs of the trials are discarded.
#pragma once

#include <cstdint>
#include <vector>

#include <tutti/status.hpp>

#include "common/ids.hpp"
#include "common/wire/records.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/process/loop_thread.hpp"

namespace tutti {

/// What was settled for a member, and what was measured on the way.
struct BatchChoice {
  std::uint32_t batch_images = 1;
  std::vector<BatchSpeed> speeds;
};

/// Used on the loop's thread only.
class BatchSizes {
 public:
  /// The sizes are settled, unless the plan says that they are to be measured.
  explicit BatchSizes(const Plan& plan);

  /// For the tasks that are handed out from now on.
  void try_out(ByRank<std::uint32_t> sizes) TUTTI_REQUIRES(on_loop);
  /// The sizes are final from now on.
  void settle(const ByRank<BatchChoice>& choices) TUTTI_REQUIRES(on_loop);

  /// The member of this rank is another, or a further one.
  void set(Rank rank, std::uint32_t batch_images) TUTTI_REQUIRES(on_loop);

  bool settled() const noexcept TUTTI_REQUIRES(on_loop) { return settled_; }
  std::uint32_t of(Rank rank) const TUTTI_REQUIRES(on_loop) { return sizes_[rank]; }

  /// A segment was opened.
  void note_segment() noexcept TUTTI_REQUIRES(on_loop) { tried_segments_ += settled_ ? 0 : 1; }
  /// Segments of made-up images so far.
  std::uint64_t tried_segments() const noexcept TUTTI_REQUIRES(on_loop) { return tried_segments_; }
  /// The record as it counts: a NaN in the output for made-up images is not a reason to reject a model.
  CompletionRecord as_it_counts(CompletionRecord record) const TUTTI_REQUIRES(on_loop);

 private:
  ByRank<std::uint32_t> sizes_ TUTTI_GUARDED_BY(on_loop);
  bool settled_ TUTTI_GUARDED_BY(on_loop);
  std::uint64_t tried_segments_ TUTTI_GUARDED_BY(on_loop) = 0;
};

}  // namespace tutti
