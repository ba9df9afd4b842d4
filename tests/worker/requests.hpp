// Requests for fake members, a pair of control sockets, and a message with a descriptor. For tests only.
#pragma once

#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "common/unique_fd.hpp"
#include "common/wire/control.hpp"
#include "common/wire/descriptor_passing.hpp"

namespace tutti::test {

inline MemberRequest fake_request(FakeModel model = {.classes = 4, .faults = {}}) {
  MemberRequest request;
  request.name = "m0";
  request.model = std::move(model);
  request.seed = 100;
  request.takes = {TakenTensor::unchanged(ImageShape{2, 3, 3}.layout())};
  request.batch_images = 3;
  return request;
}

struct Sockets {
  static Sockets make() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) throw std::runtime_error("sockets");
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
  UniqueFd coordinator;
  UniqueFd worker;
};

/// Nothing comes of it if the worker is gone.
inline void send_checkpoint_file(int socket, std::uint32_t file, int descriptor) {
  send_with_descriptors(socket, control::encode(control::CheckpointFile{Seat(0), file}), {&descriptor, 1});
}

}  // namespace tutti::test
