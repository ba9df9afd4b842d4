// Tutti's errors as the exceptions of tutti._errors.
#pragma once

#include <exception>

#include <nanobind/nanobind.h>

namespace tutti::python {

/// From now on, a tutti::Error that leaves a function of the module becomes the exception of its kind.
void translate_errors();

/// The exception for what is in flight. With the GIL.
nanobind::object exception_of(const std::exception_ptr& error);

}  // namespace tutti::python
