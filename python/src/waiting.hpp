// Waiting as Python does it: without the GIL, and so that Ctrl-C ends it; and threads that end before the interpreter.
#pragma once

#include <chrono>
#include <functional>
#include <future>

#include <nanobind/nanobind.h>

namespace tutti::python {

/// While one is there, a thread of Python is in this module, perhaps without the GIL. The interpreter must not end
/// then: a thread that asks an ended one for the GIL is cut off in the middle of C++ code. Made and destroyed with the
/// GIL.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

/// Waits until the future is ready. How long a signal waits for its Python code: Python runs that on the main thread,
/// whichever thread the kernel interrupts, so nothing but a look tells. Throws nb::python_error if that code raises.
template <class Future>
void wait(Future& future) {
  constexpr std::chrono::milliseconds kLook{50};
  const Inside inside;
  for (;;) {
    {
      const nanobind::gil_scoped_release released;
      if (future.wait_for(kLook) == std::future_status::ready) return;
    }
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
  }
}

/// Runs `work` on a thread of its own. It does not hold the GIL.
void run_apart(std::function<void()> work);

/// True on a thread that is telling Python about a prediction: the ensemble's own, which cannot wait for its end.
bool is_telling();

/// Marks this thread as one for which is_telling().
class Telling {
 public:
  Telling();
  ~Telling();
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;
};

/// For the end of the interpreter, after all ensembles are closed: waits for every thread that is Inside, and for those
/// that run_apart() started. With the GIL, which it lets go of.
void wait_for_threads();

}  // namespace tutti::python
