// Versions, errors and texts of the C API.
#include <cstddef>
#include <string>

#include <tutti/tutti.h>
#include "common/build_id.hpp"
#include "coordinator/c_api/guard.hpp"
#include "coordinator/c_api/prepared_error.hpp"

namespace tutti::c_api {
namespace {

const char kPrepared = 0;
constexpr const char* kNoMemory = "out of memory";

struct ErrorPart {
  const char* of_prepared;
  std::string HeldError::*of_held;
};

/// A string of a live error stays where it is until the error is freed.
const char* part_of(const tutti_error* error, const char* function, ErrorPart part) noexcept {
  if (error == nullptr) return "";
  if (error == prepared_error()) return part.of_prepared;
  try {
    return ((*object_of(error, function)).*part.of_held).c_str();
  } catch (...) {
    return "this is not a tutti_error, or it was freed already";
  }
}

}  // namespace

tutti_error* prepared_error() noexcept {
  // A type without a definition in C; its address is all that counts. NOLINTNEXTLINE
  return reinterpret_cast<tutti_error*>(const_cast<char*>(&kPrepared));
}

}  // namespace tutti::c_api

using namespace tutti::c_api;

extern "C" {

const char* tutti_version(void) { return tutti::version(); }

uint32_t tutti_abi(void) { return TUTTI_ABI; }

tutti_code tutti_check_abi(uint32_t abi, tutti_error** error) {
  return guarded(error, __func__, [&](const char*) { check_abi(abi); });
}

tutti_code tutti_error_code(const tutti_error* error) {
  if (error == nullptr) return TUTTI_OK;
  if (error == prepared_error()) return TUTTI_FAILED;
  tutti_code code = TUTTI_USAGE;
  guarded(nullptr, __func__, [&](const char* function) { code = object_of(error, function)->code; });
  return code;
}

const char* tutti_error_message(const tutti_error* error) {
  return part_of(error, __func__, {kNoMemory, &HeldError::message});
}

const char* tutti_error_detail(const tutti_error* error) { return part_of(error, __func__, {"", &HeldError::detail}); }

const char* tutti_error_hint(const tutti_error* error) { return part_of(error, __func__, {"", &HeldError::hint}); }

const char* tutti_error_text(const tutti_error* error) {
  return part_of(error, __func__, {kNoMemory, &HeldError::text});
}

tutti_code tutti_error_free(tutti_error* error) {
  if (error == prepared_error()) return TUTTI_OK;
  return guarded(nullptr, __func__, [&](const char* function) { take_object(error, function); });
}

const char* tutti_text_data(const tutti_text* text) {
  if (text == nullptr) return "";
  const char* data = "this is not a tutti_text, or it was freed already";
  guarded(nullptr, __func__, [&](const char* function) { data = object_of(text, function)->c_str(); });
  return data;
}

tutti_code tutti_text_free(tutti_text* text, tutti_error** error) {
  return guarded(error, __func__, [&](const char* function) { take_object(text, function); });
}
}
