#include "coordinator/api/collecting.hpp"

#include <optional>

#include "common/axis.hpp"
#include "coordinator/decide/spread.hpp"
#include "images/tiles.hpp"
#include "results/blending.hpp"

namespace tutti {
namespace {

images::ResultForm result_form(std::uint64_t images, const Lineup& lineup) {
  images::ResultForm form;
  form.images = images;
  const config::CombineSpec& combine = lineup.description->combine;
  const bool combined = combine.rule != CombineRule::none;
  if (combined) form.shape = lineup.members.front().output;
  if (combine.decides()) form.decided = without_axis(*form.shape, combine.axis);
  if (combined && combine.spread) form.spread = spread_shape(combine, *form.shape);
  if (!combined || lineup.description->save_members)
    for (std::size_t m = 0; m < lineup.members.size(); ++m)
      form.members.push_back({lineup.description->members[m].name, lineup.members[m].output});
  return form;
}

}  // namespace

std::unique_ptr<images::CollectingSink> collecting(const Source& source, const Lineup& lineup) {
  const images::ResultForm form = result_form(source.count(), lineup);
  const images::Tiling* const tiling = images::tiling_of(source);
  if (tiling == nullptr) return std::make_unique<images::MemorySink>(form);
  const config::CombineSpec& combine = lineup.description->combine;
  for (std::size_t m = 0; m < lineup.members.size(); ++m) {
    const Dims& output = lineup.members[m].output;
    images::check_tile_output(lineup.description->members[m].name, output, tiling->tiles().size,
                              combine.decides() ? size_at(output, combine.axis) : std::nullopt);
  }
  return std::make_unique<images::BlendedMemory>(form, *tiling);
}

}  // namespace tutti
