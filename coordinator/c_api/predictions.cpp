// Predictions in the C API: views of the arrays that a handle holds.
#include <tutti/tutti.h>

#include <string>

#include "coordinator/c_api/guard.hpp"

namespace tutti::c_api {
namespace {

tutti_values values_in(const std::vector<float>& values, std::uint64_t count, const Dims& shape) {
  if (values.empty() && count > 0) return {nullptr, count, 0, nullptr, 0};  // there are none
  return {values.empty() ? nullptr : values.data(), count, elements_of(shape), shape.data(), shape.size()};
}

/// Throws Error(usage) if there are not so many.
template <class Value>
const Value& element(const std::vector<Value>& values, std::size_t index, const char* function, const char* what) {
  if (index >= values.size())
    throw Error(ErrorKind::usage, fmt::format("{}() was asked for {} {}", function, what, index),
                fmt::format("the predictions have {}", values.size()), fmt::format("ask {}_count() first", function));
  return values[index];
}

}  // namespace
}  // namespace tutti::c_api

using namespace tutti::c_api;

extern "C" {

tutti_code tutti_predictions_values(const tutti_predictions* predictions, tutti_values* values, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const auto held = object_of(predictions, function);
    *given(values, function, "values") = values_in(held->values, held->count, held->shape);
  });
}

tutti_code tutti_predictions_classes(const tutti_predictions* predictions, tutti_classes* classes,
                                     tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const auto held = object_of(predictions, function);
    const auto& predicted = held->predicted;
    *given(classes, function, "classes") = {predicted.empty() ? nullptr : predicted.data(), held->count,
                                            held->count == 0 ? 0 : predicted.size() / held->count};
  });
}

tutti_code tutti_predictions_spread(const tutti_predictions* predictions, tutti_values* spread, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const auto held = object_of(predictions, function);
    *given(spread, function, "spread") = values_in(held->spread, held->count, held->spread_shape);
  });
}

tutti_code tutti_predictions_member_count(const tutti_predictions* predictions, size_t* count, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(count, function, "count") = object_of(predictions, function)->members.size();
  });
}

tutti_code tutti_predictions_member(const tutti_predictions* predictions, size_t rank, const char** name,
                                    tutti_values* values, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const auto held = object_of(predictions, function);
    const auto& member = element(held->members, rank, function, "member");
    *given(values, function, "values") = values_in(member.values, held->count, member.shape);
    if (name != nullptr) *name = member.name.c_str();
  });
}

tutti_code tutti_predictions_incomplete_count(const tutti_predictions* predictions, size_t* count,
                                              tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(count, function, "count") = object_of(predictions, function)->incomplete.size();
  });
}

tutti_code tutti_predictions_incomplete(const tutti_predictions* predictions, size_t index,
                                        tutti_incomplete* incomplete, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    const auto held = object_of(predictions, function);
    const auto& lacks = element(held->incomplete, index, function, "the run of samples");
    *given(incomplete, function, "incomplete") = {
        lacks.first,           lacks.count,
        lacks.members_present, lacks.absent.empty() ? nullptr : lacks.absent.data(),
        lacks.absent.size(),   lacks.set_aside ? 1 : 0};
  });
}

tutti_code tutti_predictions_free(tutti_predictions* predictions, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { take_object(predictions, function); });
}
}
