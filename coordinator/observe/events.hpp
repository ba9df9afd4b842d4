// Tells the host program what happens to the members: finds it out by comparing what the status was with what it is,
// and calls the host's function on a thread of its own, so that nothing that it does holds up the loop.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include <tutti/status.hpp>

#include "common/mutex.hpp"

namespace tutti {

/// What happened to the members since they were `before`. `whole`: whether every member that is left had its workers
/// the last time; it is updated. By place: one without a name is vacant, and further ones may have come.
std::vector<Event> events_between(const std::vector<MemberStatus>& before, const std::vector<MemberStatus>& now,
                                  bool& whole);

/// look() from one thread; the rest thread-safe.
class Events {
 public:
  using Callback = std::function<void(const Event&)>;

  /// Without a callback it does nothing, and has no thread.
  explicit Events(Callback callback);
  /// As close().
  ~Events();
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  /// From now on the callback is called, also with what was seen before.
  void open();
  bool wanted() const noexcept { return static_cast<bool>(callback_); }
  /// The status of all members, after something has changed. The first one is that of the ready ensemble.
  void look(std::vector<MemberStatus> members);
  /// Returns when the callback is not running and will not be called any more.
  void close();

 private:
  void run();

  const Callback callback_;
  std::vector<MemberStatus> last_;  // look() only
  bool whole_ = true;               // look() only

  Mutex mutex_;
  Condition changed_;
  std::deque<Event> queue_ TUTTI_GUARDED_BY(mutex_);
  bool open_ TUTTI_GUARDED_BY(mutex_) = false;
  bool closing_ TUTTI_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // joined by close(), which the owner calls once at a time
};

}  // namespace tutti
