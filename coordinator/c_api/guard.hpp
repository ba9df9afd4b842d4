// The border between C and C++: exceptions become codes and errors, and arguments are checked.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <utility>

#include "coordinator/c_api/objects.hpp"

namespace tutti::c_api {

/// Puts what was thrown into `*error`, unless that is NULL, and returns its code. If there is no memory for it, the
/// error is one that was prepared.
tutti_code put_error(std::exception_ptr thrown, tutti_error** error) noexcept;

/// Throws Error(usage) if a program that was compiled with the header of this ABI cannot use this library.
void check_abi(std::uint32_t abi);

/// Runs the body of the C function of this name, to which it is passed for messages: no exception leaves it.
template <class Body>
tutti_code guarded(tutti_error** error, const char* function, Body&& body) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    std::forward<Body>(body)(function);
    return TUTTI_OK;
  } catch (...) {
    return put_error(std::current_exception(), error);
  }
}

/// Throws Error(usage) if a program passes NULL where that has no meaning.
template <class Value>
Value* given(Value* pointer, const char* function, const char* parameter) {
  if (pointer == nullptr)
    throw Error(ErrorKind::usage, fmt::format("{}() was given NULL for '{}'", function, parameter));
  return pointer;
}

/// Makes the handle of a result and gives it to the caller, at a place that given() has checked.
template <class Handle>
void give(Handle** place, std::shared_ptr<typename Held<Handle>::Object> object) {
  *place = new_handle<Handle>(std::move(object));
}

/// A copy of the options that a program passes, or the defaults for NULL. Throws Error(usage) if their size is not one
/// that this library knows.
template <class Options>
Options read_options(const Options* options, const Options& defaults, const char* function, const char* type,
                     const char* initialiser) {
  if (options == nullptr) return defaults;
  if (options->size != sizeof(Options))
    throw Error(ErrorKind::usage, fmt::format("{}() was given a {} of another size", function, type),
                fmt::format("its field 'size' is {}, and this library has {}", options->size, sizeof(Options)),
                fmt::format("begin with {}, and compile with the header of this library", initialiser));
  return *options;
}

}  // namespace tutti::c_api
