// The members of a running ensemble: which of them answer a call that begins now, and how they are replaced, added and
// removed meanwhile. What is allowed is decided in new_version.hpp and membership.hpp.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>
#include <tutti/status.hpp>

#include "common/mutex.hpp"
#include "coordinator/api/lineups.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {

/// What runs where, for an ensemble whose samples may come through the API. Throws Error(usage) as make_plan() does.
Plan plan_of(const config::EnsembleSpec& spec, const Options& options, const std::filesystem::path& worker);

/// Thread-safe. The pool outlives it.
class Members {
 public:
  /// How further members are started.
  struct Setting {
    std::filesystem::path worker;
    std::vector<std::pair<std::string, std::string>> environment;
  };
  /// Those of `spec`, which are all running.
  Members(Pool& pool, const Spec& spec, Setting setting);

  std::shared_ptr<const Lineup> lineup() const { return lineups_.now(); }
  /// As Ensemble::status().
  Status status(StatusDetail detail) const;
  /// As Ensemble::health().
  Health health() const;

  /// As Ensemble::replace_member(), add_member() and remove_member(). A training is not waited for: its callback may
  /// call these.
  void replace(std::string_view name, const config::EnsembleSpec& given, const std::stop_token& stop)
      TUTTI_EXCLUDES(changing);
  void add(const MemberSpec& member, const std::stop_token& stop) TUTTI_EXCLUDES(changing);
  void remove(std::string_view name) TUTTI_EXCLUDES(changing);

  /// Held by a training, and by what changes members: one at a time.
  Mutex changing;
  /// Throws Error(usage) if members came or went.
  void check_may_train() const TUTTI_REQUIRES(changing);
  void note_trained() TUTTI_REQUIRES(changing) { trained_ = true; }

 private:
  Status status_of(const Lineup& lineup, StatusDetail detail) const;
  void check_may_replace() const;
  void check_may_change(const config::EnsembleSpec& now) const;

  Pool& pool_;
  const Setting setting_;
  Lineups lineups_;
  std::atomic<bool> trained_ = false;  // set while `changing` is held
  bool came_or_went_ TUTTI_GUARDED_BY(changing) = false;
};

}  // namespace tutti
