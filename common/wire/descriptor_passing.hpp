// One message with descriptors over a local socket (SCM_RIGHTS). What the message means is said by spawn_contract.hpp.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/unique_fd.hpp"

namespace tutti {

/// The kernel passes no more at once (SCM_MAX_FD).
inline constexpr std::size_t kMostPassedDescriptors = 253;

/// Sends `text`, which is not empty, and copies of `descriptors`, at most kMostPassedDescriptors. Does not wait: false,
/// with the reason in errno, if the socket takes nothing now or the peer is gone.
bool send_with_descriptors(int socket, std::string_view text, std::span<const int> descriptors);

struct ReceivedDescriptors {
  std::string text;
  std::vector<UniqueFd> descriptors;  ///< close-on-exec
};
/// Waits for the next message of a SEQPACKET socket; nothing if the peer hung up. Text beyond `most_bytes`, and
/// descriptors beyond `most_descriptors`, are dropped.
std::optional<ReceivedDescriptors> receive_with_descriptors(int socket, std::size_t most_bytes,
                                                            std::size_t most_descriptors);

}  // namespace tutti
