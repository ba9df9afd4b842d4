#include "coordinator/pool/roster.hpp"

#include <algorithm>
#include <utility>

#include "common/check.hpp"
#include "common/log.hpp"

namespace tutti {
namespace {

bool opens_torch(const std::vector<control::Load>& unit) {
  return std::ranges::any_of(
      unit, [](const control::Load& one) { return facts_of(one.member.model).library == Library::torch; });
}

std::string unit_name_of(const std::vector<control::Load>& unit) {
  std::vector<std::string> names;
  for (const control::Load& one : unit) names.push_back(one.member.name);
  return unit_name(names);
}

}  // namespace

Roster::Roster(boost::asio::io_context& loop, WorkerListener& listener, Setting setting)
    : loop_(loop), listener_(listener), setting_(std::move(setting)), posts_(setting_.plan.workers.size()) {
  for (const WorkerId worker : posts_.ids()) {
    Post& post = posts_[worker];
    post.plan = setting_.plan.workers[worker.value()];
    post.feeds = setting_.plan.feeds_others(post.plan);
    for (const Rank rank : post.plan.members) {
      post.unit.push_back({setting_.plan.request_of(rank), true, post.plan.mode});
      post.unit.back().member.cuda = post.plan.cuda;
    }
    post.unit.back().more = false;
  }
}

std::shared_ptr<WorkerProcess> Roster::start(WorkerId worker, bool load) {
  return start(worker, posts_[worker].plan, posts_[worker].unit, load);
}

std::shared_ptr<WorkerProcess> Roster::start(WorkerId worker, const WorkerPlan& plan,
                                             const std::vector<control::Load>& unit, bool load) {
  Post& post = posts_[worker];
  const auto is_debugged = [&](const control::Load& one) { return one.member.name == setting_.debug_member; };
  // Without LibTorch there are no libraries to preload.
  std::optional<control::Preload> preload;
  if (opens_torch(unit)) preload = {unit.front().member.cuda};
  auto process = std::make_shared<WorkerProcess>(
      loop_, listener_,
      WorkerProcess::Setting{.worker = worker,
                             .cores = plan.cores,
                             .environment = plan.environment,
                             .name = unit_name_of(unit),
                             .unit = unit,
                             .preload = preload,
                             .program = setting_.program,
                             .python = plan.python,
                             .arena_fd = setting_.arena_fd,
                             .debug = std::ranges::any_of(unit, is_debugged),
                             .core_files = setting_.plan.failure.core_files,
                             .feeds = post.feeds,
                             .load = load,
                             .fork_server = plan.forked ? &setting_.fork_server : nullptr});
  process->spawn();
  return process;
}

std::vector<control::Ready> Roster::take_worker(WorkerId worker) {
  Post& post = posts_[worker];
  check_post(worker);
  TUTTI_CHECK(!post.worker || !post.worker->alive(), "a worker has one process at a time");
  if (!post.spare || post.spare->killed()) {
    post.worker = start(worker, true);
    return {};
  }
  post.worker = std::exchange(post.spare, nullptr);
  if (post.spare_ready.empty()) post.worker->load();
  return std::exchange(post.spare_ready, {});
}

void Roster::move(WorkerId from, Rank rank, WorkerId to) {
  TUTTI_CHECK(to.value() == posts_.size(), "the worker is new");
  Post own;
  own.plan = posts_[from].plan;
  own.plan.members = {rank};
  own.plan.mode = UnitMode::loop;
  Post& post = posts_[from];
  const auto seat = std::ranges::find(post.plan.members, rank) - post.plan.members.begin();
  own.unit = {{post.unit.at(static_cast<std::size_t>(seat)).member}};
  post.plan.members.erase(post.plan.members.begin() + seat);
  post.unit.erase(post.unit.begin() + seat);
  TUTTI_CHECK(!post.unit.empty(), "a worker hosts a member");
  post.unit.back().more = false;
  dismiss_spare(from);
  posts_.push_back(std::move(own));
}

void Roster::load_with(WorkerId worker, Seat seat, std::uint32_t batch_images) {
  TUTTI_CHECK(batch_images > 0);
  set_batch(setting_.plan, posts_[worker].unit.at(seat.value()).member, batch_images);
}

void Roster::feed_with(WorkerId worker, Seat seat, const TensorLayout& tensor) {
  posts_[worker].unit.at(seat.value()).member.takes = {TakenTensor::unchanged(tensor)};
}

void Roster::make_spare(WorkerId worker) {
  const Spares wanted = setting_.plan.failure.spares;
  if (wanted == Spares::none || posts_[worker].spare || setting_.plan.debugging) return;
  try {
    posts_[worker].spare = start(worker, wanted == Spares::member);
  } catch (const Error& error) {
    say_no_spare(worker, error);
  }
}

void Roster::say_no_spare(WorkerId worker, const Error& error) const {
  log::warning("no spare worker for {}: {}", unit_name_of(posts_[worker].unit), error.what());
}

void Roster::spare_failed(const WorkerProcess& spare, const Error& error) {
  say_no_spare(spare.id(), error);
  drop_spare(spare);
}

void Roster::keep_ready(const WorkerProcess& spare, const std::vector<control::Ready>& ready) {
  posts_[spare.id()].spare_ready = ready;
}

void Roster::drop_spare(const WorkerProcess& spare) {
  TUTTI_CHECK(!spare.alive(), "no process is left running unknown");
  posts_[spare.id()].spare = nullptr;
  posts_[spare.id()].spare_ready.clear();
}

void Roster::dismiss_spare(WorkerId worker) {
  const auto& spare = posts_[worker].spare;
  if (spare && !spare->killed()) spare->kill();
}

void Roster::prepare_successor(WorkerId worker, Seat seat, const MemberRequest& member, const std::string& python) {
  Post& post = posts_[worker];
  TUTTI_CHECK(!post.successor, "a worker has one successor at a time");
  std::vector<control::Load> unit = post.unit;
  unit.at(seat.value()).member = member;
  unit.at(seat.value()).member.cuda = post.plan.cuda;
  WorkerPlan plan = post.plan;
  plan.python = python;
  // What the fork server has loaded is for the libraries of the old one.
  plan.forked = plan.forked && opens_torch(unit) == opens_torch(post.unit);
  auto process = start(worker, plan, unit, true);
  post.successor = Successor{std::move(plan), std::move(unit), std::move(process), {}};
}

void Roster::prepare_newcomer(WorkerId worker, WorkerPlan plan, const MemberRequest& member) {
  TUTTI_CHECK(worker.value() <= posts_.size(), "workers are added one by one");
  if (worker.value() == posts_.size()) posts_.push_back({});
  Post& post = posts_[worker];
  TUTTI_CHECK(!post.worker && !post.spare && !post.successor, "a further member takes a vacant place");
  std::vector<control::Load> unit{{member, false, plan.mode}};
  unit.front().member.cuda = plan.cuda;
  auto process = start(worker, plan, unit, true);
  post.successor = Successor{std::move(plan), std::move(unit), std::move(process), {}};
}

void Roster::successor_ready(const WorkerProcess& successor, const std::vector<control::Ready>& ready) {
  TUTTI_CHECK(is_successor(successor));
  posts_[successor.id()].successor->ready = ready;
}

bool Roster::successors_ready() const {
  return std::ranges::all_of(posts_,
                             [](const Post& post) { return !post.successor || !post.successor->ready.empty(); });
}

void Roster::dismiss_successors() {
  for (Post& post : posts_) {
    if (!post.successor) continue;
    if (post.successor->process->alive()) {
      post.successor->process->kill();
      leaving_.push_back({std::move(post.successor->process), boost::asio::steady_timer(loop_)});
    }
    post.successor.reset();
  }
}

void Roster::hand_over(WorkerId worker, std::chrono::steady_clock::duration patience) {
  Post& post = posts_[worker];
  TUTTI_CHECK(post.successor && !post.successor->ready.empty(), "only one that is ready takes over");
  if (post.worker) let_go(std::exchange(post.worker, nullptr), patience);
  if (post.spare) let_go(std::exchange(post.spare, nullptr), patience);
  post.spare_ready.clear();
  Successor successor = std::move(*post.successor);
  post.successor.reset();
  post.unit = std::move(successor.unit);
  post.plan = std::move(successor.plan);
  if (successor.process->alive()) {
    post.spare = std::move(successor.process);
    post.spare_ready = std::move(successor.ready);
  }
  check_post(worker);
}

void Roster::vacate(WorkerId worker, std::chrono::steady_clock::duration patience) {
  Post& post = posts_[worker];
  TUTTI_CHECK(!post.successor, "a member that goes gets no new version");
  if (post.worker) let_go(std::exchange(post.worker, nullptr), patience);
  if (post.spare) let_go(std::exchange(post.spare, nullptr), patience);
  post.spare_ready.clear();
}

/// A process that has a channel reads its control socket only between tasks, and it has none; a spare may be loading.
void Roster::let_go(std::shared_ptr<WorkerProcess> process, std::chrono::steady_clock::duration patience) {
  if (!process->alive()) return;
  if (process->channel())
    process->send(control::Stop{});
  else
    process->kill();
  boost::asio::steady_timer timer(loop_, patience);
  timer.async_wait([this, process](const boost::system::error_code& cancelled) {
    assert_on_loop(loop_);
    if (!cancelled && process->alive()) process->kill();
  });
  leaving_.push_back({std::move(process), std::move(timer)});
}

bool Roster::forget_leaving(const WorkerProcess& process) {
  return std::erase_if(leaving_, [&](const Leaving& one) { return one.process.get() == &process; }) > 0;
}

void Roster::abandon(WorkerId worker) {
  Post& post = posts_[worker];
  TUTTI_CHECK(post.worker->killed(), "only a process that was killed is abandoned");
  post.worker->abandon();
  abandoned_.push_back(std::exchange(post.worker, nullptr));
  check_post(worker);
}

bool Roster::forget(const WorkerProcess& worker) {
  const auto forgotten = std::erase_if(abandoned_, [&](const auto& process) { return process.get() == &worker; });
  TUTTI_CHECK(forgotten == 0 || !worker.alive(), "an abandoned process is watched until it has ended");
  return forgotten > 0;
}

/// Each process has one place.
void Roster::check_post(WorkerId worker) const {
  const Post& post = posts_[worker];
  TUTTI_CHECK(!post.spare || post.spare != post.worker);
  TUTTI_CHECK(post.spare || post.spare_ready.empty(), "only a spare is ready before it is needed");
  for (const auto& process : abandoned_)
    TUTTI_CHECK(process != post.worker && process != post.spare, "an abandoned process has no post");
  for (const Leaving& one : leaving_)
    TUTTI_CHECK(one.process != post.worker && one.process != post.spare, "a process that leaves has no post");
}

void Roster::for_each_alive(const std::function<void(WorkerProcess&)>& deed) const {
  for (const Post& post : posts_)
    for (const auto& process : {post.worker, post.spare, post.successor ? post.successor->process : nullptr})
      if (process && process->alive()) deed(*process);
  for (const Leaving& one : leaving_)
    if (one.process->alive()) deed(*one.process);
}

bool Roster::any_alive() const {
  bool any = false;
  for_each_alive([&](WorkerProcess&) TUTTI_REQUIRES(on_loop) { any = true; });
  return any;
}

}  // namespace tutti
