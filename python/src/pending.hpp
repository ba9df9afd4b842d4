// A submitted prediction, between the library, which finishes it on a thread that must not wait for the GIL, and the
// future that Python has.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>

#include <nanobind/nanobind.h>

#include <tutti/predictions.hpp>

#include "python/src/arrays.hpp"

namespace tutti::python {

class Runner;

/// Shared by the library's callback, the Python object of the future, and the settler. The thread that first has the
/// GIL after the prediction is ready settles the future: a thread that waits for it, at once; or else the settler, a
/// thread that all predictions share, so that none of the library's threads ever waits for Python.
class Pending : public std::enable_shared_from_this<Pending> {
 public:
  /// With the GIL. `future._settle(predictions, error)` is called once; until then `owner`, which is the Python object
  /// of `runner`, the samples and the future are kept.
  Pending(nanobind::object owner, Runner& runner, nanobind::object future, std::unique_ptr<Given> given);
  ~Pending();
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  const Given::View& view() const noexcept { return given_->view(); }
  std::stop_token stop_token() const { return stop_.get_token(); }

  /// On any thread, without the GIL; does not wait.
  void finish(std::future<Predictions> ready);

  /// With the GIL, which it lets go of: waits until it is ready, as long as `timeout` says in seconds, and settles the
  /// future if it is. Throws nb::python_error if a signal's handler raises.
  void wait(std::optional<double> timeout);
  /// With the GIL. Gives the prediction up.
  void stop() { stop_.request_stop(); }
  /// With the GIL. Calls after the first do nothing.
  void settle();
  /// With the GIL: the submission failed, nothing will be finished.
  void forget();

 private:
  nanobind::object owner_;
  Runner* runner_;
  nanobind::object future_;
  std::unique_ptr<Given> given_;
  std::stop_source stop_;
  std::future<Predictions> result_;
  std::promise<void> ready_;
  std::shared_future<void> is_ready_;
  std::atomic<int> waiting_ = 0;
};

/// On any thread, without the GIL: has the settler do `work`, with the GIL. It is neither done nor destroyed once the
/// interpreter has ended, and in a forked process.
void settle_later(std::function<void()> work);
/// With the GIL: starts the settler unless it runs.
void start_settler();
/// Has the settler end after what it has; a later submission starts it again. With the GIL.
void stop_settler();
/// In a forked process, which has no copy of the thread.
void forget_settler();

}  // namespace tutti::python
