// The binding of tutti/parts.hpp: one ensemble in several places.
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tutti/tutti.h>
#include <tutti/ensemble.hpp>
#include <tutti/parts.hpp>

#include "python/src/arrays.hpp"
#include "python/src/results.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

using Array = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

Predictions combine_arrays(const Spec& spec, const std::vector<std::pair<std::string, Array>>& members) {
  std::vector<MemberPredictions> all;
  std::uint64_t count = 0;
  for (const auto& [name, array] : members) {
    if (array.ndim() == 0)
      throw Error(ErrorKind::usage, "the predictions of '" + name + "' are a single number", {},
                  "the first axis of the array counts the samples");
    if (all.empty()) count = array.shape(0);
    MemberPredictions member{name, {}, 1, std::vector<float>(array.data(), array.data() + array.size())};
    for (std::size_t axis = 1; axis < array.ndim(); ++axis)
      member.shape.push_back(static_cast<std::uint32_t>(array.shape(axis)));
    member.width = static_cast<std::uint32_t>(elements_of(member.shape));
    all.push_back(std::move(member));
  }
  return combine(spec, count, std::move(all));
}

std::vector<std::tuple<std::string, std::string, Dims>> layouts_of(const Spec& spec) {
  std::vector<std::tuple<std::string, std::string, Dims>> layouts;
  for (const NamedLayout& tensor : sample_of(spec))
    layouts.emplace_back(tensor.name, to_text(tensor.layout.dtype), tensor.layout.dims);
  return layouts;
}

}  // namespace

void bind_parts(nb::module_& module) {
  module.attr("version") = tutti_version();
  module.def("member_names", &member_names, nb::arg("spec"), "The names of the members, in rank order.");
  module.def("segment_images", &segment_images, nb::arg("spec"), "The images of a segment, also with `auto`.");
  module.def("sample_of", &layouts_of, nb::arg("spec"), "The arrays of a sample: (name, type, shape).");
  module.def("settled", &settled, nb::arg("spec"), "The description with segments as other machines must have them.");
  module.def("part_of", &part_of, nb::arg("spec"), nb::arg("ranks"), "The description of some members, rule `none`.");
  module.def(
      "fingerprint", [](const Spec& spec, const std::string& worker) { return fingerprint(spec, worker); },
      nb::arg("spec"), nb::arg("worker") = "", "What the bytes of predictions depend on, on this machine.");
  module.def("combine", &combine_arrays, nb::arg("spec"), nb::arg("members"),
             "Combines float32 arrays, samples first: (name, array) of each member.");
}

}  // namespace tutti::python
