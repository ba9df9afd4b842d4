// The lineup of an ensemble, which changes while calls are in flight: each has the one with which it began.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "coordinator/decide/lineup.hpp"

namespace tutti {

/// Where members are dismissed that are in no lineup any more. Thread-safe. Lineups share it, since a call may have one
/// for longer than the ensemble lives.
class LineupHome {
 public:
  using Dismiss = std::function<void(Rank)>;
  explicit LineupHome(Dismiss dismiss) : dismiss_(std::move(dismiss)) {}
  void dismiss(Rank rank);
  /// The ensemble ends: nobody is dismissed any more.
  void close();

 private:
  Mutex mutex_;
  Dismiss dismiss_ TUTTI_GUARDED_BY(mutex_);  ///< empty: it has ended
};

/// The lineup of the calls that begin now. Thread-safe.
class Lineups {
 public:
  /// `dismiss` is called for each member of `first`, or added later, once no lineup has it, by any thread, but not
  /// after the destructor.
  Lineups(Lineup first, LineupHome::Dismiss dismiss);
  ~Lineups();
  Lineups(const Lineups&) = delete;
  Lineups& operator=(const Lineups&) = delete;

  std::shared_ptr<const Lineup> now() const;
  /// Later calls have these members, of which some may be new, in the order of the description.
  void set(std::shared_ptr<const config::EnsembleSpec> description, std::vector<LineupMember> members);
  /// The members are described by this from now on: one has a new version.
  void describe(std::shared_ptr<const config::EnsembleSpec> description);
  /// A member that has no stay yet.
  LineupMember with_stay(LineupMember member) const;

 private:
  void set(std::shared_ptr<const Lineup> next);

  const std::shared_ptr<LineupHome> home_;
  mutable Mutex mutex_;
  std::shared_ptr<const Lineup> now_ TUTTI_GUARDED_BY(mutex_);
};

}  // namespace tutti
