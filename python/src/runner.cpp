#include "python/src/runner.hpp"

#include <unistd.h>

#include <chrono>
#include <utility>
#include <variant>

#include "python/src/arrays.hpp"
#include "python/src/errors.hpp"
#include "python/src/waiting.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

using Clock = std::chrono::steady_clock;

SubmitOptions options_of(std::optional<double> timeout, std::stop_token stop) {
  SubmitOptions options;
  constexpr double kNever = 1e9;  // seconds: more than any clock reaches
  if (timeout && *timeout < kNever)
    options.deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*timeout));
  options.stop = std::move(stop);
  return options;
}

void refuse_at_end() {
  if (is_ending())
    throw Error(ErrorKind::interrupted, "the Python interpreter ends", {}, "join threads that predict before it does");
}

/// On a thread of its own: if the caller does not wait for the end, that thread also ends what it has started.
std::unique_ptr<Ensemble> started(const Spec& spec, Options options) {
  refuse_at_end();
  auto work = std::make_shared<std::packaged_task<std::unique_ptr<Ensemble>()>>(
      [spec, options = std::move(options)]() mutable { return std::make_unique<Ensemble>(spec, std::move(options)); });
  std::future<std::unique_ptr<Ensemble>> future = work->get_future();
  run_apart([work] { (*work)(); });
  work.reset();
  wait(future);
  std::unique_ptr<Ensemble> ensemble = future.get();
  refuse_at_end();
  return ensemble;
}

}  // namespace

Runner::Runner(const Spec& spec, Options options)
    : spec_(spec), process_(::getpid()), ensemble_(started(spec, std::move(options))), inputs_(ensemble_->inputs()) {}

Runner::~Runner() {
  if (is_forked())
    static_cast<void>(ensemble_.release());  // its threads are not in this process, and its workers are the parent's
  else if (ensemble_ != nullptr)
    end(std::move(ensemble_));
}

bool Runner::is_forked() const { return ::getpid() != process_; }

Ensemble& Runner::ensemble() {
  if (is_forked())
    throw Error(ErrorKind::usage, "this ensemble belongs to the process that made it",
                "process " + std::to_string(::getpid()) + " was forked from process " + std::to_string(process_),
                "make an ensemble in this process, or start it with the method 'spawn'");
  refuse_at_end();
  if (ensemble_ == nullptr)
    throw Error(ErrorKind::usage, "the ensemble is closed", {}, "make a new one, or close it later");
  return *ensemble_;
}

/// Not on the thread that tells Python about predictions: others may have some, too.
void Runner::end(std::unique_ptr<Ensemble> ensemble) {
  if (is_telling())
    return run_apart([gone = std::shared_ptr<Ensemble>(std::move(ensemble))]() mutable { gone.reset(); });
  const Inside inside;
  const nb::gil_scoped_release released;
  ensemble.reset();
}

void Runner::close() {
  if (is_forked())
    static_cast<void>(ensemble_.release());
  else if (ensemble_ != nullptr)
    end(std::move(ensemble_));
}

Predictions Runner::predict(nb::handle samples, std::optional<double> timeout) {
  static_cast<void>(ensemble());
  const Given given(samples, inputs_);  // runs Python, which may close the ensemble
  std::stop_source stop;
  const SubmitOptions options = options_of(timeout, stop.get_token());
  Ensemble& ensemble = this->ensemble();
  std::future<Predictions> future =
      std::visit([&](const auto& view) { return ensemble.submit(view, options); }, given.view());
  try {
    wait(future);
  } catch (nb::python_error&) {
    stop.request_stop();  // the samples are read until it is ready
    const Inside inside;
    const nb::gil_scoped_release released;
    future.wait();
    throw;
  }
  return future.get();
}

std::shared_ptr<Pending> Runner::submit(nb::object self, nb::handle samples, nb::object future,
                                        std::optional<double> timeout, int priority) {
  static_cast<void>(ensemble());
  auto pending =  // runs Python, which may close the ensemble
      std::make_shared<Pending>(std::move(self), *this, std::move(future), std::make_unique<Given>(samples, inputs_));
  SubmitOptions options = options_of(timeout, pending->stop_token());
  options.priority = priority;
  start_settler();
  try {
    Ensemble& ensemble = this->ensemble();
    const auto done = [pending](std::future<Predictions> ready) { pending->finish(std::move(ready)); };
    std::visit([&](const auto& view) { ensemble.submit(view, done, options); }, pending->view());
  } catch (...) {
    pending->forget();
    throw;
  }
  ++unsettled_;
  return pending;
}

void Runner::settled() {
  if (--unsettled_ > 0) return;
  for (std::promise<void>& waiting : std::exchange(idle_, {})) waiting.set_value();
}

void Runner::wait_until_idle() {
  static_cast<void>(ensemble());
  if (unsettled_ == 0) return;
  if (is_telling())
    throw Error(ErrorKind::usage, "a callback of a future cannot wait for other predictions",
                "it runs on the thread that would tell about them", "call close() there, or wait on another thread");
  std::future<void> idle = idle_.emplace_back().get_future();
  wait(idle);
}

Status Runner::status(bool memory) { return ensemble().status(memory ? StatusDetail::memory : StatusDetail::counters); }

Health Runner::health() { return ensemble().health(); }

}  // namespace tutti::python
