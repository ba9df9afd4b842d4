// Rows: what a sample becomes behind a step that makes several of it (crop_boxes), until another one makes one of them
// again (reduce). How many at most, which the description tells; and the index that travels with the rows, which says
// how many each sample has.
//
// The rows of a segment are in its output slot without gaps, in the order of the samples. The index is behind them. It
// is written by a worker and read by another one, which copies it and checks the copy before it uses any number of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/ids.hpp"
#include "common/wire/steps.hpp"

namespace tutti {

// ---- what the description tells -------------------------------------------------------------------------------------

/// Whether the step changes how many rows a sample has.
bool changes_rows(const Step& step);

/// The most rows that a sample has behind these steps, if it had at most `rows` before; 0: exactly one, which no index
/// counts.
std::uint32_t rows_behind(std::span<const Step> steps, std::uint32_t rows);

/// The place of the first step that changes how many rows a sample has; their number, if none does.
std::size_t first_row_step(std::span<const Step> steps);

/// A step that cannot be where it is, behind a model that computes on at most `rows` rows of a sample (0: on the
/// sample).
struct MisplacedStep {
  std::size_t step = 0;  ///< which of them
  std::string what{};
  std::string hint{};
};
std::optional<MisplacedStep> misplaced_row_step(std::span<const Step> steps, std::uint32_t rows);

// ---- the index ------------------------------------------------------------------------------------------------------

/// The beginning of an index in shared memory. The counts follow, one for each sample.
struct RowIndexHeader {
  std::uint64_t segment = 0;  ///< SegmentId of the task that it was written for
  std::uint32_t samples = 0;
  std::uint32_t rows = 0;  ///< of all samples
};
static_assert(std::is_trivially_copyable_v<RowIndexHeader> && sizeof(RowIndexHeader) == 16);

/// An index that was copied out of shared memory.
struct RowIndex {
  RowIndexHeader header{};
  std::vector<std::uint32_t> counts{};  ///< by sample
};

/// What is wrong with an index. The numbers cross the border between processes.
enum class IndexFault : std::uint8_t { other_segment = 1, other_samples = 2, too_many = 3, other_sum = 4 };

/// What the index of this task, which asks for so many samples of at most `most` rows each, must not be. Nothing: every
/// number of it is right.
std::optional<IndexFault> fault_in(const RowIndex& index, SegmentId segment, std::uint32_t samples, std::uint32_t most);

/// "it counts more rows of a sample than there can be"; of any number, since a worker writes it.
std::string_view text_of(std::uint64_t fault);

/// Which sample each row belongs to.
std::vector<std::uint32_t> owners_of(std::span<const std::uint32_t> counts);

}  // namespace tutti
