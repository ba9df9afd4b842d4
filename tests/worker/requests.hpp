// Requests for fake members, and a pair of control sockets. For tests only.
#pragma once

#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "common/unique_fd.hpp"
#include "common/wire/member_request.hpp"

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

}  // namespace tutti::test
