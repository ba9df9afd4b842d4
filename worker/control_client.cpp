#include "worker/control_client.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <string>

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
  std::string text(control::kMaxBytes + 1, '\0');
  ssize_t length = 0;
  do {
    length = ::recv(socket_.get(), text.data(), text.size(), 0);
  } while (length < 0 && errno == EINTR);
  if (length <= 0) return std::nullopt;
  return control::decode(std::string_view(text).substr(0, static_cast<std::size_t>(length)));
}

}  // namespace tutti::worker
