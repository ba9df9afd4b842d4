#include "coordinator/pool/roster.hpp"

#include <algorithm>
#include <utility>

#include "common/log.hpp"
#include "coordinator/process/checkpoint_file.hpp"

namespace tutti {

Roster::Roster(boost::asio::io_context& loop, WorkerListener& listener, Setting setting)
    : loop_(loop), listener_(listener), setting_(std::move(setting)), posts_(setting_.plan.workers.size()) {
  for (std::size_t rank = 0; rank < posts_.size(); ++rank) posts_[rank].plan = setting_.plan.workers[rank];
}

std::shared_ptr<WorkerProcess> Roster::start(std::size_t rank, bool load) {
  Post& post = posts_[rank];
  const WorkerPlan& plan = post.plan;
  for (UniqueFd& file : post.checkpoints)
    if (!file) file = make_checkpoint_file(setting_.plan.training);
  auto worker =
      std::make_shared<WorkerProcess>(loop_, listener_,
                                      WorkerProcess::Setting{rank,
                                                             &plan,
                                                             setting_.program,
                                                             setting_.arena_fd,
                                                             {post.checkpoints[0].get(), post.checkpoints[1].get()},
                                                             plan.request.name == setting_.debug_member,
                                                             setting_.plan.failure.core_files,
                                                             load,
                                                             plan.forked ? &setting_.fork_server : nullptr});
  worker->spawn();
  return worker;
}

std::optional<control::Ready> Roster::take_worker(std::size_t rank) {
  Post& post = posts_[rank];
  if (!post.spare || post.spare->killed()) {
    post.worker = start(rank, true);
    return std::nullopt;
  }
  post.worker = std::exchange(post.spare, nullptr);
  if (!post.spare_ready) post.worker->load();
  return std::exchange(post.spare_ready, std::nullopt);
}

void Roster::load_with(std::size_t rank, std::uint32_t batch_images) {
  set_batch(setting_.plan, posts_[rank].plan.request, batch_images);
}

void Roster::make_spare(std::size_t rank) {
  const Spares wanted = setting_.plan.failure.spares;
  if (wanted == Spares::none || posts_[rank].spare || setting_.plan.debugging) return;
  try {
    posts_[rank].spare = start(rank, wanted == Spares::member);
  } catch (const Error& error) {
    say_no_spare(rank, error);
  }
}

void Roster::say_no_spare(std::size_t rank, const Error& error) const {
  log::warning("no spare worker for {}: {}", setting_.plan.workers[rank].request.name, error.what());
}

void Roster::spare_failed(const WorkerProcess& spare, const Error& error) {
  say_no_spare(spare.rank(), error);
  drop_spare(spare);
}

void Roster::keep_ready(const WorkerProcess& spare, const control::Ready& ready) {
  posts_[spare.rank()].spare_ready = ready;
}

void Roster::drop_spare(const WorkerProcess& spare) {
  posts_[spare.rank()].spare = nullptr;
  posts_[spare.rank()].spare_ready.reset();
}

void Roster::dismiss_spare(std::size_t rank) {
  const auto& spare = posts_[rank].spare;
  if (spare && !spare->killed()) spare->kill();
}

void Roster::abandon(std::size_t rank, std::optional<std::uint32_t> checkpoint) {
  Post& post = posts_[rank];
  post.worker->abandon();
  abandoned_.push_back(std::exchange(post.worker, nullptr));
  for (std::uint32_t file = 0; file < post.checkpoints.size(); ++file)
    if (checkpoint != file) post.checkpoints[file].reset();
  dismiss_spare(rank);
}

bool Roster::forget(const WorkerProcess& worker) {
  return std::erase_if(abandoned_, [&](const auto& process) { return process.get() == &worker; }) > 0;
}

void Roster::for_each_alive(const std::function<void(WorkerProcess&)>& deed) const {
  for (const Post& post : posts_)
    for (const auto& process : {post.worker, post.spare})
      if (process && process->alive()) deed(*process);
}

bool Roster::any_alive() const {
  bool any = false;
  for_each_alive([&](WorkerProcess&) TUTTI_REQUIRES(on_loop) { any = true; });
  return any;
}

}  // namespace tutti
