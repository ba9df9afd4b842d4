#include "python/src/pending.hpp"

#include <utility>

#include "python/src/errors.hpp"
#include "python/src/runner.hpp"
#include "python/src/waiting.hpp"

namespace nb = nanobind;

namespace tutti::python {
namespace {

/// What waits for the settler, the latest first: a prediction, or other work. One without either ends it.
struct Item {
  std::shared_ptr<Pending> pending;
  std::function<void()> work;
  Item* next = nullptr;
};

std::atomic<Item*>& items() {
  static std::atomic<Item*> last = nullptr;
  return last;
}

void add(std::shared_ptr<Pending> pending, std::function<void()> work = {}) {
  Item* const item = new Item{std::move(pending), std::move(work), items().load()};
  while (!items().compare_exchange_weak(item->next, item)) {
  }
  items().notify_one();
}

/// All that are there, the first one first.
Item* take_items() {
  items().wait(nullptr);
  Item* reversed = nullptr;
  for (Item* item = items().exchange(nullptr); item != nullptr;) {
    Item* const next = item->next;
    item->next = std::exchange(reversed, item);
    item = next;
  }
  return reversed;
}

void run_settler() {
  for (bool ends = false; !ends;) {
    Item* item = take_items();
    if (!nb::is_alive()) return;  // the interpreter has ended, and everything of Python with it
    const nb::gil_scoped_acquire acquired;
    const Telling telling;
    while (item != nullptr) {
      const std::unique_ptr<Item> taken(item);
      item = taken->next;
      if (taken->pending != nullptr)
        taken->pending->settle();
      else if (taken->work)
        taken->work();
      else
        ends = true;
    }
  }
}

bool& settler_runs() {
  static bool runs = false;
  return runs;
}

}  // namespace

Pending::Pending(nb::object owner, Runner& runner, nb::object future, std::unique_ptr<Given> given)
    : owner_(std::move(owner)),
      runner_(&runner),
      future_(std::move(future)),
      given_(std::move(given)),
      is_ready_(ready_.get_future()) {}

Pending::~Pending() {
  if (!owner_.is_valid()) return;
  // It was never settled, because the interpreter has ended or the process is a forked one: nothing may be freed.
  static_cast<void>(owner_.release());
  static_cast<void>(future_.release());
  static_cast<void>(given_.release());
}

void Pending::finish(std::future<Predictions> ready) {
  result_ = std::move(ready);
  ready_.set_value();
  if (waiting_ == 0) add(shared_from_this());
}

void Pending::wait(std::optional<double> timeout) {
  struct Waiting {
    explicit Waiting(Pending& waited_for) : pending(waited_for) { ++pending.waiting_; }
    // finish() has left the settling to this thread, even if it does not want the result any more.
    ~Waiting() {
      --pending.waiting_;
      if (is_ready(pending.is_ready_)) pending.settle();
    }
    Pending& pending;
  };
  const std::shared_ptr<Pending> self = shared_from_this();
  const Waiting waiting(*this);
  python::wait(is_ready_, timeout);
}

void Pending::settle() {
  if (!owner_.is_valid()) return;
  const nb::object owner = std::exchange(owner_, {});
  const nb::object future = std::exchange(future_, {});
  const std::unique_ptr<Given> given = std::move(given_);
  nb::object predictions = nb::none();
  nb::object error = nb::none();
  try {
    predictions = nb::cast(result_.get());
  } catch (...) {
    error = exception_of(std::current_exception());
  }
  runner_->settled();
  try {
    future.attr("_settle")(predictions, error);
  } catch (nb::python_error& raised) {
    raised.discard_as_unraisable("tutti: settling a future");
  }
}

void Pending::forget() {
  owner_ = {};
  future_ = {};
  given_.reset();
}

void settle_later(std::function<void()> work) { add(nullptr, std::move(work)); }

void start_settler() {
  if (settler_runs()) return;
  settler_runs() = true;
  run_apart(&run_settler);
}

void stop_settler() {
  if (!settler_runs()) return;
  settler_runs() = false;
  add(nullptr);
}

void forget_settler() {
  settler_runs() = false;
  items() = nullptr;  // they are the parent's, and nothing of them may be freed
}

}  // namespace tutti::python
