#include "common/wire/descriptor_passing.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace tutti {
namespace {

/// Room for the descriptors of one message, as the kernel wants it.
struct Ancillary {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostPassedDescriptors)> bytes{};
};

msghdr message_of(iovec& part, Ancillary& ancillary, std::size_t descriptors) {
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
  return message;
}

}  // namespace

bool send_with_descriptors(int socket, std::string_view text, std::span<const int> descriptors) {
  assert(!text.empty() && descriptors.size() <= kMostPassedDescriptors);
  iovec part{const_cast<char*>(text.data()), text.size()};
  Ancillary ancillary;
  msghdr message = message_of(part, ancillary, descriptors.size());
  if (descriptors.empty()) {
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  } else {
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

std::optional<ReceivedDescriptors> receive_with_descriptors(int socket, std::size_t most_bytes,
                                                            std::size_t most_descriptors) {
  assert(most_descriptors <= kMostPassedDescriptors);
  ReceivedDescriptors received{std::string(most_bytes, '\0'), {}};
  iovec part{received.text.data(), received.text.size()};
  Ancillary ancillary;
  msghdr message = message_of(part, ancillary, most_descriptors);
  message.msg_controllen = CMSG_LEN(sizeof(int) * most_descriptors);  // padding would hold one more
  ssize_t length = 0;
  do {
    length = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length <= 0) return std::nullopt;
  received.text.resize(static_cast<std::size_t>(length));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(header), numbers.size() * sizeof(int));
    for (const int number : numbers) received.descriptors.emplace_back(number);
  }
  return received;
}

}  // namespace tutti
