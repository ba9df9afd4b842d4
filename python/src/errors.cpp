#include "python/src/errors.hpp"

#include <nanobind/stl/string.h>

#include <tutti/error.hpp>

namespace nb = nanobind;

namespace tutti::python {
namespace {

const char* class_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::usage:
      return "UsageError";
    case ErrorKind::interrupted:
      return "Interrupted";
    case ErrorKind::failed:
      break;
  }
  return "FailedError";
}

nb::object made(const Error& error) {
  return nb::module_::import_("tutti._errors").attr(class_of(error))(error.message(), error.detail(), error.hint());
}

}  // namespace

nb::object exception_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return made(known);
  } catch (nb::python_error& raised) {
    return nb::borrow(raised.value());
  } catch (const std::exception& other) {
    return nb::steal(PyObject_CallFunction(PyExc_RuntimeError, "s", other.what()));
  }
}

void translate_errors() {
  nb::register_exception_translator([](const std::exception_ptr& error, void*) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& known) {
      const nb::object exception = made(known);
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
    }
  });
}

}  // namespace tutti::python
