#include "coordinator/c_api/objects.hpp"

#include <fmt/format.h>

#include <utility>

namespace tutti::c_api {
namespace {

thread_local const InCallback* current_callback = nullptr;

static_assert(TUTTI_DIED == static_cast<int>(Event::Kind::died));
static_assert(TUTTI_REPLACED == static_cast<int>(Event::Kind::replaced));
static_assert(TUTTI_DEGRADED == static_cast<int>(Event::Kind::degraded));
static_assert(TUTTI_RESTORED == static_cast<int>(Event::Kind::restored));
static_assert(TUTTI_JOINED == static_cast<int>(Event::Kind::joined));
static_assert(TUTTI_LEFT == static_cast<int>(Event::Kind::left));

Options options_of(const tutti_options& options, const HeldEnsemble& held) {
  Options result;
  if (options.worker != nullptr) result.worker = options.worker;
  if (options.trace != nullptr) result.trace = options.trace;
  result.most_submissions = options.most_submissions;
  if (options.on_event != nullptr)
    result.on_event = [call = options.on_event, user = options.on_event_user, &held](const Event& event) {
      const InCallback mark(held, InCallback::Of::event);
      call(user, static_cast<tutti_event_kind>(event.kind), event.member.c_str(), event.text.c_str());
    };
  return result;
}

}  // namespace

HeldEnsemble::HeldEnsemble(const Spec& spec, const tutti_options& options)
    : ensemble_(std::in_place, spec, options_of(options, *this)) {}

HeldEnsemble::Use::Use(std::shared_ptr<HeldEnsemble> held) : held_(std::move(held)) {
  const MutexLock lock(held_->mutex_);
  if (held_->closed_) throw Error(ErrorKind::interrupted, "the ensemble was freed before this call began");
  ++held_->uses_;
}

HeldEnsemble::Use::~Use() {
  const MutexLock lock(held_->mutex_);
  --held_->uses_;
  held_->changed_.notify_all();
}

void HeldEnsemble::close() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  ensemble_->interrupt();
  {
    MutexLock lock(mutex_);
    while (uses_ > 0) changed_.wait(lock);
  }
  ensemble_.reset();
}

HeldLease::Use::Use(std::shared_ptr<HeldLease> held) : held_(std::move(held)) {
  const MutexLock lock(held_->mutex_);
  if (held_->used_)
    throw Error(ErrorKind::usage, "the lease is used by another thread at the same time", {},
                "write and submit a lease on one thread");
  held_->used_ = true;
}

HeldLease::Use::~Use() {
  const MutexLock lock(held_->mutex_);
  held_->used_ = false;
}

InCallback::InCallback(const HeldEnsemble& ensemble, Of of)
    : ensemble_(&ensemble), of_(of), outer_(std::exchange(current_callback, this)) {}

InCallback::~InCallback() { current_callback = outer_; }

void InCallback::refuse_free(const HeldEnsemble& ensemble) {
  for (const InCallback* callback = current_callback; callback != nullptr; callback = callback->outer_)
    if (callback->ensemble_ == &ensemble)
      throw Error(ErrorKind::usage, "tutti_ensemble_free() was called in a callback of the same ensemble",
                  "it waits until its callbacks have returned", "free the ensemble on another thread");
}

void InCallback::refuse_waiting(const HeldEnsemble& ensemble, const char* function) {
  for (const InCallback* callback = current_callback; callback != nullptr; callback = callback->outer_)
    if (callback->ensemble_ == &ensemble && callback->of_ == Of::done)
      throw Error(
          ErrorKind::usage, fmt::format("{}() was called in a callback of a submission to the same ensemble", function),
          "the thread that it would wait for is this one", "submit the next prediction, or predict on another thread");
}

}  // namespace tutti::c_api
