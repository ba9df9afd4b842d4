// The binding of the status and the health. Plain values; they do not change while one looks at them.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <tutti/status.hpp>

#include "python/src/results.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

void bind_faults(nb::module_& module) {
  nb::class_<FaultCounts>(module, "FaultCounts", "What went wrong so far.")
      .def_ro("deaths", &FaultCounts::deaths, "Workers that ended before they were told to.")
      .def_ro("hangs", &FaultCounts::hangs, "Of these, those that made no progress and were killed.")
      .def_ro("violations", &FaultCounts::violations, "Of these, those that wrote nonsense and were killed.")
      .def_ro("out_of_memory", &FaultCounts::out_of_memory, "Of these, those that the kernel killed for memory.")
      .def_ro("restarts", &FaultCounts::restarts, "Replacements that were started.")
      .def_ro("handed_out_again", &FaultCounts::handed_out_again, "Tasks.")
      .def_ro("taken_over", &FaultCounts::taken_over, "Tasks that a replica took over from a slower one.")
      .def_ro("set_aside", &FaultCounts::set_aside, "Segments that killed too many workers.")
      .def_ro("not_waited_for", &FaultCounts::not_waited_for, "Predictions that a `quorum` did not wait for.")
      .def_ro("not_finite_dropped", &FaultCounts::not_finite_dropped, "Predictions left out by `on_nan: degrade`.");
}

void bind_member(nb::module_& module) {
  nb::class_<MemberStatus>(module, "MemberStatus", "One member as it is now.")
      .def_ro("name", &MemberStatus::name)
      .def_ro("kind", &MemberStatus::kind, "Of its model: \"torchscript\".")
      .def_ro("backend", &MemberStatus::backend, "\"torch 2.11.0\"; empty until it is ready.")
      .def_ro("note", &MemberStatus::note, "What its worker said about the loaded model; empty: nothing.")
      .def_ro("device", &MemberStatus::device, "As it was resolved: \"cpu:0\".")
      .def_ro("cores", &MemberStatus::cores, "The cores that it is pinned to; empty: none.")
      .def_ro("threads", &MemberStatus::threads)
      .def_ro("batch_images", &MemberStatus::batch_images, "Samples per batch.")
      .def_ro("pid", &MemberStatus::pid, "Of its worker; 0 when that is gone.")
      .def_ro("alive", &MemberStatus::alive)
      .def_prop_ro(
          "state", [](const MemberStatus& member) { return std::string(to_text(member.state)); },
          "\"starting\", \"running\", \"waiting\", \"ending\" or \"absent\".")
      .def_ro("generation", &MemberStatus::generation, "How often its worker was replaced.")
      .def_ro("deaths", &MemberStatus::deaths)
      .def_ro("absent_reason", &MemberStatus::absent_reason, "Empty unless it is absent.")
      .def_ro("output", &MemberStatus::output, "The sizes of a prediction, such as [classes].")
      .def_ro("steps", &MemberStatus::steps, "What its worker makes of the model's outputs, in order: [\"softmax\"].")
      .def_ro("parameters", &MemberStatus::parameters)
      .def_ro("load_seconds", &MemberStatus::load_seconds)
      .def_ro("warm_up_seconds", &MemberStatus::warm_up_seconds)
      .def_ro("busy_seconds", &MemberStatus::busy_seconds, "Time spent computing.")
      .def_ro("images", &MemberStatus::images, "Samples that it has predicted.")
      .def_ro("pss_bytes", &MemberStatus::pss_bytes, "Memory of its worker, with `status(memory=True)`; else None.")
      .def_ro("stages", &MemberStatus::stages, "Its stages, each as a member by itself; empty: it has none.");
}

}  // namespace

void bind_status(nb::module_& module) {
  nb::class_<Event>(module, "Event", "What happened to a member of a running ensemble. Later versions may add kinds.")
      .def_prop_ro(
          "kind", [](const Event& event) { return std::string(to_text(event.kind)); },
          "\"died\": a worker of it ended; it is replaced, unless its restarts are spent. \"replaced\": a new worker "
          "predicts in its place. \"degraded\": the ensemble continues without the member. \"restored\": every worker "
          "that is left runs again. \"joined\": it was added. \"left\": it was removed, and no call needs it any more.")
      .def_ro("member", &Event::member, "Its name; empty for \"restored\".")
      .def_ro("text", &Event::text, "Of \"degraded\": why.")
      .def("__repr__", [](const Event& event) {
        return "<tutti.Event: " + std::string(to_text(event.kind)) + (event.member.empty() ? "" : " " + event.member) +
               ">";
      });
  bind_faults(module);
  bind_member(module);
  nb::class_<Status>(module, "Status", "An ensemble as it is now.")
      .def_prop_ro(
          "state", [](const Status& status) { return std::string(to_text(status.state)); },
          "\"starting\", \"ready\", \"failed\" or \"stopped\".")
      .def_ro("members", &Status::members, "In rank order.")
      .def_ro("start_up_seconds", &Status::start_up_seconds)
      .def_ro("input_bytes_copied", &Status::input_bytes_copied, "Of samples, into the arena.")
      .def_ro("arena_bytes", &Status::arena_bytes)
      .def_ro("faults", &Status::faults)
      .def_ro("pss_bytes", &Status::pss_bytes,
              "Memory of this process and all workers, with `status(memory=True)`; else None.");
  nb::class_<Health>(module, "Health", "Whether predictions can be made now.")
      .def_ro("ready", &Health::ready)
      .def_ro("problems", &Health::problems, "Why not, one line each; also what is degraded while it is ready.")
      .def("__bool__", [](const Health& health) { return health.ready; });
}

}  // namespace tutti::python
