#include "evaluation/run/blended_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <tutti/error.hpp>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "images/tiles.hpp"

namespace tutti {
namespace {

void check_classes_of(const images::InputMasks& masks, const MemberStatus& member, std::uint32_t classes) {
  if (masks.classes() <= classes) return;
  throw Error(
      ErrorKind::usage, fmt::format("{} cannot be compared with the predictions", masks.name()),
      fmt::format("they have {}, but '{}' predicts {}", counted(masks.classes(), "class"), member.name, classes),
      fmt::format("number the classes as the members do; if {0} marks places to leave out, set "
                  "'ignore_index: {0}'",
                  masks.classes() - 1));
}

}  // namespace

std::optional<images::TileLabels> tile_labels(const config::EnsembleSpec& spec, Source& source,
                                              const std::vector<MemberStatus>& members) {
  images::InputMasks* const masks = images::masks_of(source);
  if (masks == nullptr || !has_classes(spec.combine.over)) return std::nullopt;
  images::TileLabels labels{*masks, spec.input.ignore_index, {}};
  for (const MemberStatus& member : members) labels.members.push_back(member.output);
  return labels;
}

void check_tiles(const config::EnsembleSpec& spec, Source& source, const std::vector<MemberStatus>& members) {
  const images::Tiling* const tiling = images::tiling_of(source);
  const auto labels = tile_labels(spec, source, members);
  for (const MemberStatus& member : members) {
    const bool decides = spec.combine.decides() || labels;
    const auto axis = decides ? size_at(member.output, spec.combine.axis) : std::nullopt;
    images::check_tile_output(member.name, member.output, tiling->tiles().size, axis);
    if (labels) check_classes_of(labels->masks, member, member.output.front());
  }
}

void add_blended_scores(images::Report& report, const images::BlendingSink& blended) {
  if (report.ensemble) report.ensemble->scores = blended.ensemble();
  std::vector<images::Figures> members = blended.members();
  report.members.resize(std::max(report.members.size(), members.size()));
  for (std::size_t rank = 0; rank < members.size(); ++rank) report.members[rank].scores = std::move(members[rank]);
}

}  // namespace tutti
