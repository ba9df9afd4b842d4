// The binding of predictions. An array is a view that keeps its Predictions, so nothing is copied.
#include <cstdint>
#include <string>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <tutti/predictions.hpp>

#include "python/src/results.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

/// A NumPy array of count x dims.
template <class Value>
nb::object array_of(nb::handle owner, std::vector<Value>& values, std::uint64_t count, const Dims& dims) {
  static Value nothing{};  // an empty vector has no memory
  std::vector<std::size_t> shape{count};
  shape.insert(shape.end(), dims.begin(), dims.end());
  Value* const begin = values.empty() ? &nothing : values.data();
  return nb::cast(nb::ndarray<nb::numpy, Value>(begin, shape.size(), shape.data(), owner));
}

Predictions& predictions_of(nb::handle self) { return nb::cast<Predictions&>(self); }

nb::object values(nb::handle self) {
  Predictions& all = predictions_of(self);
  return all.width == 0 ? nb::none() : array_of(self, all.values, all.count, all.shape);
}

nb::object predicted(nb::handle self) {
  Predictions& all = predictions_of(self);
  return all.predicted.empty() && all.count > 0 ? nb::none()
                                                : array_of(self, all.predicted, all.count, all.predicted_shape);
}

nb::object spread(nb::handle self) {
  Predictions& all = predictions_of(self);
  return all.spread.empty() ? nb::none() : array_of(self, all.spread, all.count, all.spread_shape);
}

nb::dict members(nb::handle self) {
  Predictions& all = predictions_of(self);
  nb::dict result;
  for (MemberPredictions& member : all.members)
    result[member.name.c_str()] = array_of(self, member.values, all.count, member.shape);
  return result;
}

std::string text_of(const Predictions& all) {
  std::string text = "<tutti.Predictions of " + std::to_string(all.count) + " samples";
  if (all.width > 0) text += ", " + dims_text(all.shape) + " values each";
  if (!all.incomplete.empty()) text += ", incomplete";
  return text + ">";
}

}  // namespace

void bind_predictions(nb::module_& module) {
  nb::class_<IncompleteSegment>(module, "IncompleteSegment",
                                "Consecutive samples whose prediction is not that of all members.")
      .def_ro("first", &IncompleteSegment::first, "Number of the first sample.")
      .def_ro("count", &IncompleteSegment::count, "How many samples.")
      .def_ro("members_present", &IncompleteSegment::members_present, "How many members predicted them.")
      .def_ro("absent", &IncompleteSegment::absent, "Ranks of the members that did not, ascending.")
      .def_ro("set_aside", &IncompleteSegment::set_aside,
              "Whether it killed too many workers: its values are NaN, its classes -1.")
      .def("__repr__", [](const IncompleteSegment& one) {
        return "<tutti.IncompleteSegment of " + std::to_string(one.count) + " samples from " +
               std::to_string(one.first) + (one.set_aside ? ", set aside>" : ">");
      });
  nb::class_<Predictions>(module, "Predictions",
                          "The predictions of an ensemble. Its arrays are views of its memory and keep it.")
      .def_ro("count", &Predictions::count, "How many samples.")
      .def("__len__", [](const Predictions& all) { return all.count; })
      .def("__repr__", &text_of)
      .def_prop_ro("values", &values, nb::sig("def values(self) -> numpy.typing.NDArray[numpy.float32] | None"),
                   "The combined predictions, float32: (samples, classes), or (samples, ...) as the members output.\n\n"
                   "None with the rule `none`.")
      .def_prop_ro("predicted", &predicted, nb::sig("def predicted(self) -> numpy.typing.NDArray[numpy.int64] | None"),
                   "The classes that the rule decides for, int64: (samples,), or one for each place of a mask.\n\n"
                   "None where nothing is decided: over features and values, and with `activation: sigmoid`.")
      .def_prop_ro("spread", &spread, nb::sig("def spread(self) -> numpy.typing.NDArray[numpy.float32] | None"),
                   "How far the members are apart, float32. None unless `combine` has `spread: true`.")
      .def_prop_ro("members", &members, nb::sig("def members(self) -> dict[str, numpy.typing.NDArray[numpy.float32]]"),
                   "The members' own predictions by name, in rank order; NaN where a member did not predict.\n\n"
                   "Empty unless the description has `save_members: true` or the rule `none`.")
      .def_ro("incomplete", &Predictions::incomplete,
              "The parts that lack a member, in order; empty if every member predicted everything.");
}

}  // namespace tutti::python
