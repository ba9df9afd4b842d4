// The extension module tutti._core: the ensemble for the Python files of the package, which are what users see.
#include <pthread.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <tutti/ensemble.hpp>

#include "python/src/errors.hpp"
#include "python/src/leased.hpp"
#include "python/src/results.hpp"
#include "python/src/runner.hpp"
#include "python/src/waiting.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

void make(Runner* runner, const Spec& spec, const std::string& worker, const std::string& trace,
          const Variables& environment, nb::object on_event) {
  Options options;
  options.worker = worker;
  options.trace = trace;
  options.environment = environment;
  new (runner) Runner(spec, std::move(options), std::move(on_event));
}

void bind_spec(nb::module_& module) {
  nb::class_<Spec>(module, "Spec", "A checked description of an ensemble.")
      .def_prop_ro("yaml", &Spec::yaml, "The description in effect, as YAML; defaults are filled in.")
      .def("libraries", &Spec::libraries, "The libraries that its members are computed with.")
      .def("possible_libraries", &Spec::possible_libraries,
           "Those with which members may be computed that leave a choice.");
  module.def(
      "load_spec",
      [](const std::string& file, const std::vector<std::string>& overrides) { return load_spec(file, overrides); },
      nb::arg("file"), nb::arg("overrides"), "Reads a YAML file.");
  module.def(
      "parse_spec",
      [](const std::string& yaml, const std::vector<std::string>& overrides) { return parse_spec(yaml, overrides); },
      nb::arg("yaml"), nb::arg("overrides"), "Reads YAML text.");
}

[[noreturn]] void refuse(const char* name, const char* wanted, nb::handle given, const char* hint) {
  PyErr_Clear();
  throw Error(ErrorKind::usage, std::string(name) + " is " + wanted + ", not " + nb::cast<std::string>(nb::repr(given)),
              {}, hint);
}

/// How long a call may take, in seconds; nothing for None.
std::optional<double> timeout_of(nb::handle timeout) {
  if (timeout.is_none()) return std::nullopt;
  const double seconds = PyFloat_AsDouble(timeout.ptr());
  if (PyErr_Occurred() != nullptr || std::isnan(seconds))
    refuse("timeout", "a number of seconds", timeout,
           "pass a number such as 1.5, or None to wait for as long as it takes");
  return seconds;
}

int priority_of(nb::handle priority) {
  int whole = 0;
  if (!nb::try_cast(priority, whole))
    refuse("priority", "a whole number", priority, "pass a number such as 1: higher ones come first, and 0 is usual");
  return whole;
}

std::size_t count_of(nb::handle count) {
  std::size_t whole = 0;
  if (!nb::try_cast(count, whole))
    refuse("the number of samples", "a whole number, at least 1", count, "pass a number such as 8");
  return whole;
}

void bind_runner(nb::module_& module) {
  nb::class_<Evaluated>(module, "Evaluated", "What an evaluation found.")
      .def_ro("table", &Evaluated::table, "As `tutti evaluate` prints it.")
      .def_ro("json", &Evaluated::json, "Everything.")
      .def_ro("incomplete", &Evaluated::incomplete);
  nb::class_<Pending>(module, "Pending", "A submitted prediction.")
      .def("wait", &Pending::wait, nb::arg("timeout").none(), "Waits, and settles the future if it is ready.")
      .def("stop", &Pending::stop, "Gives the prediction up.");
  nb::class_<Runner>(module, "Runner", "What tutti.Ensemble drives.", nb::is_weak_referenceable())
      .def("__init__", &make, nb::arg("spec"), nb::arg("worker"), nb::arg("trace"), nb::arg("environment"),
           nb::arg("on_event").none())
      .def(
          "predict",
          [](Runner& runner, nb::handle samples, nb::handle timeout) {
            return runner.predict(samples, timeout_of(timeout));
          },
          nb::arg("samples").none(), nb::arg("timeout").none())
      .def(
          "submit",
          [](nb::object self, nb::handle samples, nb::object future, nb::handle timeout, nb::handle priority) {
            Runner& runner = nb::cast<Runner&>(self);
            const std::optional<double> seconds = timeout_of(timeout);
            return runner.submit(std::move(self), samples, std::move(future), seconds, priority_of(priority));
          },
          nb::arg("samples").none(), nb::arg("future"), nb::arg("timeout").none(), nb::arg("priority").none())
      .def(
          "lease",
          [](Runner& runner, nb::handle count, nb::handle timeout) {
            return runner.lease(count_of(count), timeout_of(timeout));
          },
          nb::arg("count").none(), nb::arg("timeout").none())
      .def(
          "submit_lease",
          [](nb::object self, const std::shared_ptr<Leased>& leased, nb::object future, nb::handle timeout,
             nb::handle priority) {
            Runner& runner = nb::cast<Runner&>(self);
            const std::optional<double> seconds = timeout_of(timeout);
            return runner.submit_lease(std::move(self), leased, std::move(future), seconds, priority_of(priority));
          },
          nb::arg("leased"), nb::arg("future"), nb::arg("timeout").none(), nb::arg("priority").none())
      .def("evaluate", &Runner::evaluate, nb::arg("samples").none(), nb::arg("labels").none(), nb::arg("rules"),
           nb::arg("ignore_index").none(), nb::arg("head"))
      .def("replace_member", &Runner::replace_member, nb::arg("name"), nb::arg("next"))
      .def("add_member", &Runner::add_member, nb::arg("member"), nb::arg("device"))
      .def("remove_member", &Runner::remove_member, nb::arg("name"))
      .def("close", &Runner::close)
      .def("wait_until_idle", &Runner::wait_until_idle)
      .def("status", &Runner::status, nb::arg("memory"))
      .def("health", &Runner::health)
      .def_prop_ro("is_closed", &Runner::is_closed)
      .def_prop_ro("spec", &Runner::spec, nb::rv_policy::copy)
      .def("inputs",
           [](const Runner& runner) {
             std::vector<std::string> names;
             for (const NamedLayout& input : runner.inputs()) names.push_back(input.name);
             return names;
           })
      .def("shapes", [](const Runner& runner) {
        std::vector<Dims> shapes;
        for (const NamedLayout& input : runner.inputs()) shapes.push_back(input.layout.dims);
        return shapes;
      });
}

}  // namespace
}  // namespace tutti::python

NB_MODULE(_core, module) {
  using namespace tutti::python;
  ::pthread_atfork(nullptr, nullptr, [] {
    forget_threads();
    forget_settler();
  });
  // Objects that something still refers to at the end are a mistake in tests, and usual elsewhere: daemon threads and
  // caches never let go of what they have.
  nb::set_leak_warnings(std::getenv("TUTTI_LEAK_WARNINGS") != nullptr);
  module.doc() = "The compiled part of Tutti. Use what `tutti` exports.";
  translate_errors();
  bind_spec(module);
  bind_predictions(module);
  bind_status(module);
  bind_parts(module);
  bind_leased(module);
  bind_runner(module);
  module.def("begin_end", &begin_end, "The interpreter ends: calls raise Interrupted from now on.");
  module.def(
      "wait_for_threads",
      [] {
        stop_settler();
        wait_for_threads();
      },
      "Waits, at the end of the interpreter, for threads that are in this module.");
  module.attr("torch_version") = TUTTI_TORCH_VERSION;
}
