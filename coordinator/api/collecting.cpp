#include "coordinator/api/collecting.hpp"

#include <optional>

#include "common/axis.hpp"
#include "coordinator/decide/spread.hpp"
#include "images/tiles.hpp"
#include "results/blending.hpp"

namespace tutti {
namespace {

images::ResultForm result_form(std::uint64_t images, const config::EnsembleSpec& spec,
                               const ByRank<Dims>& outputs) {
  images::ResultForm form;
  form.images = images;
  const config::CombineSpec& combine = spec.combine;
  const bool combined = combine.rule != CombineRule::none;
  if (combined) form.shape = outputs[0];
  if (combine.decides()) form.decided = without_axis(*form.shape, combine.axis);
  if (combined && combine.spread) form.spread = spread_shape(combine, *form.shape);
  if (!combined || spec.save_members)
    for (const Rank rank : outputs.ids()) form.members.push_back({spec.members[rank.value()].name, outputs[rank]});
  return form;
}

}  // namespace

std::unique_ptr<images::CollectingSink> collecting(const Source& source, const config::EnsembleSpec& spec,
                                                   const ByRank<Dims>& outputs) {
  const images::ResultForm form = result_form(source.count(), spec, outputs);
  const images::Tiling* const tiling = images::tiling_of(source);
  if (tiling == nullptr) return std::make_unique<images::MemorySink>(form);
  const config::CombineSpec& combine = spec.combine;
  for (const Rank rank : outputs.ids())
    images::check_tile_output(spec.members[rank.value()].name, outputs[rank], tiling->tiles().size,
                              combine.decides() ? size_at(outputs[rank], combine.axis) : std::nullopt);
  return std::make_unique<images::BlendedMemory>(form, *tiling);
}

}  // namespace tutti
