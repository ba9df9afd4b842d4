// What a supervisor must know of the ensemble before it begins. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/spec.hpp"
#include "coordinator/decide/chains.hpp"
#include "coordinator/decide/hosting.hpp"

namespace tutti {

struct SupervisorSetting {
  ByRank<std::string> names;         ///< of the members: "cnn-2"
  ByWorker<std::string> devices;     ///< for people: "cpu:1"
  std::optional<Hosting> hosting{};  ///< nothing: a worker for each member
  Chains chains{};                   ///< the stages of members, which have ranks and names of their own
  std::vector<UnitMode> modes{};     ///< by worker; empty: the first for all
  config::FailureSpec policy;
  std::optional<config::QuorumSpec> quorum{};
  bool deadlines = true;  ///< false while debugging: no worker is killed for being slow
  std::chrono::duration<double> start_deadline{120};
  std::chrono::duration<double> kill_deadline{10};  ///< from SIGKILL until a process counts as stuck in the kernel
  std::uint32_t slots = 1;                          ///< of the arena
  std::uint32_t segment_images = 1;                 ///< in a full segment, to name images in messages
  std::uint32_t checkpoint_segments = 1;            ///< training tasks between two checkpoints; below `slots` unless 1
};

}  // namespace tutti
