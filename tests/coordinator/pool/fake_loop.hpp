// Work that records what happens to it, and a thread that plays the loop and the workers. For tests only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "common/random.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti::test {

inline const ArenaLayout kExchangeArena{3, 4, {1, 1, 2}};

/// `segments` segments; records how they were filled and delivered.
struct Recorded final : Work {
  explicit Recorded(std::uint32_t segments_of_work) : segments(segments_of_work) {}
  bool has_more() const override { return filled < segments; }
  std::uint32_t fill(std::byte* arena, const ArenaLayout& layout, SlotId slot) override {
    if (filled == fail_at_fill) throw std::runtime_error("the source broke");
    slot_view(arena, layout, slot, 1).floats()[0] = static_cast<float>(filled);
    ++filled;
    outstanding = filled - delivered.size();
    most_outstanding = std::max(most_outstanding, outstanding);
    return 1;
  }
  void deliver(const FinishedSegment& finished) override {
    if (delivered.size() == fail_at_delivery) throw std::runtime_error("the sink broke");
    delivered.push_back(finished.segment.index);
  }

  std::uint32_t segments;
  std::uint32_t filled = 0;
  std::uint32_t fail_at_fill = ~0U;
  std::size_t fail_at_delivery = ~std::size_t{0};
  std::size_t outstanding = 0;
  std::size_t most_outstanding = 0;
  std::vector<std::uint64_t> delivered;  ///< indices
};

/// A thread that finishes what is submitted, in an order drawn from a seed, and checks that no slot is used twice.
class FakeLoop {
 public:
  explicit FakeLoop(std::uint64_t seed, const ArenaLayout& layout = kExchangeArena)
      : arena_(layout.bytes() / sizeof(float)),
        exchange_(reinterpret_cast<std::byte*>(arena_.data()), layout,
                  [this](FilledSegment filled) {
                    const MutexLock lock(mutex_);
                    if (!slots_in_use_.insert(filled.slot).second) slot_used_twice_ = true;
                    submitted_.push_back(std::move(filled));
                    changed_.notify_all();
                  }),
        seed_(seed),
        thread_([this] { run(); }) {}
  FakeLoop(const FakeLoop&) = delete;
  FakeLoop& operator=(const FakeLoop&) = delete;
  ~FakeLoop() {
    {
      const MutexLock lock(mutex_);
      closing_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  Exchange& exchange() { return exchange_; }
  /// Nothing is finished while it is held.
  void hold(bool held) { allow(held ? 0 : ~std::uint64_t{0}); }
  /// So many segments are finished, and then nothing more.
  void allow(std::uint64_t segments) {
    const MutexLock lock(mutex_);
    allowed_ = segments;
    changed_.notify_all();
  }
  void wait_until_submitted(std::size_t count) {
    MutexLock lock(mutex_);
    while (submitted_.size() < count) changed_.wait(lock);
  }
  bool slot_used_twice() const {
    const MutexLock lock(mutex_);
    return slot_used_twice_;
  }

 private:
  void run() {
    for (std::uint64_t n = 0;; ++n) {
      FilledSegment task;
      {
        MutexLock lock(mutex_);
        while ((submitted_.empty() || allowed_ == 0) && !closing_) changed_.wait(lock);
        if (submitted_.empty() || allowed_ == 0) return;
        --allowed_;
        const auto at = static_cast<std::ptrdiff_t>(random_at(seed_, n) % submitted_.size());
        task = submitted_[static_cast<std::size_t>(at)];
        submitted_.erase(submitted_.begin() + at);
        slots_in_use_.erase(task.slot);
      }
      FinishedSegment finished;
      finished.segment.slot = task.slot;
      finished.segment.images = task.images;
      finished.segment.index = task.index;
      exchange_.finish(*task.stream, task.index, std::move(finished));
      exchange_.check_invariants();
    }
  }

  std::vector<float> arena_;
  mutable Mutex mutex_;
  Condition changed_;
  std::deque<FilledSegment> submitted_ TUTTI_GUARDED_BY(mutex_);
  std::set<SlotId> slots_in_use_ TUTTI_GUARDED_BY(mutex_);
  bool slot_used_twice_ TUTTI_GUARDED_BY(mutex_) = false;
  std::uint64_t allowed_ TUTTI_GUARDED_BY(mutex_) = ~std::uint64_t{0};
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  Exchange exchange_;
  std::uint64_t seed_;
  std::thread thread_;
};

inline std::shared_ptr<Stream> stream_of(Work& work) {
  return std::make_shared<Stream>(work, TaskKind::predict, ByRank<bool>{true});
}

}  // namespace tutti::test
