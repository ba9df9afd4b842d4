#include "coordinator/api/fitted.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti {

namespace {

/// Saved predictions are those of the samples with certain numbers.
void check_numbers(const MemberRequest& member, const Source& source) {
  if (source.count() == 0) return;
  const SavedRows& rows = *member.saved;
  const std::uint64_t first = source.number_of(0);
  const std::uint64_t last = source.number_of(source.count() - 1);
  if (first >= rows.first && last - rows.first < rows.rows) return;
  throw Error(ErrorKind::usage, fmt::format("{} has no saved predictions for all of {}", member.name, source.name()),
              fmt::format("its file has those of samples {} to {}, and the source has {} to {}", rows.first,
                          rows.first + rows.rows - 1, first, last),
              "predict the samples of the ensemble's 'input', or leave the member out");
}

}  // namespace

FittedSource fitted(Source& source, const Plan& plan) {
  for (const MemberPlan& member : plan.members)
    if (member.request.saved) check_numbers(member.request, source);
  return {source, plan.input};
}

void refuse_saved(const Plan& plan) {
  for (const MemberPlan& member : plan.members)
    if (member.request.saved)
      throw Error(ErrorKind::usage,
                  fmt::format("{} has saved predictions, which belong to the samples of the ensemble's 'input'",
                              member.request.name),
                  "samples that come through predict() or submit() have no place in that data set",
                  "call run() with a source of the data set, or leave the member out");
}

}  // namespace tutti
