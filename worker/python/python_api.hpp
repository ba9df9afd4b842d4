// The functions of Python's C interface that are called, and nothing else of it. They are those of the stable ABI,
// which keeps them as they are in every CPython 3; objects are only passed on. So one library serves every interpreter,
// with or without a shared libpython, and building it needs no header of Python (docs/decisions/0032).
//
// The interpreter that opens the library has them: none is defined here.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

struct _object;  // NOLINT: its name in the ABI
struct _ts;      // NOLINT

extern "C" {
using PyObject = _object;
using PyThreadState = _ts;
void Py_IncRef(PyObject*);
void Py_DecRef(PyObject*);
int PyGILState_Ensure();
void PyGILState_Release(int);
PyThreadState* PyEval_SaveThread();
PyObject* PyErr_Occurred();
void PyErr_Clear();
PyObject* PyObject_GetAttrString(PyObject*, const char*);
PyObject* PyObject_CallObject(PyObject* function, PyObject* arguments);
PyObject* PyTuple_New(ssize_t);
int PyTuple_SetItem(PyObject*, ssize_t, PyObject* taken_over);
PyObject* PyTuple_GetItem(PyObject*, ssize_t);  // borrowed
ssize_t PyTuple_Size(PyObject*);
PyObject* PyLong_FromUnsignedLongLong(unsigned long long);
long long PyLong_AsLongLong(PyObject*);
PyObject* PyUnicode_FromStringAndSize(const char*, ssize_t);
PyObject* PyUnicode_AsUTF8String(PyObject*);
int PyBytes_AsStringAndSize(PyObject*, char**, ssize_t*);
PyObject* PyMemoryView_FromMemory(char*, ssize_t, int flags);
}

namespace tutti::worker::python {

inline constexpr int kRead = 0x100;   // PyBUF_READ; the other one allows both
inline constexpr int kWrite = 0x200;  // PyBUF_WRITE

/// Keeps what Python knows of this thread until the process ends: otherwise each release of the GIL would throw it
/// away, and with it what threading.local() holds.
inline void keep_thread() {
  thread_local bool kept = false;
  if (std::exchange(kept, true)) return;
  PyGILState_Ensure();
  PyEval_SaveThread();
}

/// Holds the GIL, which every use of an object needs.
class Gil {
 public:
  Gil() {
    keep_thread();
    state_ = PyGILState_Ensure();
  }
  ~Gil() { PyGILState_Release(state_); }
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

 private:
  int state_ = 0;
};

/// An object that is held, or nothing. Made and destroyed with the GIL.
class Held {
 public:
  explicit Held(PyObject* own = nullptr) : object_(own) {}
  Held(Held&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Held() {
    if (object_ != nullptr) Py_DecRef(object_);
  }

  PyObject* get() const noexcept { return object_; }
  PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  PyObject* object_;
};

inline Held text(std::string_view utf8) {
  return Held(PyUnicode_FromStringAndSize(utf8.data(), static_cast<ssize_t>(utf8.size())));
}

}  // namespace tutti::worker::python
