// The worker's end of the control socket: whole messages, sent and received in blocking calls. The coordinator's end
// never blocks and belongs to its loop.
#pragma once

#include <optional>
#include <utility>

#include "common/unique_fd.hpp"
#include "common/wire/control.hpp"

namespace tutti::worker {

/// Used by one thread, but for send().
class ControlClient {
 public:
  explicit ControlClient(UniqueFd socket) : socket_(std::move(socket)) {}

  /// Thread-safe. Best effort: if the coordinator is gone it does not read, and its death is noticed elsewhere.
  void send(const control::Message& message) noexcept;
  /// The next message; nothing if the coordinator closed its end or died. Throws Error(failed) if it is
  /// malformed.
  std::optional<control::Message> receive();
  /// The descriptor that came with the last message; none if it had none, or if it was taken before.
  UniqueFd take_descriptor() noexcept { return std::exchange(descriptor_, UniqueFd()); }

  int fd() const noexcept { return socket_.get(); }

 private:
  UniqueFd socket_;
  UniqueFd descriptor_;
};

}  // namespace tutti::worker
