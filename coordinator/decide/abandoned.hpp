// The processes that do not end even after SIGKILL, and the slots that they may still read. Plain bookkeeping.
#pragma once

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "common/check.hpp"
#include "common/ids.hpp"

namespace tutti {

class AbandonedProcesses {
 public:
  using Slots = std::vector<SlotId>;

  void add(WorkerId worker, Generation generation, Slots slots) {
    TUTTI_CHECK(find(worker, generation) == processes_.end(), "a process is abandoned only once");
    processes_.push_back({worker, generation, std::move(slots)});
  }
  /// One has ended after all. Returns the slots that it kept; nothing if it is not known.
  Slots remove(WorkerId worker, Generation generation) {
    const auto found = find(worker, generation);
    if (found == processes_.end()) return {};
    Slots slots = std::move(found->slots);
    processes_.erase(found);
    return slots;
  }
  bool empty() const noexcept { return processes_.empty(); }
  /// The slots that no segment may be written into.
  std::set<SlotId> slots() const {
    std::set<SlotId> all;
    for (const Process& process : processes_) all.insert(process.slots.begin(), process.slots.end());
    return all;
  }

 private:
  struct Process {
    WorkerId worker;
    Generation generation;
    Slots slots;
  };
  std::vector<Process>::iterator find(WorkerId worker, Generation generation) {
    return std::find_if(processes_.begin(), processes_.end(), [&](const Process& process) {
      return process.worker == worker && process.generation == generation;
    });
  }

  std::vector<Process> processes_;
};

}  // namespace tutti
