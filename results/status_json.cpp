#include "results/status_json.hpp"

#include <utility>

#include "common/utf8.hpp"
#include "results/json_values.hpp"

namespace tutti::images {
namespace {

json::value status_of_member(const MemberStatus& member) {
  return {{"name", as_utf8(member.name)},
          {"kind", member.kind},
          {"library", member.backend.empty() ? json::value(nullptr) : json::value(as_utf8(member.backend))},
          {"note", as_utf8(member.note)},
          {"device", as_utf8(member.device)},
          {"cores", json::array(member.cores.begin(), member.cores.end())},
          {"threads", member.threads},
          {"batch_images", member.batch_images},
          {"batch_images_measured", member.batch_images_measured},
          {"batch_speeds", as_json::list(member.batch_speeds, speed_json)},
          {"forms", as_json::list(member.forms, form_json)},
          {"modes", as_json::list(member.modes, form_json)},
          {"replicas", as_json::list(member.replicas, replica_json)},
          {"same_bits", member.same_bits},
          {"worker", member.worker},
          {"pid", member.pid != 0 ? json::value(member.pid) : json::value(nullptr)},
          {"alive", member.alive},
          {"state", to_text(member.state)},
          {"generation", member.generation},
          {"deaths", member.deaths},
          {"absent_reason",
           member.absent_reason.empty() ? json::value(nullptr) : json::value(as_utf8(member.absent_reason))},
          {"absent_from_segment", as_json::or_null(member.absent_from_segment)},
          {"output", json::array(member.output.begin(), member.output.end())},
          {"outputs", outputs_json(member.parts)},
          {"steps", json::array(member.steps.begin(), member.steps.end())},
          {"parameters", member.parameters},
          {"load_seconds", as_json::number(member.load_seconds)},
          {"warm_up_seconds", as_json::number(member.warm_up_seconds)},
          {"busy_seconds", as_json::number(member.busy_seconds)},
          {"segments_handed_out", member.segments_handed_out},
          {"segments_answered", member.segments_answered},
          {"images", member.images},
          {"pss_bytes", as_json::or_null(member.pss_bytes)},
          {"stages", stages_json(member)}};
}

}  // namespace

json::array stages_json(const MemberStatus& member) { return as_json::list(member.stages, status_of_member); }

json::value speed_json(const BatchSpeed& speed) {
  return {{"batch_images", speed.batch_images}, {"images_per_second", as_json::number(speed.images_per_second)}};
}

json::value form_json(const ModelForm& form) {
  return {{"model", as_utf8(form.model)},
          {"library", as_json::or_null(form.backend.empty() ? std::optional<std::string>() : form.backend)},
          {"chosen", form.chosen()},
          {"batch_images", form.batch_images},
          {"images_per_second", as_json::number(form.images_per_second)},
          {"difference", as_json::number(form.difference)},
          {"reason", as_utf8(form.reason)}};
}

json::value replica_json(const ReplicaStatus& replica) {
  return {{"worker", replica.worker},
          {"device", replica.device},
          {"cores", json::array(replica.cores.begin(), replica.cores.end())},
          {"pid", replica.pid != 0 ? json::value(replica.pid) : json::value(nullptr)},
          {"state", to_text(replica.state)},
          {"generation", replica.generation},
          {"segments_answered", replica.segments_answered},
          {"busy_seconds", as_json::number(replica.busy_seconds)}};
}

json::array outputs_json(const std::vector<NamedLayout>& parts) {
  std::uint64_t first = 0;
  return as_json::list(parts, [&](const NamedLayout& part) {
    json::object output{{"name", as_utf8(part.name)},
                        {"shape", json::array(part.layout.dims.begin(), part.layout.dims.end())},
                        {"first", first}};
    first += part.layout.elements();
    return output;
  });
}

json::value faults_json(const FaultCounts& faults) {
  return {{"deaths", faults.deaths},
          {"hangs", faults.hangs},
          {"violations", faults.violations},
          {"out_of_memory", faults.out_of_memory},
          {"restarts", faults.restarts},
          {"handed_out_again", faults.handed_out_again},
          {"taken_over", faults.taken_over},
          {"stale_dropped", faults.stale_dropped},
          {"set_aside", faults.set_aside},
          {"not_waited_for", faults.not_waited_for},
          {"not_finite_dropped", faults.not_finite_dropped},
          {"missed_wake_ups", faults.missed_wake_ups},
          {"stalls", faults.stalls},
          {"abandoned_pids", json::array(faults.abandoned_pids.begin(), faults.abandoned_pids.end())}};
}

json::value status_json(const Status& status) {
  return {{"state", to_text(status.state)},
          {"members", as_json::list(status.members, status_of_member)},
          {"start_up_seconds", as_json::number(status.start_up_seconds)},
          {"batch_search_seconds", as_json::number(status.batch_search_seconds)},
          {"input_bytes_copied", status.input_bytes_copied},
          {"arena_bytes", status.arena_bytes},
          {"coordinator_cpu_seconds", as_json::number(status.coordinator_cpu_seconds)},
          {"fork_server_pid", status.fork_server_pid != 0 ? json::value(status.fork_server_pid) : json::value(nullptr)},
          {"pss_bytes", as_json::or_null(status.pss_bytes)},
          {"faults", faults_json(status.faults)}};
}

}  // namespace tutti::images
