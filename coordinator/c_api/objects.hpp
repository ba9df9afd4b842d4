// What the handles of the C API hold.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <tutti/ensemble.hpp>

#include "common/mutex.hpp"
#include "coordinator/c_api/handles.hpp"

namespace tutti::c_api {

struct HeldError {
  tutti_code code = TUTTI_FAILED;
  std::string message;
  std::string detail;
  std::string hint;
  std::string text;
};

/// An ensemble that one thread may free while others are in its methods. Thread-safe.
class HeldEnsemble {
 public:
  HeldEnsemble(const Spec& spec, const tutti_options& options);

  /// A call on the ensemble; close() waits for its end. Throws Error(interrupted) once close() was called.
  class Use {
   public:
    explicit Use(std::shared_ptr<HeldEnsemble> held);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();
    Ensemble* operator->() const { return &*held_->ensemble_; }
    const std::shared_ptr<HeldEnsemble>& held() const { return held_; }

   private:
    const std::shared_ptr<HeldEnsemble> held_;
  };

  /// Ends running calls and the ensemble. Called once.
  void close();

 private:
  Mutex mutex_;
  Condition changed_;
  std::size_t uses_ TUTTI_GUARDED_BY(mutex_) = 0;
  bool closed_ TUTTI_GUARDED_BY(mutex_) = false;
  std::optional<Ensemble> ensemble_;  ///< emptied by close(), when there is no use and no later one
};

/// A lease that several threads may have the handle of. Thread-safe.
class HeldLease {
 public:
  explicit HeldLease(Lease lease) : lease_(std::move(lease)) {}

  /// A call on the lease, at most one at a time. Throws Error(usage) while there is another.
  class Use {
   public:
    explicit Use(std::shared_ptr<HeldLease> held);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();
    Lease& lease() const { return held_->lease_; }

   private:
    const std::shared_ptr<HeldLease> held_;
  };

 private:
  Mutex mutex_;
  bool used_ TUTTI_GUARDED_BY(mutex_) = false;
  Lease lease_;  ///< of the Use that there is
};

/// What runs on this thread: a callback of an ensemble, in which some functions would wait for themselves.
class InCallback {
 public:
  enum class Of { done, event };
  InCallback(const HeldEnsemble& ensemble, Of of);
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;
  ~InCallback();

  /// Throws Error(usage) in a callback of the ensemble.
  static void refuse_free(const HeldEnsemble& ensemble);
  /// Throws Error(usage) in a callback of a submission to the ensemble.
  static void refuse_waiting(const HeldEnsemble& ensemble, const char* function);

 private:
  const HeldEnsemble* ensemble_;
  Of of_;
  const InCallback* outer_;
};

template <>
struct Held<tutti_error> {
  using Object = HeldError;
  static constexpr Kind kind = Kind::error;
};
template <>
struct Held<tutti_spec> {
  using Object = Spec;
  static constexpr Kind kind = Kind::spec;
};
template <>
struct Held<tutti_ensemble> {
  using Object = HeldEnsemble;
  static constexpr Kind kind = Kind::ensemble;
};
template <>
struct Held<tutti_predictions> {
  using Object = Predictions;
  static constexpr Kind kind = Kind::predictions;
};
template <>
struct Held<tutti_text> {
  using Object = std::string;
  static constexpr Kind kind = Kind::text;
};
template <>
struct Held<tutti_lease> {
  using Object = HeldLease;
  static constexpr Kind kind = Kind::lease;
};
template <>
struct Held<tutti_stop> {
  using Object = std::stop_source;
  static constexpr Kind kind = Kind::stop;
};

}  // namespace tutti::c_api
