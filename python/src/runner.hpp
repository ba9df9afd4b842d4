// An ensemble as Python uses it: the object behind tutti.Ensemble.
#pragma once

#include <sys/types.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>

#include <tutti/ensemble.hpp>

#include "python/src/pending.hpp"

namespace tutti::python {

/// Every method is called with the GIL, and touches the ensemble only with it, so that close() meets no other call;
/// what waits, waits for a future without the GIL. In a process that was forked, what needs the workers throws
/// Error(usage), and the destructor leaves them alone.
class Runner {
 public:
  /// Starts the workers, on a thread of its own, so that Ctrl-C need not wait for them. Throws Error.
  Runner(const Spec& spec, Options options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Waits. `timeout` in seconds from now; nothing: as long as it takes.
  Predictions predict(nanobind::handle samples, std::optional<double> timeout);
  /// Does not wait. `self` is the Python object of this.
  std::shared_ptr<Pending> submit(nanobind::object self, nanobind::handle samples, nanobind::object future,
                                  std::optional<double> timeout, int priority);
  /// Ends what is running with Error(interrupted), and stops the workers; they are gone when this returns. In a process
  /// that was forked, only forgets them.
  void close();
  /// Waits until nothing that was submitted is unsettled.
  void wait_until_idle();
  /// A submitted prediction is settled.
  void settled();

  Status status(bool memory);
  Health health();
  bool is_closed() const noexcept { return ensemble_ == nullptr; }
  const std::vector<NamedLayout>& inputs() const noexcept { return inputs_; }
  const Spec& spec() const noexcept { return spec_; }

 private:
  Ensemble& ensemble();
  bool is_forked() const;
  void end(std::unique_ptr<Ensemble> ensemble);
  const Spec spec_;
  const pid_t process_;
  std::unique_ptr<Ensemble> ensemble_;
  std::vector<NamedLayout> inputs_;
  std::size_t unsettled_ = 0;
  std::vector<std::promise<void>> idle_;  ///< of those that wait until it is 0
};

}  // namespace tutti::python
