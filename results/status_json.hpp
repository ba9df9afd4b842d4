// The status of an ensemble as JSON: the parts that report.json has too, and the whole of it.
#pragma once

#include <vector>

#include <tutti/status.hpp>

#include "common/json.hpp"

namespace tutti::images {

json::value speed_json(const BatchSpeed& speed);
json::value form_json(const ModelForm& form);
json::value replica_json(const ReplicaStatus& replica);
/// Where each output is in the row of several.
json::array outputs_json(const std::vector<NamedLayout>& parts);
/// The stages of a member, each as status_json() has a member.
json::array stages_json(const MemberStatus& member);
json::value faults_json(const FaultCounts& faults);

/// Numbers that are not finite are null; so is what is not known.
json::value status_json(const Status& status);

}  // namespace tutti::images
