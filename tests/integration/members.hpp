// What the tests about members that come and go have in common. For tests only.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <future>
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

/// Two slow members, of which a call that is in flight asks both.
struct SlowCall {
  static config::EnsembleSpec slow() {
    auto spec = tough(2);
    for (std::size_t rank = 0; rank < 2; ++rank) fake_model(spec, rank).delay_us = 150'000;
    return spec;
  }
  Options counting() {
    Options options = with_worker();
    options.on_event = [this](const Event& event) { left += event.kind == Event::Kind::left ? 1 : 0; };
    return options;
  }
  const config::EnsembleSpec spec = slow();
  const std::vector<float> images = random_images(30);
  std::atomic<int> left = 0;  ///< events that a member has left
  Ensemble ensemble{published(spec), counting()};
  const int pid = ensemble.status().members[1].pid;  ///< of the second member
  std::future<Predictions> running = ensemble.submit(view(images));
};

}  // namespace tutti::test
