// Reads `workers:`: which members share a worker, how it runs them, and how many such workers there are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/members.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// The most members that share a worker.
constexpr std::size_t kMaxUnit = 256;
/// The most workers of one unit.
constexpr std::uint32_t kMaxReplicas = 64;

/// An entry as read.
struct ReadUnit {
  UnitSpec spec;
  std::optional<Device> device{};  ///< of all its members; nothing: what `assignment` says
  SourcePosition position;
};

/// A member that two entries name is a violation, and members that compute with different libraries in one entry.
std::vector<ReadUnit> read_workers(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations);

/// What `mode` may be.
std::vector<std::string> mode_words();

class Fields;

/// Reads `replicas` and `same_bits`: `replicas: 3`, or `replicas: {cpu:0: 1, cpu:1: 2}`, with which `device` is a
/// violation.
void read_replicas(Fields& fields, UnitSpec& unit, Violations& violations);

/// How many slots keep the replicas of every unit busy: each computes one segment while another waits for it, one is
/// filled, and one is combined.
std::uint32_t slots_for(const std::vector<UnitSpec>& units);

/// Why the second cannot be fused with the first, or the first with any; empty if it can. Fused members are one
/// network: equal, and over the same samples.
std::string_view why_not_fused(const MemberSpec& first, const MemberSpec& member);

/// The device that `workers` gives to each member, by rank; nothing: none.
std::vector<std::optional<Device>> devices_of(const std::vector<ReadUnit>& units, std::size_t members);

/// A worker runs on one device: members of a unit that have others are a violation. Their devices were read.
void check_devices(const std::vector<ReadUnit>& units, const std::vector<ReadMember>& members, Violations& violations);

}  // namespace tutti::config
