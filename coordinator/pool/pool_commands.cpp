// The part of the pool about commands: members begin to train, go on from a checkpoint, and save their weights.
#include <limits>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>

#include "common/check.hpp"
#include "common/kill_point.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {
namespace {

// No other takes more digits.
constexpr Seat kLongestSeat{std::numeric_limits<std::uint32_t>::max()};

control::Message for_seat(control::Message message, Seat seat) {
  if (auto* const begin = std::get_if<control::BeginTraining>(&message)) begin->seat = seat;
  if (auto* const save = std::get_if<control::Save>(&message)) save->seat = seat;
  return message;
}

}  // namespace

void Pool::command(ByRank<control::Message> messages) {
  TUTTI_CHECK(messages.size() == plan_.members.size());
  const bool save = std::holds_alternative<control::Save>(messages[0]);
  for (const control::Message& message : messages) {
    TUTTI_CHECK(message.index() == messages[0].index(), "the messages of a command are of one kind");
    control::encode(for_seat(message, kLongestSeat));  // throws if it is too long
  }
  std::promise<void> promise;
  std::future<void> answered = promise.get_future();
  boost::asio::post(loop_, [this, save, messages = std::move(messages), promise = std::move(promise)]() mutable {
    assert_on_loop(loop_);
    TUTTI_CHECK(!command_, "only one command at a time");
    command_ = std::move(promise);
    command_messages_ = std::move(messages);
    if (const auto failure = exchange_->failure()) return fail_on_loop(*failure);
    supervisor_.command(save ? Supervisor::Command::save : Supervisor::Command::begin_training, Clock::now());
    carry_out();
  });
  answered.get();
}

void Pool::perform(const action::Prepare& prepare) {
  WorkerProcess& worker = process_of(hosting().only_worker_of(prepare.rank));
  const Seat seat = hosting().seat_of(prepare.rank);
  prepare_answers_[prepare.rank] = (prepare.checkpoint ? 1 : 0) + (prepare.begin ? 1 : 0);
  TUTTI_CHECK(prepare_answers_[prepare.rank] > 0, "a preparation is answered");
  give_checkpoint_files(worker, prepare.rank);
  if (prepare.checkpoint) worker.send(control::Restore{*prepare.checkpoint, seat});
  if (prepare.begin) worker.send(control::BeginTraining{seat});
}

/// Its tasks may make checkpoints from now on.
void Pool::give_checkpoint_files(WorkerProcess& worker, Rank rank) {
  try {
    worker.give_checkpoint_files(hosting().seat_of(rank), checkpoint_files_.of(rank));
  } catch (const Error& error) {
    worker.give_up(control::failure_of(error));
  }
}

void Pool::perform(const action::Tell& tell) {
  TUTTI_CHECK(prepare_answers_[tell.rank] == 0, "a member is told a command after its preparation");
  WorkerProcess& worker = process_of(hosting().only_worker_of(tell.rank));
  give_checkpoint_files(worker, tell.rank);
  worker.send(for_seat(command_messages_[tell.rank], hosting().seat_of(tell.rank)));
  kill_point("coordinator.command_sent");
}

void Pool::on_done(WorkerProcess& worker, const control::Done& done) {
  if (over()) return;
  if (!roster_.is_worker(worker)) return worker.violate("it answered a command that it was not given");
  kill_point("coordinator.command_answered");
  const std::vector<Rank>& unit = hosting().members_of(worker.id());
  if (hosting().replicated(worker.id()) || done.seat.value() >= unit.size())
    return worker.violate("it answered a command that it was not given");
  const Rank rank = unit[done.seat.value()];
  int& expected = prepare_answers_[rank];
  if (expected > 0 && --expected > 0 && done.problem.empty()) return;
  supervisor_.done(rank, done, Clock::now());
  carry_out();
}

void Pool::perform(const action::CommandDone& done) {
  if (!command_) return;
  if (done.problem)
    command_->set_exception(std::make_exception_ptr(*done.problem));
  else
    command_->set_value();
  command_.reset();
}

}  // namespace tutti
