// A program in C, as far as C++ lets it: the spec and the ensemble that the tests of the C API begin with, and what the
// calls answer. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <tutti/tutti.h>

#include <string>
#include <vector>

namespace tutti::test {

/// Two fake members with 4 classes on images of 2x3x3; segments of 8 images.
inline constexpr const char* kYaml =
    "members:\n"
    "  - {name: m0, model: {kind: fake, classes: 4}}\n"
    "  - {name: m1, model: {kind: fake, classes: 4}}\n"
    "assignment: cpu\n"
    "input: {shape: [2, 3, 3]}\n"
    "segment_images: 8\n";

/// What a failed call says; frees the error.
struct Said {
  tutti_code code = TUTTI_OK;
  std::string message;
  std::string detail;
  std::string hint;
};

template <class Call>
Said said(Call&& call) {
  auto* error = reinterpret_cast<tutti_error*>(1);  // not initialised, as in a program that trusts the rules
  Said result;
  result.code = call(&error);
  CHECK((error == nullptr) == (result.code == TUTTI_OK));
  CHECK(tutti_error_code(error) == result.code);
  result.message = tutti_error_message(error);
  result.detail = tutti_error_detail(error);
  result.hint = tutti_error_hint(error);
  CHECK(tutti_error_free(error) == TUTTI_OK);
  return result;
}

template <class Call>
void succeeds(Call&& call) {
  const Said result = said(call);
  CHECK_MESSAGE(result.code == TUTTI_OK, result.message << " / " << result.detail);
}

template <class Call>
void is_misuse(Call&& call, const std::string& message) {
  const Said result = said(call);
  CHECK(result.code == TUTTI_USAGE);
  CHECK(result.message == message);
}

inline tutti_spec* parsed(const std::string& yaml = kYaml) {
  tutti_spec* spec = nullptr;
  succeeds([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, yaml.c_str(), nullptr, nullptr, 0, &spec, e); });
  return spec;
}

/// The built program tutti-worker.
const char* this_worker();

inline tutti_options with_this_worker() {
  tutti_options options = TUTTI_OPTIONS_INIT;
  options.worker = this_worker();
  return options;
}

inline tutti_ensemble* started(const std::string& yaml = kYaml, tutti_options options = with_this_worker()) {
  tutti_spec* spec = parsed(yaml);
  tutti_ensemble* ensemble = nullptr;
  succeeds([&](tutti_error** e) { return tutti_ensemble_create(spec, &options, &ensemble, e); });
  succeeds([&](tutti_error** e) { return tutti_spec_free(spec, e); });
  return ensemble;
}

inline void freed(tutti_ensemble* ensemble) {
  succeeds([&](tutti_error** e) { return tutti_ensemble_free(ensemble, e); });
}

/// `count` images of 2x3x3.
inline tutti_images images_of(const std::vector<float>& pixels) {
  return {pixels.data(), TUTTI_FLOAT32, pixels.size() / 18, 2, 3, 3};
}

}  // namespace tutti::test
