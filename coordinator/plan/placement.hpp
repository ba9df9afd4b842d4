// Where a member's worker runs. Pure: a member and a machine go in, a place or a problem comes out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/plan/machine.hpp"

namespace tutti {

using Environment = std::vector<std::pair<std::string, std::string>>;

struct Placement {
  std::string device;      ///< for people: "cpu:0", "cuda:0 (NVIDIA H200)"
  std::vector<int> cores;  ///< to pin to; empty: not pinned
  bool cuda = false;
  std::string gpu;  ///< its model; empty if it is not known or there is none
  Environment environment;
  std::string chosen;   ///< for the user, where nothing is assigned: "the CPU"; empty: something is
  std::string why;      ///< it was chosen, after "because 'assignment' gives it no device"; may be empty
  std::string problem;  ///< why the member cannot be placed; empty if it can
};

/// On the member's device, or, if it names none, on the best one that the machine has.
Placement place(const config::MemberSpec& member, const Machine& machine);

/// One line for the members that were placed on the same device for the same reason, in the order of the first of each:
/// "a, b run on the CPU, because 'assignment' gives them no device ...".
std::vector<std::string> notes_of(const std::vector<std::pair<std::string, Placement>>& by_member);

/// Throws Error(usage) with all of these problems; does nothing if there are none.
void raise_placement_problems(const std::vector<std::string>& problems);

}  // namespace tutti
