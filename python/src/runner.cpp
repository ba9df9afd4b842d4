#include "python/src/runner.hpp"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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

/// Drops what a future holds, which may be a whole ensemble, without the GIL.
template <class T>
class Dropped {
 public:
  explicit Dropped(std::future<T>& future) : future_(future) {}
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;
  ~Dropped() {
    if (!future_.valid()) return;
    const Inside inside;
    const nb::gil_scoped_release released;
    future_ = {};
  }

 private:
  std::future<T>& future_;
};

/// Whether a second Ctrl-C leaves work alone that was asked to stop.
enum class SecondTime { leaves, waits };

/// Runs `work` on a thread of its own, so that Ctrl-C can ask it to stop. It then waits for the end of it.
template <class Work>
auto run_stoppable(std::stop_source stop, Work work, SecondTime second = SecondTime::leaves) {
  auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
  auto future = task->get_future();
  const Dropped dropped(future);
  run_apart([task] { (*task)(); });
  task.reset();
  try {
    wait(future);
  } catch (nb::python_error&) {
    stop.request_stop();
    if (second == SecondTime::leaves) {
      wait(future);
    } else {
      const Inside inside;
      const nb::gil_scoped_release released;
      future.wait();
    }
    throw;
  }
  return future.get();
}

/// Has the settler call `listener`, which its owner may empty: none of the library's threads waits for Python.
void tell(const std::shared_ptr<nb::object>& listener, const Event& event) {
  if (!listener->is_valid()) return;
  const nb::object call = *listener;  // it may close the ensemble
  try {
    call(nb::cast(event, nb::rv_policy::copy));
  } catch (nb::python_error& raised) {
    raised.discard_as_unraisable("tutti: telling an event");
  }
}

std::unique_ptr<Ensemble> started(const Spec& spec, Options options, const std::shared_ptr<nb::object>& listener) {
  refuse_at_end();
  if (listener != nullptr) {
    start_settler();
    options.on_event = [weak = std::weak_ptr(listener)](const Event& event) {
      // It is let go of by the settler, with the GIL.
      if (auto strong = weak.lock()) settle_later([strong = std::move(strong), event] { tell(strong, event); });
    };
  }
  const std::stop_source stop;
  options.stop = stop.get_token();
  std::unique_ptr<Ensemble> ensemble = run_stoppable(
      stop, [spec, options = std::move(options)]() mutable { return std::make_unique<Ensemble>(spec, options); });
  if (is_ending()) {
    const Inside inside;
    const nb::gil_scoped_release released;
    ensemble.reset();
  }
  refuse_at_end();
  return ensemble;
}

}  // namespace

Runner::Runner(const Spec& spec, Options options, nb::object on_event)
    : spec_(spec),
      process_(::getpid()),
      on_event_(on_event.is_none() ? nullptr : std::make_shared<nb::object>(std::move(on_event))),
      ensemble_(holding(started(spec, std::move(options), on_event_))),
      inputs_(ensemble_->inputs()) {}

Runner::~Runner() { let_go(); }

Runner::Held Runner::holding(std::unique_ptr<Ensemble> ensemble) {
  const auto gone = std::make_shared<std::promise<void>>();
  gone_ = gone->get_future().share();
  return {ensemble.release(), [gone](Ensemble* last) {
            delete last;
            gone->set_value();
          }};
}

bool Runner::is_forked() const { return ::getpid() != process_; }

const Runner::Held& Runner::ensemble() {
  if (is_forked())
    throw Error(ErrorKind::usage, "this ensemble belongs to the process that made it",
                "process " + std::to_string(::getpid()) + " was forked from process " + std::to_string(process_),
                "make an ensemble in this process, or start it with the method 'spawn'");
  refuse_at_end();
  if (ensemble_ == nullptr)
    throw Error(ErrorKind::usage, "the ensemble is closed", {}, "make a new one, or close it later");
  return ensemble_;
}

/// Calls that hold it end soon. On the thread that tells Python about predictions, nothing is waited for: others may
/// have some, too.
void Runner::let_go() {
  if (ensemble_ == nullptr) return;
  spec_ = spec();
  Held held = std::move(ensemble_);
  const nb::object told = on_event_ != nullptr ? std::exchange(*on_event_, {}) : nb::object();
  if (is_forked()) {  // its threads are not in this process, and its workers are the parent's
    static_cast<void>(new Held(std::move(held)));
    return;
  }
  if (held.use_count() > 1) held->interrupt();
  if (is_telling()) return run_apart([held = std::move(held)]() mutable { held.reset(); });
  const Inside inside;
  const nb::gil_scoped_release released;
  held.reset();
}

Spec Runner::spec() const { return ensemble_ == nullptr || is_forked() ? spec_ : ensemble_->spec(); }

void Runner::close() {
  let_go();
  if (!is_forked() && !is_telling()) wait(gone_);
}

/// `call` holds the ensemble, so close() interrupts it: says then what predict() says.
template <class Call>
auto Runner::unless_closed(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted || !is_closed()) throw;
    throw Error(ErrorKind::interrupted, "the ensemble was closed before this call finished");
  }
}

Evaluated Runner::evaluate(nb::handle samples, nb::handle labels, const std::string& rules,
                           std::optional<std::int64_t> ignore_index, const std::string& head) {
  static_cast<void>(ensemble());
  const Given given(samples, inputs_);  // runs Python, which may close the ensemble
  const GivenArray given_labels(labels, "y");
  const std::stop_source stop;
  auto work = [&, held = ensemble(), options = EvaluateOptions{rules, ignore_index, head, stop.get_token()}]() mutable {
    const Held own = std::move(held);
    return std::visit(
        [&](const auto& view) -> Evaluated {
          if constexpr (std::is_same_v<std::decay_t<decltype(view)>, EncodedImages>)
            throw Error(ErrorKind::usage, "encoded pictures cannot be evaluated", {},
                        "decode and resize them, and pass an array; or use 'tutti evaluate' on their folder");
          else
            return tutti::evaluate(*own, view, given_labels.view(), options);
        },
        given.view());
  };
  // A second Ctrl-C waits, too: it reads the samples until it ends.
  return unless_closed([&] { return run_stoppable(stop, std::move(work), SecondTime::waits); });
}

void Runner::replace_member(const std::string& name, const Spec& next) {
  const std::stop_source stop;
  auto work = [held = ensemble(), name, next, token = stop.get_token()]() mutable {
    const Held own = std::move(held);
    own->replace_member(name, next, token);
  };
  // After Ctrl-C, spec() says whether the new version took over: so a second one waits, too.
  unless_closed([&] { run_stoppable(stop, std::move(work), SecondTime::waits); });
}

void Runner::add_member(const std::string& member, const std::string& device) {
  const std::stop_source stop;
  auto work = [held = ensemble(), member, device, token = stop.get_token()]() mutable {
    const Held own = std::move(held);
    const Spec now = own->spec();
    // Read beside what the description says of all members; without what names the others.
    const std::uint64_t seed = now.checked().seed + now.checked().members.size();
    std::vector<std::string> changes{"members=[{}]", "members.0=" + member, "seed=" + std::to_string(seed),
                                     "workers=null", "cascade=null",        "quorum=null",
                                     "merge=null",   "assignment=null"};
    // Its weight may be one that only the others make possible.
    if (now.checked().combine.rule == CombineRule::weighted) changes.emplace_back("combine.normalize=false");
    if (parse_spec(now.yaml(), changes).checked().members.size() != 1)
      throw Error(ErrorKind::usage, "one member is added at a time", "its 'glob' finds several files",
                  "name one file in 'path', and add the others with further calls");
    changes.push_back("assignment=[" + device + "]");
    const Spec read = parse_spec(now.yaml(), changes);
    own->add_member(read.checked().members.front(), token);
  };
  unless_closed([&] { run_stoppable(stop, std::move(work), SecondTime::waits); });
}

void Runner::remove_member(const std::string& name) {
  unless_closed([&] {
    Held held = ensemble();
    const Inside inside;
    const nb::gil_scoped_release released;
    const Held own = std::move(held);  // perhaps the last one: its end may wait for Python
    own->remove_member(name);
  });
}

Predictions Runner::predict(nb::handle samples, std::optional<double> timeout) {
  static_cast<void>(ensemble());
  const Given given(samples, inputs_);  // runs Python, which may close the ensemble
  std::stop_source stop;
  const SubmitOptions options = options_of(timeout, stop.get_token());
  const Held& ensemble = this->ensemble();
  std::future<Predictions> future =
      std::visit([&](const auto& view) { return ensemble->submit(view, options); }, given.view());
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
  const auto pending =  // runs Python, which may close the ensemble
      std::make_shared<Pending>(std::move(self), *this, std::move(future), std::make_unique<Given>(samples, inputs_));
  return begin(pending, timeout, priority,
               [&](Ensemble& ensemble, const SubmitDone& done, const SubmitOptions& options) {
                 std::visit([&](const auto& view) { ensemble.submit(view, done, options); }, pending->view());
               });
}

std::shared_ptr<Pending> Runner::submit_lease(nb::object self, const std::shared_ptr<Leased>& leased, nb::object future,
                                              std::optional<double> timeout, int priority) {
  static_cast<void>(ensemble());
  const auto pending = std::make_shared<Pending>(std::move(self), *this, std::move(future), nullptr);
  return begin(pending, timeout, priority,
               [&](Ensemble& ensemble, const SubmitDone& done, const SubmitOptions& options) {
                 ensemble.submit(leased->lease(), done, options);
               });
}

/// `submit` passes what is submitted to the ensemble.
template <class Submit>
std::shared_ptr<Pending> Runner::begin(const std::shared_ptr<Pending>& pending, std::optional<double> timeout,
                                       int priority, Submit submit) {
  SubmitOptions options = options_of(timeout, pending->stop_token());
  options.priority = priority;
  start_settler();
  try {
    submit(
        *ensemble(), [pending](std::future<Predictions> ready) { pending->finish(std::move(ready)); }, options);
  } catch (...) {
    pending->forget();
    throw;
  }
  ++unsettled_;
  return pending;
}

/// Without a thread of its own if there is a slot now.
std::shared_ptr<Leased> Runner::lease(std::size_t count, std::optional<double> timeout) {
  const std::stop_source stop;
  SubmitOptions options = options_of(timeout, stop.get_token());
  options.when_full = WhenFull::refuse;
  try {
    return std::make_shared<Leased>(ensemble()->lease(count, options));
  } catch (const QueueFull&) {
    if (is_telling()) throw;
  }
  options.when_full = WhenFull::wait;
  auto work = [held = ensemble(), count, options]() mutable {
    const Held own = std::move(held);
    return std::make_unique<Lease>(own->lease(count, options));
  };
  return std::make_shared<Leased>(std::move(*unless_closed([&] { return run_stoppable(stop, std::move(work)); })));
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

/// The memory of each process takes some milliseconds.
Status Runner::status(bool memory) {
  if (!memory) return ensemble()->status(StatusDetail::counters);
  Held held = ensemble();
  const Inside inside;
  const nb::gil_scoped_release released;
  const Held own = std::move(held);
  return own->status(StatusDetail::memory);
}

Health Runner::health() { return ensemble()->health(); }

}  // namespace tutti::python
