// The part of the pool about members that come and go while it predicts. A further member is loaded like a new version,
// as the successor of a worker that has no process yet.
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

Pool::Newcomer Pool::add(MemberRequest member, WorkerPlan host, const std::stop_token& stop) {
  Succession begun{{}, stop, member.name};
  auto done = begun.done.get_future();
  boost::asio::post(loop_,
                    [this, member = std::move(member), host = std::move(host), begun = std::move(begun)]() mutable {
                      assert_on_loop(loop_);
                      begin_joining(member, host, std::move(begun));
                    });
  return await_succession(std::move(done), stop);
}

void Pool::begin_joining(const MemberRequest& member, const WorkerPlan& host, Succession begun) {
  TUTTI_CHECK(!succession_, "one at a time");
  TUTTI_CHECK(!plan_.training && batches_.settled());
  succession_.emplace(std::move(begun));
  if (const auto failure = exchange_->failure()) return end_succession(*failure);
  const Rank rank = supervisor_.reserve(member.name, host.device);
  const WorkerId worker = hosting().only_worker_of(rank);
  succession_->rank = rank;
  while (outputs_.size() <= rank.value()) outputs_.push_back({});
  while (parts_.size() <= rank.value()) parts_.push_back({});
  while (outputs_known_.size() <= rank.value()) outputs_known_.push_back(false);
  while (prepare_answers_.size() <= rank.value()) prepare_answers_.push_back(0);
  outputs_known_[rank] = false;
  const std::uint32_t batch = plan_.members.front().request.batch_images;  // which is given: that of all
  batches_.set(rank, batch);
  succession_->joins = host;
  succession_->joins->members = {rank};
  MemberRequest request = member;
  set_batch(plan_, request, batch);
  try {
    roster_.prepare_newcomer(worker, *succession_->joins, request);
  } catch (const Error& error) {
    return successor_failed(error);
  }
  limit_succession();
}

/// Any other member tells what the predictions must be.
std::optional<Error> Pool::why_not_combined(Rank rank, const control::Ready& ready) const {
  if (const std::string why = why_not_ready(rank, ready); !why.empty())
    return Error(ErrorKind::failed, "its worker broke the protocol: " + why);
  if (plan_.combine.rule == CombineRule::none) return std::nullopt;
  for (const Rank other : outputs_.ids()) {
    if (other == rank || !outputs_known_[other] || supervisor_.chains().fed_from(other)) continue;
    if (outputs_[other] != ready.output)
      return Error(ErrorKind::usage,
                   fmt::format("it outputs {} values per image, and the members of the ensemble {}",
                               dims_text(ready.output), dims_text(outputs_[other])),
                   {}, "add a model with the same outputs, or make a new Ensemble with 'combine: {rule: none}'");
    const auto same = [](const NamedLayout& a, const NamedLayout& b) { return a.layout == b.layout; };
    if (!parts_[other].empty() && !ready.parts.empty() && !std::ranges::equal(parts_[other], ready.parts, same))
      return Error(ErrorKind::usage,
                   fmt::format("it joins {}, and the members of the ensemble {}", sample_text(ready.parts),
                               sample_text(parts_[other])),
                   {}, "name outputs of the same shapes, in the same order, in its 'output'");
  }
  return std::nullopt;
}

void Pool::newcomer_is_ready(WorkerProcess& newcomer, const std::vector<control::Ready>& ready) {
  const Rank rank = succession_->rank;
  if (const auto problem = why_not_combined(rank, ready.front())) return successor_failed(*problem);
  outputs_[rank] = ready.front().output;
  parts_[rank] = ready.front().parts;
  outputs_known_[rank] = true;
  roster_.successor_ready(newcomer, ready);
  roster_.hand_over(newcomer.id(), ticks_of(plan_.stop_deadline));
  const MemberRequest& request = roster_.request_of(newcomer.id(), 0);
  succession_->taken_over = true;
  board_.joins(rank, request, *succession_->joins);
  if (trace_ != nullptr) trace_->joins(rank, request.name);
  say_ready(newcomer.id(), rank, ready.front());
  supervisor_.join(rank, Clock::now());
  carry_out();
  end_succession(std::nullopt);
}

void Pool::dismiss(Rank rank) {
  boost::asio::post(loop_, [this, rank] {
    assert_on_loop(loop_);
    if (over()) return;
    supervisor_.vacate(rank);
    if (const WorkerId worker = hosting().workers_of(rank).front();
        hosting().shared(worker) && supervisor_.state(worker) != WorkerState::absent)
      log::info("{} has left the ensemble; its worker stays for those that share it",
                supervisor_.place_of(worker, rank));
    for (const Rank stage : supervisor_.chains().chain_of(rank)) {
      outputs_known_[stage] = false;
      board_.vacated(stage);
    }
    carry_out();
  });
}

void Pool::perform(const action::Vacate& vacate) {
  log::info("{} has left the ensemble", supervisor_.place_of(vacate.worker));
  roster_.vacate(vacate.worker, ticks_of(plan_.stop_deadline));
}

}  // namespace tutti
