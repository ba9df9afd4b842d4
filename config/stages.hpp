// Reads `stages:` of a member: a chain of models, each in workers of its own, and what does not go with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/members.hpp"

namespace tutti::config {

class Fields;

/// The most stages of a member, with the steps between them.
constexpr std::size_t kMaxStages = 16;

/// Reads them into the member: the last one is its model. Their devices are not set where they say none.
void read_stages(const Tree& tree, Fields& fields, ReadMember& member, Violations& violations);

/// After the assignment: stages that name no device get that of their member.
void place_stages(std::vector<ReadMember>& members);

/// What an ensemble with stages cannot do or be.
void check_stages(const EnsembleSpec& spec, const std::vector<ReadMember>& members, Violations& violations);

/// Whether it is described by `stages`: it has several models, or steps behind its model.
bool has_stages(const MemberSpec& member);

/// The most rows of a sample that the model of each stage computes on; 0: the sample itself. The last is the member's.
std::vector<std::uint32_t> rows_of_stages(const MemberSpec& member);
/// The most rows that a step between its stages makes of a sample (common/wire/rows.hpp); 0: none makes any.
std::uint32_t most_rows(const MemberSpec& member);

/// Whether a step makes several rows of a sample.
bool has_rows(const MemberSpec& member);

/// The stage of a member that has several, as messages name it: "m/0".
std::string stage_name(const MemberSpec& member, std::size_t stage);

/// The first stage, or the member itself: what sees the samples.
MemberSpec first_stage(const MemberSpec& member);

/// Stages before the last as members, each with its name, in the order of the members. What a stage outputs is passed
/// on as it is.
std::vector<MemberSpec> stages_before(const std::vector<MemberSpec>& members);

/// Every model that the members compute, with the name of the member or stage that it is of.
struct NamedModel {
  std::string name;
  const ModelSpec& model;
};
std::vector<NamedModel> models_of(const std::vector<MemberSpec>& members);

/// The workers of all stages; 1 without stages.
std::uint32_t workers_in_chain(const MemberSpec& member);

/// As many slots as keep all workers of the longest chain busy; 1 without stages.
std::uint32_t slots_for_stages(const std::vector<MemberSpec>& members);

}  // namespace tutti::config
