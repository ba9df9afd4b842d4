// Ensembles in the C API: their life and their state.
#include <tutti/tutti.h>

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/json.hpp"
#include "common/utf8.hpp"
#include "coordinator/c_api/guard.hpp"
#include "results/status_json.hpp"

namespace tutti::c_api {
namespace {

std::shared_ptr<std::string> json_text(const json::value& value) {
  return std::make_shared<std::string>(json::serialize(value));
}

HeldEnsemble::Use use(const tutti_ensemble* ensemble, const char* function) {
  return HeldEnsemble::Use(object_of(ensemble, function));
}

const MemberSpec& member_of(const Spec& description, std::string_view name) {
  for (const MemberSpec& member : description.checked().members)
    if (member.name == name) return member;
  throw Error(ErrorKind::usage, fmt::format("the description has no member '{}' to add", name), {},
              "name one of its members");
}

}  // namespace
}  // namespace tutti::c_api

using namespace tutti::c_api;

extern "C" {

tutti_code tutti_ensemble_create(const tutti_spec* spec, const tutti_options* options, tutti_ensemble** ensemble,
                                 tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(ensemble, function, "ensemble") = nullptr;
    const auto description = object_of(spec, function);
    const tutti_options chosen =
        read_options<tutti_options>(options, TUTTI_OPTIONS_INIT, function, "tutti_options", "TUTTI_OPTIONS_INIT");
    give(ensemble, std::make_shared<HeldEnsemble>(*description, chosen));
  });
}

tutti_code tutti_ensemble_free(tutti_ensemble* ensemble, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    if (ensemble == nullptr) return;
    InCallback::refuse_free(*object_of(ensemble, function));
    take_object(ensemble, function)->close();
  });
}

tutti_code tutti_ensemble_interrupt(tutti_ensemble* ensemble, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { use(ensemble, function)->interrupt(); });
}

tutti_code tutti_ensemble_drain(tutti_ensemble* ensemble, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { use(ensemble, function)->drain(); });
}

tutti_code tutti_ensemble_replace_member(tutti_ensemble* ensemble, const char* name, const tutti_spec* next,
                                         tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    given(name, function, "name");
    const auto description = object_of(next, function);
    use(ensemble, function)->replace_member(name, *description);
  });
}

tutti_code tutti_ensemble_add_member(tutti_ensemble* ensemble, const tutti_spec* from, const char* name,
                                     tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    given(name, function, "name");
    const auto description = object_of(from, function);
    use(ensemble, function)->add_member(member_of(*description, name));
  });
}

tutti_code tutti_ensemble_remove_member(tutti_ensemble* ensemble, const char* name, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    given(name, function, "name");
    use(ensemble, function)->remove_member(name);
  });
}

tutti_code tutti_ensemble_health(const tutti_ensemble* ensemble, int* ready, tutti_text** problems,
                                 tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    given(ready, function, "ready");
    if (problems != nullptr) *problems = nullptr;
    const tutti::Health health = use(ensemble, function)->health();
    tutti::json::array lines;
    for (const std::string& problem : health.problems) lines.emplace_back(tutti::as_utf8(problem));
    if (problems != nullptr) give(problems, json_text(lines));
    *ready = health.ready ? 1 : 0;
  });
}

tutti_code tutti_ensemble_status(const tutti_ensemble* ensemble, int memory, tutti_text** json, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) {
    *given(json, function, "json") = nullptr;
    const tutti::Status status =
        use(ensemble, function)->status(memory != 0 ? tutti::StatusDetail::memory : tutti::StatusDetail::counters);
    give(json, json_text(tutti::images::status_json(status)));
  });
}
}
