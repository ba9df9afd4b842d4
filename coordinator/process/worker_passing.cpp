// The half of WorkerProcess that passes descriptors to a worker that runs: the channels of others whose outputs it
// reads, and the files for the checkpoints of a member that is trained.
#include <cerrno>

#include "common/kill_point.hpp"
#include "common/wire/descriptor_passing.hpp"
#include "coordinator/process/worker_process.hpp"

namespace tutti {

void WorkerProcess::give_checkpoint_files(Seat seat, const std::array<int, 2>& files) {
  if (!has_checkpoint_files_.insert(seat).second) return;
  for (std::uint32_t file = 0; file < files.size(); ++file)
    send_with(control::CheckpointFile{seat, file}, files.at(file));
}

/// The number that the worker knows the channel by. It is told before the first task that needs it.
std::uint32_t WorkerProcess::number_of(const std::shared_ptr<const Channel>& feed, Seat seat) {
  for (const Feed& known : feeds_)
    if (known.channel.lock() == feed) return known.number;
  feeds_.push_back({++last_feed_, feed});
  const ChannelLayout& layout = feed->layout();
  control::Feed message{last_feed_, {}, seat};
  for (std::uint32_t of = 0; of < layout.seats(); ++of) {
    message.widths.push_back(layout.width(Seat(of)));
    message.rows.push_back(layout.rows(Seat(of)));
  }
  send_with(message, feed->reader_fd());
  kill_point("coordinator.feed_sent");
  return last_feed_;
}

void WorkerProcess::send_with(const control::Message& message, int descriptor) {
  if (!control_.is_open()) return;
  if (!send_with_descriptors(control_.native_handle(), control::encode(message), {&descriptor, 1})) not_sent(errno);
}

/// Tells the worker which channels it need not keep: no segment has answers in them any more, and no task that it has
/// is about them.
void WorkerProcess::forget_feeds() {
  std::erase_if(feeds_, [this](const Feed& feed) TUTTI_REQUIRES(on_loop) {
    if (!feed.channel.expired()) return false;
    send(control::Forget{feed.number});
    return true;
  });
}

}  // namespace tutti
