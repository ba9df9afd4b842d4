#include "common/wire/rows.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace tutti {

bool changes_rows(const Step& step) {
  return with_description(step, [](auto description, const auto& one) {
    return requires { description.rows(one, 0U); };
  });
}

std::uint32_t rows_behind(std::span<const Step> steps, std::uint32_t rows) {
  for (const Step& step : steps)
    rows = with_description(step, [&](auto description, const auto& one) -> std::uint32_t {
      if constexpr (requires { description.rows(one, rows); })
        return description.rows(one, rows);
      else
        return rows;
    });
  return rows;
}

std::size_t first_row_step(std::span<const Step> steps) {
  return static_cast<std::size_t>(std::ranges::find_if(steps, changes_rows) - steps.begin());
}

std::optional<MisplacedStep> misplaced_row_step(std::span<const Step> steps, std::uint32_t rows) {
  const std::size_t first = first_row_step(steps);
  for (std::size_t s = first; s < steps.size(); ++s) {
    const bool crops = std::holds_alternative<CropBoxesStep>(steps[s]);
    if (!changes_rows(steps[s])) continue;
    if (s != first)
      return MisplacedStep{
          s, fmt::format("there is no model between {} and {}", step_name(steps[first]), step_name(steps[s])),
          "put a model between them: it computes on the rows that one makes for the other"};
    if (crops && rows > 0)
      return MisplacedStep{s, fmt::format("a sample has up to {} rows here already", rows),
                           "put a step reduce before it"};
    if (!crops && rows == 0)
      return MisplacedStep{s, "a sample has one row here, and there is nothing to reduce",
                           "leave it out, or put a step crop_boxes and a model before it"};
  }
  return std::nullopt;
}

std::optional<IndexFault> fault_in(const RowIndex& index, SegmentId segment, std::uint32_t samples,
                                   std::uint32_t most) {
  if (index.header.segment != segment.value()) return IndexFault::other_segment;
  if (index.header.samples != samples || index.counts.size() != samples) return IndexFault::other_samples;
  std::uint64_t sum = 0;
  for (const std::uint32_t count : index.counts) {
    if (count > most) return IndexFault::too_many;
    sum += count;
  }
  return sum == index.header.rows ? std::nullopt : std::optional(IndexFault::other_sum);
}

std::string_view text_of(std::uint64_t fault) {
  switch (fault) {
    case static_cast<std::uint64_t>(IndexFault::other_segment):
      return "it is about another segment";
    case static_cast<std::uint64_t>(IndexFault::other_samples):
      return "it is about another number of samples";
    case static_cast<std::uint64_t>(IndexFault::too_many):
      return "it counts more rows of a sample than there can be";
    case static_cast<std::uint64_t>(IndexFault::other_sum):
      return "its counts do not add up";
    default:
      return "it cannot be used";
  }
}

std::vector<std::uint32_t> owners_of(std::span<const std::uint32_t> counts) {
  std::vector<std::uint32_t> owners;
  for (std::uint32_t sample = 0; sample < counts.size(); ++sample) owners.insert(owners.end(), counts[sample], sample);
  return owners;
}

}  // namespace tutti
