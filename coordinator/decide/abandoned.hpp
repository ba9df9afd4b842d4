// The processes that do not end even after SIGKILL, and the slots that they may still read. Plain bookkeeping.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace tutti {

class AbandonedProcesses {
 public:
  using Slots = std::vector<std::uint32_t>;

  void add(std::size_t worker, std::uint32_t generation, Slots slots) {
    processes_.push_back({worker, generation, std::move(slots)});
  }
  /// One has ended after all. Returns what it kept; nothing where it is not known.
  Slots remove(std::size_t worker, std::uint32_t generation) {
    const auto found = std::find_if(processes_.begin(), processes_.end(), [&](const Process& process) {
      return process.worker == worker && process.generation == generation;
    });
    if (found == processes_.end()) return {};
    Slots slots = std::move(found->slots);
    processes_.erase(found);
    return slots;
  }
  /// Those that no segment may be written into.
  std::set<std::uint32_t> slots() const {
    std::set<std::uint32_t> all;
    for (const Process& process : processes_) all.insert(process.slots.begin(), process.slots.end());
    return all;
  }

 private:
  struct Process {
    std::size_t worker;
    std::uint32_t generation;
    Slots slots;
  };
  std::vector<Process> processes_;
};

}  // namespace tutti
