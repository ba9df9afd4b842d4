// Descriptions in the C API.
#include <tutti/tutti.h>

#include <string>
#include <vector>

#include "coordinator/c_api/guard.hpp"

namespace tutti::c_api {
namespace {

std::vector<std::string> overrides_of(const char* const* overrides, std::size_t count, const char* function) {
  std::vector<std::string> all;
  if (count > 0) given(overrides, function, "overrides");
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(given(overrides[i], function, "overrides"));
  return all;
}

}  // namespace
}  // namespace tutti::c_api

using namespace tutti::c_api;

extern "C" {

tutti_code tutti_spec_load(uint32_t abi, const char* file, const char* const* overrides, size_t override_count,
                           tutti_spec** spec, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    check_abi(abi);
    given(file, function, "file");
    *given(spec, function, "spec") = nullptr;
    give(spec,
         std::make_shared<tutti::Spec>(tutti::load_spec(file, overrides_of(overrides, override_count, function))));
  });
}

tutti_code tutti_spec_parse(uint32_t abi, const char* yaml, const char* folder, const char* const* overrides,
                            size_t override_count, tutti_spec** spec, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    check_abi(abi);
    given(yaml, function, "yaml");
    *given(spec, function, "spec") = nullptr;
    give(spec, std::make_shared<tutti::Spec>(tutti::parse_spec(yaml, overrides_of(overrides, override_count, function),
                                                               folder == nullptr ? "" : folder)));
  });
}

tutti_code tutti_spec_yaml(const tutti_spec* spec, const char** yaml, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(yaml, function, "yaml") = object_of(spec, function)->yaml().c_str();
  });
}

tutti_code tutti_spec_free(tutti_spec* spec, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { take_object(spec, function); });
}
}
