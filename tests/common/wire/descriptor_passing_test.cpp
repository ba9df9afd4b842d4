// Descriptors over a socket, to and fro.
#include "common/wire/descriptor_passing.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/nameless_file.hpp"

namespace tutti::test {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ours = UniqueFd(ends[0]);
    theirs = UniqueFd(ends[1]);
  }
  UniqueFd ours;
  UniqueFd theirs;
};

TEST_CASE("descriptors arrive in order as copies of those that were sent") {
  const Pair pair;
  const UniqueFd first = memory_file("first");
  const UniqueFd second = memory_file("second");
  CHECK(::write(second.get(), "two", 3) == 3);
  CHECK(send_with_descriptors(pair.ours.get(), "words", std::array{first.get(), second.get()}));
  const auto received = receive_with_descriptors(pair.theirs.get(), 100, 10);
  REQUIRE(received);
  CHECK(received->text == "words");
  REQUIRE(received->descriptors.size() == 2);
  std::array<char, 3> text{};
  CHECK(::pread(received->descriptors[1].get(), text.data(), text.size(), 0) == 3);
  CHECK(std::string(text.data(), text.size()) == "two");
  for (const UniqueFd& descriptor : received->descriptors) {
    CHECK(descriptor.get() != first.get());
    CHECK(descriptor.get() != second.get());
    CHECK((::fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("a message may have no descriptors and what is too much of it is dropped") {
  const Pair pair;
  CHECK(send_with_descriptors(pair.ours.get(), "words", {}));
  const auto none = receive_with_descriptors(pair.theirs.get(), 3, 1);
  REQUIRE(none);
  CHECK(none->text == "wor");
  CHECK(none->descriptors.empty());
}

TEST_CASE("a peer that hung up is nothing to receive and nobody to send to") {
  Pair pair;
  pair.theirs.reset();
  CHECK_FALSE(receive_with_descriptors(pair.ours.get(), 10, 1));
  CHECK_FALSE(send_with_descriptors(pair.ours.get(), "words", std::array{0}));
  CHECK(errno == EPIPE);
}

}  // namespace
}  // namespace tutti::test
