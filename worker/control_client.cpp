#include "worker/control_client.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "common/wire/descriptor_passing.hpp"

namespace tutti::worker {

void ControlClient::send(const control::Message& message) noexcept {
  try {
    const std::string text = control::encode(message);
    while (::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  } catch (const std::exception&) {
    // Out of memory, or a message that is too long: the coordinator then reports the exit without a reason.
  }
}

std::optional<control::Message> ControlClient::receive() {
  auto received = receive_with_descriptors(socket_.get(), control::kMaxBytes + 1, 1);
  descriptor_ = UniqueFd();
  if (!received) return std::nullopt;
  if (!received->descriptors.empty()) descriptor_ = std::move(received->descriptors.front());
  return control::decode(received->text);
}

}  // namespace tutti::worker
