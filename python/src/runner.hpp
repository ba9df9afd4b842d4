// An ensemble as Python uses it: the object behind tutti.Ensemble.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>

#include <tutti/evaluate.hpp>

#include "python/src/leased.hpp"
#include "python/src/pending.hpp"

namespace tutti::python {

/// Every method is called with the GIL. What waits, waits for a future without it, or holds the ensemble for a call
/// without it: the last holder destroys the ensemble, and close() waits for that. In a process that was forked, what
/// needs the workers throws Error(usage), and the destructor leaves them alone.
class Runner {
 public:
  /// Starts the workers, on a thread of its own, so that Ctrl-C need not wait for them. `on_event` is called with each
  /// Event, on the thread that tells Python about predictions, and not once it is closed; None: nobody is told. Throws
  /// Error.
  Runner(const Spec& spec, Options options, nanobind::object on_event);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Waits. `timeout` in seconds from now; nothing: as long as it takes.
  Predictions predict(nanobind::handle samples, std::optional<double> timeout);
  /// Does not wait. `self` is the Python object of this.
  std::shared_ptr<Pending> submit(nanobind::object self, nanobind::handle samples, nanobind::object future,
                                  std::optional<double> timeout, int priority);
  /// Leases memory for samples (Ensemble::lease). Waits until there is a slot, but in a callback of a future.
  std::shared_ptr<Leased> lease(std::size_t count, std::optional<double> timeout);
  /// As submit(), for a lease of this ensemble.
  std::shared_ptr<Pending> submit_lease(nanobind::object self, const std::shared_ptr<Leased>& leased,
                                        nanobind::object future, std::optional<double> timeout, int priority);
  /// Ends what is running with Error(interrupted), and stops the workers; they are gone when this returns, also if
  /// another thread closes it meanwhile, but in a callback of a future. In a process that was forked, only forgets
  /// them.
  void close();
  /// Compares predictions with labels, an array of int64 or float32 (tutti::evaluate). `head`: a file, or empty. Waits.
  Evaluated evaluate(nanobind::handle samples, nanobind::handle labels, const std::string& rules,
                     std::optional<std::int64_t> ignore_index, const std::string& head);
  /// Gives a member the model of `next` (Ensemble::replace_member). Waits.
  void replace_member(const std::string& name, const Spec& next);
  /// Adds a member: an entry of `members`, as YAML, on this device, as in `assignment` (Ensemble::add_member). Waits.
  void add_member(const std::string& member, const std::string& device);
  /// Removes one (Ensemble::remove_member).
  void remove_member(const std::string& name);
  /// Waits until nothing that was submitted is unsettled.
  void wait_until_idle();
  /// A submitted prediction is settled.
  void settled();

  Status status(bool memory);
  Health health();
  bool is_closed() const noexcept { return ensemble_ == nullptr; }
  const std::vector<NamedLayout>& inputs() const noexcept { return inputs_; }
  /// Of now: with the new versions of members; of a closed ensemble, as it was then.
  Spec spec() const;

 private:
  using Held = std::shared_ptr<Ensemble>;

  /// Throws if it is closed, of another process, or too late.
  const Held& ensemble();
  Held holding(std::unique_ptr<Ensemble> ensemble);
  template <class Submit>
  std::shared_ptr<Pending> begin(const std::shared_ptr<Pending>& pending, std::optional<double> timeout, int priority,
                                 Submit submit);
  template <class Call>
  auto unless_closed(Call call) -> decltype(call());
  bool is_forked() const;
  void let_go();
  Spec spec_;  ///< of the start, and then of the end
  const pid_t process_;
  std::shared_ptr<nanobind::object> on_event_;  ///< null: nobody is told; without an object: nobody any more
  std::shared_future<void> gone_;               ///< the ensemble is destroyed
  Held ensemble_;                               ///< null: closed
  std::vector<NamedLayout> inputs_;
  std::size_t unsettled_ = 0;
  std::vector<std::promise<void>> idle_;  ///< of those that wait until it is 0
};

}  // namespace tutti::python
