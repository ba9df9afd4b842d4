// What the tests about members that come and go have in common. For tests only.
#pragma once

#include <signal.h>

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/integration/pools.hpp"

namespace tutti::test {

inline bool is_there(int pid) { return ::kill(pid, 0) == 0; }

/// Members m0, m1, ... of a description that passes every check, as those do that a program hands over.
inline config::EnsembleSpec plain(std::size_t members) {
  auto spec = fake_spec(members);
  spec.checkpoint_segments = 1;
  return spec;
}

/// The same, and they are replaced at once and without limit.
inline config::EnsembleSpec tough(std::size_t members) {
  auto spec = plain(members);
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

/// A further member like these.
inline config::MemberSpec further(const std::string& name, std::uint64_t seed = 77) {
  config::MemberSpec member = fake_spec(1).members.front();
  member.name = name;
  member.seed = seed;
  return member;
}
inline FakeModel& fake_of(config::MemberSpec& member) { return std::get<FakeModel>(member.model.kind); }

inline config::EnsembleSpec with(config::EnsembleSpec spec, const config::MemberSpec& member) {
  spec.members.push_back(member);
  return spec;
}
inline config::EnsembleSpec without(config::EnsembleSpec spec, std::size_t place) {
  spec.members.erase(spec.members.begin() + static_cast<std::ptrdiff_t>(place));
  return spec;
}

inline std::vector<std::string> names_of(const Status& status) {
  std::vector<std::string> names;
  for (const MemberStatus& member : status.members) names.push_back(member.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace tutti::test
