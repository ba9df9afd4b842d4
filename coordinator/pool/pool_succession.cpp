// The part of the pool about new versions: a member is replaced while the pool predicts.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>

#include "common/check.hpp"
#include "common/log.hpp"
#include "common/tensor_text.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {
namespace {

Error not_replaced(const std::string& name, const std::string& why) {
  return Error(ErrorKind::failed, fmt::format("{} was not replaced: {}", name, why), {},
               "status() and the events say more; its old version stays where there is one");
}

/// "x of [2]", or "nothing".
std::string joined_text(const std::vector<NamedLayout>& parts) {
  return parts.empty() ? "nothing" : sample_text(parts);
}

}  // namespace

void Pool::replace(std::string name, std::vector<NewVersion> next, const std::stop_token& stop) {
  TUTTI_CHECK(!next.empty());
  Succession begun{{}, stop, std::move(name)};
  auto done = begun.done.get_future();
  boost::asio::post(loop_, [this, next = std::move(next), begun = std::move(begun)]() mutable {
    assert_on_loop(loop_);
    begin_succession(std::move(next), std::move(begun));
  });
  await_succession(std::move(done), stop);
}

Pool::Newcomer Pool::await_succession(std::future<Newcomer> done, const std::stop_token& stop) {
  const std::stop_callback giving_up(stop, [this] {
    boost::asio::post(loop_, [this] {
      assert_on_loop(loop_);
      give_succession_up();
    });
  });
  return done.get();
}

void Pool::begin_succession(std::vector<NewVersion> next, Succession begun) {
  TUTTI_CHECK(!succession_, "one at a time");
  TUTTI_CHECK(!plan_.training && batches_.settled());
  begun.rank = next.back().rank;
  for (const NewVersion& one : next) begun.models.emplace_back(one.rank, one.request.model);
  succession_.emplace(std::move(begun));
  if (const auto failure = exchange_->failure()) return end_succession(*failure);
  if (supervisor_.absent(succession_->rank))
    return end_succession(not_replaced(succession_->name, "it was left out before"));
  try {
    for (NewVersion& one : next) {
      const std::vector<WorkerId>& workers = hosting().workers_of(one.rank);
      one.request.threads = roster_.request_of(workers.front(), hosting().seat_of(one.rank)).threads;
      if (const auto feeder = supervisor_.chains().feeder_of(one.rank))  // whose new version outputs the same
        one.request.takes = {TakenTensor::unchanged({Dtype::float32, outputs_[*feeder]})};
      set_batch(plan_, one.request, batches_.of(one.rank));
      for (const WorkerId worker : workers)
        if (supervisor_.state(worker) != WorkerState::absent)
          roster_.prepare_successor(worker, hosting().seat_of(one.rank), one.request, one.python);
    }
  } catch (const Error& error) {
    return successor_failed(error);
  }
  limit_succession();
}

/// The one whose caller asked for it may have ended since, so the token of the one that is there tells.
void Pool::give_succession_up() {
  if (!succession_ || succession_->taken_over || !succession_->stop.stop_requested()) return;
  supervisor_.call_off(Clock::now());
  const std::string& name = succession_->name;
  end_succession(
      Error(ErrorKind::interrupted, succession_->joins
                                        ? fmt::format("{} was given up before it joined the ensemble", name)
                                        : fmt::format("the new version of {} was given up before it took over", name)));
  carry_out();
}

/// As long as a start may take, from now on: for loading, and then for what the old version still has to answer.
void Pool::limit_succession() {
  succession_timer_.expires_after(ticks_of(plan_.start_deadline));
  succession_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    assert_on_loop(loop_);
    if (cancelled || !succession_) return;
    const char* what = succession_->ready ? "the old one did not answer what it had" : "it was not ready";
    successor_failed(Error(ErrorKind::failed, fmt::format("{} within {} s", what, plan_.start_deadline.count()), {},
                           "raise 'start_deadline_s' if that takes so long"));
    carry_out();
  });
}

void Pool::successor_is_ready(WorkerProcess& successor, const std::vector<control::Ready>& ready) {
  const std::vector<Rank>& unit = hosting().members_of(successor.id());
  TUTTI_CHECK(succession_ && ready.size() == unit.size());
  if (succession_->joins) return newcomer_is_ready(successor, ready);
  for (std::size_t seat = 0; seat < unit.size(); ++seat) {
    const Rank rank = unit[seat];
    if (ready[seat].output != outputs_[rank])
      return successor_failed(Error(
          ErrorKind::usage,
          fmt::format("it outputs {} values per image, and the ensemble was built for the {} of the version before it",
                      dims_text(ready[seat].output), dims_text(outputs_[rank])),
          {}, "give it the same outputs, or make a new Ensemble"));
    const auto same = [](const NamedLayout& a, const NamedLayout& b) { return a.layout == b.layout; };
    if (!std::ranges::equal(ready[seat].parts, parts_[rank], same))
      return successor_failed(Error(ErrorKind::usage,
                                    fmt::format("it joins {}, and the version before it joins {}",
                                                joined_text(ready[seat].parts), joined_text(parts_[rank])),
                                    {}, "name outputs of the same shapes, in the same order, in its 'output'"));
  }
  roster_.successor_ready(successor, ready);
  if (!roster_.successors_ready()) return;
  succession_->ready = true;
  limit_succession();
  std::vector<WorkerId> workers;
  for (const auto& [rank, model] : succession_->models)
    for (const WorkerId worker : hosting().workers_of(rank)) workers.push_back(worker);
  supervisor_.supersede(std::move(workers), Clock::now());
  carry_out();
}

/// The workers stay what they are.
void Pool::successor_failed(const Error& error) {
  if (!succession_) return roster_.dismiss_successors();
  if (succession_->taken_over) return;  // it was for a worker that was given up
  supervisor_.call_off(Clock::now());
  const std::string what = succession_->joins
                               ? fmt::format("{} cannot join the ensemble", succession_->name)
                               : fmt::format("the new version of {} cannot take over", succession_->name);
  end_succession(Error(error.kind(), fmt::format("{}: {}", what, error.message()), error.detail(), error.hint()));
}

void Pool::end_succession(const std::optional<Error>& problem) {
  succession_timer_.cancel();
  roster_.dismiss_successors();
  if (!succession_) return;
  if (problem)
    succession_->done.set_exception(std::make_exception_ptr(*problem));
  else
    succession_->done.set_value({succession_->rank, outputs_[succession_->rank]});
  succession_.reset();
}

void Pool::perform(const action::Retire& retire) {
  TUTTI_CHECK(succession_);
  succession_->taken_over = true;
  roster_.hand_over(retire.worker, ticks_of(plan_.stop_deadline));
}

void Pool::perform(const action::Superseded& done) {
  TUTTI_CHECK(succession_);
  const std::string& name = succession_->name;
  if (!done.problem.empty()) return end_succession(not_replaced(name, done.problem));
  for (const auto& [rank, model] : succession_->models) board_.changed(rank, std::string(kind_name(model)));
  log::info("{} is replaced by its new version", name);
  // When the actions that follow are carried out: the caller then finds the new worker in the status.
  boost::asio::post(loop_, [this] {
    assert_on_loop(loop_);
    end_succession(std::nullopt);
  });
}

void Pool::successor_ended(const ExitStatus& status, const std::optional<control::Failure>& reason) {
  if (reason)
    return successor_failed(
        Error(reason->usage ? ErrorKind::usage : ErrorKind::failed, reason->text, {}, reason->hint));
  successor_failed(Error(ErrorKind::failed, fmt::format("its worker {}", to_text(status))));
}

/// A new version of a unit that is parted would be one of both members.
void Pool::perform(const action::Move& move) {
  if (roster_.has_successor(move.from) && succession_)
    end_succession(not_replaced(succession_->name, "the members that share its worker were parted"));
  roster_.move(move.from, move.rank, move.to);
}

}  // namespace tutti
